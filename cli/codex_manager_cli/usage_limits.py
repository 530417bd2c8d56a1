"""Where everyone stands: what is spent of each limit and when it turns, OpenAI's figure beside ours, and where the month leads.

Pure: figures in, tables or JSON-ready values out. Law: the two figures stand side by side and are never blended; a limit
counts the larger, as the proxy does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from codex_manager.core.snapshot import DRIFT_AT, drift
from codex_manager.core.telling.amounts import dollars, number, percent
from codex_manager.core.telling.columns import columns, right
from codex_manager.core.telling.durations import span


__all__ = [
    "Comparison",
    "Standing",
    "comparison_data",
    "comparison_table",
    "forecast",
    "standing_data",
    "standing_table",
]

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
"""Seconds. A forecast looks back over whole weeks, because weekends differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One limit and what counts towards it. US dollars."""

    kind: Literal["account", "client"]
    name: str
    window: Literal["day", "month"]
    own: Decimal
    """What we counted, `usage reset` taken into account."""
    provider: Decimal | None = None
    """What OpenAI says for the same window; None when it did not say."""
    limit: Decimal
    source: Literal["own", "provider"] = "own"
    """Whose limit: the user's, or the hard limit that OpenAI told."""
    turns: datetime
    """When the next window begins."""

    @property
    def spent(self) -> Decimal:
        return max(self.own, self.provider or Decimal(0))

    @property
    def share(self) -> float:
        return float(self.spent / self.limit) if self.limit > 0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two figures for one window of OpenAI's, which begins at midnight UTC."""

    account: str
    window: Literal["day", "month"]
    own: Decimal
    provider: Decimal
    taken_at: datetime
    source: str

    @property
    def drift(self) -> float:
        return drift(self.provider, self.own) or 0.0

    @property
    def drifts(self) -> bool:
        return abs(self.drift) > DRIFT_AT


def forecast(month: Decimal, week: Decimal, *, age_s: float, left_s: float) -> Decimal:
    """What this month will have cost: what it has cost, and what is left of it at the pace of the last seven days.

    `age_s`: seconds since the first record; within the first week the pace is that of the time there was, at least a day.
    """
    days = Decimal(min(max(age_s, DAY), WEEK) / DAY)
    return month + week / days * Decimal(max(0.0, left_s) / DAY)


def standing_table(standings: Sequence[Standing], *, now: datetime, warn_at: float) -> str:
    """A line a limit; what is near its limit is marked."""
    rows = [("LIMIT OF", "WINDOW", "SPENT", "LIMIT", "USED", "STATE", "TURNS")]
    rows += [
        (
            each.name if each.kind == "account" else f"client {each.name}",
            each.window if each.source == "own" else f"{each.window} (OpenAI's)",
            dollars(each.spent),
            dollars(each.limit),
            percent(each.share),
            _state(each, warn_at),
            f"{each.turns:%Y-%m-%d %H:%M} {each.turns.tzname()}, in {span(each.turns.timestamp() - now.timestamp())}",
        )
        for each in standings
    ]
    return columns(right(rows, first=2, last=5))


def standing_data(each: Standing) -> dict[str, Any]:
    """For `--json`."""
    return {
        "kind": each.kind,
        "name": each.name,
        "window": each.window,
        "limit_source": each.source,
        "limit_usd": number(each.limit),
        "spent_usd": number(each.spent),
        "own_usd": number(each.own),
        "provider_usd": None if each.provider is None else number(each.provider),
        "share": round(each.share, 4),
        "turns_at": each.turns.isoformat(),
    }


def comparison_table(comparisons: Sequence[Comparison], *, now: datetime) -> str:
    """Our figure, OpenAI's, and how far they lie apart."""
    rows = [("ACCOUNT", "UTC WINDOW", "OURS", "OPENAI'S", "DRIFT", "STATE", "SAID")]
    rows += [
        (
            each.account,
            each.window,
            dollars(each.own),
            dollars(each.provider),
            f"{each.drift:+.0%}".replace("%", " %"),
            "drifts" if each.drifts else "ok",
            f"{each.source}, {span(now.timestamp() - each.taken_at.timestamp())} ago",
        )
        for each in comparisons
    ]
    return columns(right(rows, first=2, last=5))


def comparison_data(each: Comparison) -> dict[str, Any]:
    """For `--json`."""
    return {
        "account": each.account,
        "window": each.window,
        "own_usd": number(each.own),
        "provider_usd": number(each.provider),
        "drift": round(each.drift, 4),
        "drifts": each.drifts,
        "source": each.source,
        "taken_at": each.taken_at.isoformat(),
    }


def _state(each: Standing, warn_at: float) -> str:
    if each.share >= 1:
        return "reached"
    return "near" if each.share >= warn_at else "ok"
