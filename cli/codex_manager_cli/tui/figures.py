"""Usage in even steps for charts, and who it was: sums of the ledger's reader. Law: an hour in which nothing happened is a bar, too."""

import datetime as dt

from collections.abc import Mapping
from typing import Final

from codex_manager.ledger import Reader
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.reader import UsageRow
from codex_manager_cli.tui.source import Bar, Figures, Measure, Span
from codex_manager_cli.tui.words import plain
from codex_manager_cli.usage_names import NOBODY, display_names


__all__ = ["STEPS", "figures_of"]

STEPS: Final[Mapping[Span, int]] = {"hour": 24, "day": 30, "month": 12}
"""How many bars."""


def figures_of(reader: Reader, span: Span, by: Measure, labels: Mapping[str, str], now: float) -> Figures:
    """The last 24 hours, 30 days or 12 months, the present one included; `now` is Unix time."""
    calendar = reader.calendar()
    starts = _starts(calendar, span, now)
    found = {int(row.key[0]): row for row in reader.usage(span, since=starts[0])}
    bars = tuple(_bar(_name(calendar, span, start), found.get(start), start) for start in starts)
    names = display_names({**reader.labels(), **labels})
    rows = [
        _bar(_who(by, str(row.key[0]), names), row)
        for row in reader.usage(by, since=starts[0])
    ]  # fmt: skip
    rows.sort(key=lambda row: (-row.usd, -row.requests, row.name))
    return Figures(span, bars, by, tuple(rows), calendar.name)


def _starts(calendar: Calendar, span: Span, now: float) -> list[int]:
    """Where the hours, days or months begin, the oldest first."""
    starts = [int(getattr(calendar.at(now), span))]
    while len(starts) < STEPS[span]:
        starts.append(int(getattr(calendar.at(starts[-1] - 1), span)))
    return starts[::-1]


def _name(calendar: Calendar, span: Span, start: int) -> str:
    there = dt.datetime.fromtimestamp(start, calendar.zone)
    return f"{there:%H}" if span == "hour" else f"{there.day}" if span == "day" else f"{there:%b}"


def _who(by: Measure, key: str, names: Mapping[str, str]) -> str:
    if not key:
        return NOBODY
    return plain(names.get(key, f"({key[:8]})") if by == "account" else key, 80)


def _bar(name: str, row: UsageRow | None, start: int = 0) -> Bar:
    if row is None:
        return Bar(name, start=start)
    return Bar(name, row.requests, row.errors, row.input, row.output, float(row.usd), start)
