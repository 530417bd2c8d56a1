"""Sums of requests by hour, account, client, model and endpoint; from them the roll-ups of the day and the month.

Pure. Law: bounded, whatever clients ask for: of names that a client chooses, the first few hundred are kept apart and
the rest counted together. Money is nano-dollars.
"""

from typing import Final

from codex_manager.core.record import Record
from codex_manager.core.usage import Usage
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.rows import Texts, clean


__all__ = ["MEASURES", "OTHER", "Key", "Line", "Names", "Purse", "Sums"]

MEASURES: Final = (
    "requests", "errors", "attempts", "input", "cached", "cache_write", "output", "reasoning", "characters", "images",
    "seconds", "nano", "estimated", "estimated_nano", "unpriced", "duration_ms",
)  # fmt: skip
OTHER: Final = "(other)"
DISTINCT: Final = 500  # models (OpenAI lists some 130, and fine-tuned ones come on top); the same for endpoints
LONGEST_S: Final = 1e9

type Key = tuple[int, str, str, str, str]
"""Start of the hour, account id ('' without one), client, model ('' without one), endpoint."""
type Purse = tuple[str, int, str, str]
"""Span (day, month), start of the window, holder (account, client), account id or client name."""
type Line = list[float]
"""One number for each of MEASURES; all integers but `seconds`."""


class Names:
    """Names as sums are kept under them. Of those that clients make up, so many are told apart and the rest are one."""

    def __init__(self) -> None:
        self.texts = Texts()
        self._models: dict[str | None, str] = {}
        self._endpoints: dict[str | None, str] = {}

    def model(self, name: str | None) -> str:
        return self._models.get(name) or self._first_seen(self._models, name)

    def endpoint(self, name: str) -> str:
        return self._endpoints.get(name) or self._first_seen(self._endpoints, name)

    def _first_seen(self, known: dict[str | None, str], name: str | None) -> str:
        if not name:
            return ""
        if len(known) >= DISTINCT:
            return OTHER
        known[name] = clean(name)
        return known[name]


class Sums:
    """Lines that can be added to. Its state: the lines, and the names seen."""

    def __init__(self, calendar: Calendar, names: Names | None = None) -> None:
        self.calendar = calendar
        self.names = names or Names()
        self.lines: dict[Key, Line] = {}

    def __bool__(self) -> bool:
        return bool(self.lines)

    def add(self, record: Record, usage: Usage | None, nano: int) -> None:
        """Count one request, all of it or (with an exception) nothing."""
        tries = len(record.attempts)
        duration_ms = int(min(max(record.duration_s, 0.0), LONGEST_S) * 1000)
        failed = (record.failure or record.status >= 400) and record.failure != "gone"
        line = self._line(record)
        line[0] += 1
        if failed:
            line[1] += 1
        line[2] += tries
        if usage is not None:
            _use(line, usage, 1)
        line[11] += nano
        if record.estimated:
            line[12] += 1
            line[13] += nano
        if not record.priced:
            line[14] += 1
        line[15] += duration_ms

    def settle(self, record: Record, usage: Usage, nano: int, *, old_nano: int, priced: bool) -> None:
        """Put real figures in the place of a record's estimate, in the windows of the record."""
        line = self._line(record)
        if record.usage is not None:
            _use(line, record.usage, -1)
        _use(line, usage, 1)
        line[11] += nano - old_nano
        line[12] += usage.estimated - record.estimated
        line[13] += usage.estimated * nano - record.estimated * old_nano
        line[14] += (not priced) - (not record.priced)

    def _line(self, record: Record) -> Line:
        names = self.names
        key = (
            self.calendar.at(record.time).hour, names.texts[record.account_id] or "", names.texts[record.client] or "",
            names.model(record.model), names.endpoint(record.endpoint),
        )  # fmt: skip
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = [0] * len(MEASURES)
        return line

    def merge(self, other: "Sums") -> None:
        """Add another's lines; the other is not to be used afterwards."""
        for key, line in other.lines.items():
            mine = self.lines.get(key)
            self.lines[key] = line if mine is None else _added(mine, line)

    def rollups(self) -> list[tuple[object, ...]]:
        """What each line adds to its hour, day and month, as rows of the `rollup` table."""
        found: dict[tuple[str, Key], Line] = {}
        for (hour, account_id, client, model, endpoint), line in self.lines.items():
            windows = self.calendar.at(hour)
            for span, start in (("hour", hour), ("day", windows.day), ("month", windows.month)):
                key = (span, (start, account_id, client, model, endpoint))
                mine = found.get(key)
                found[key] = line if mine is None else _added(mine, line)
        return [(span, *key, *line) for (span, key), line in found.items()]

    def spent(self) -> dict[Purse, int]:
        """What the lines add to what accounts and clients spent; nano-dollars."""
        found: dict[Purse, int] = {}
        for (hour, account_id, client, _, _), line in self.lines.items():
            nano = int(line[11])
            if not nano:
                continue
            windows = self.calendar.at(hour)
            for span, start in (("day", windows.day), ("month", windows.month)):
                for holder, name in (("account", account_id), ("client", client)):
                    if name:
                        key = (span, start, holder, name)
                        found[key] = found.get(key, 0) + nano
        return found


def _use(line: Line, usage: Usage, sign: int) -> None:
    line[3] += sign * usage.input
    line[4] += sign * usage.cached
    line[5] += sign * usage.cache_write
    line[6] += sign * usage.output
    line[7] += sign * usage.reasoning
    if usage.characters:
        line[8] += sign * usage.characters
    if usage.images:
        line[9] += sign * usage.images
    if usage.seconds:
        line[10] += sign * usage.seconds


def _added(one: Line, other: Line) -> Line:
    return [a + b for a, b in zip(one, other, strict=True)]
