"""What accounts and client keys spent in the current day and month: what limits are held against.

Law: adjustments are in it. A reader asks one question of one row for all of it, since every row of SQLite costs a step.
"""

import json
import sqlite3

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

from codex_manager.core.pricing import ZERO
from codex_manager.ledger.calendar import Windows
from codex_manager.ledger.rows import from_nano
from codex_manager.ledger.sums import Sums


__all__ = ["Holder", "Nanos", "Spent", "Totals", "read", "totals_of"]

type Holder = tuple[str, str]
"""("account", its id) or ("client", its name)."""
type Nanos = dict[Holder, tuple[int, int]]
"""Day and month, nano-dollars."""


class Spent(NamedTuple):
    """US dollars; never below zero."""

    day: Decimal
    month: Decimal


NOTHING: Final = Spent(ZERO, ZERO)


@dataclass(frozen=True, slots=True)
class Totals:
    """All that was spent in two windows."""

    day_start: int
    """Unix time."""
    month_start: int
    spent: Mapping[Holder, Spent]
    through: int = 0
    """The last number of `Book.record` whose money is contained."""
    kept: int = 0
    """The last number that is on disk; less than `through` only while the file cannot be written."""

    def of(self, holder: Holder) -> Spent:
        return self.spent.get(holder, NOTHING)

    def at(self, windows: Windows) -> "Totals":
        """The same, with nothing spent yet in windows that began since."""
        if (windows.day, windows.month) == (self.day_start, self.month_start):
            return self
        stays = windows.month == self.month_start
        spent = {holder: Spent(ZERO, each.month) for holder, each in self.spent.items()} if stays else {}
        return replace(self, day_start=windows.day, month_start=windows.month, spent=spent)


def read(connection: sqlite3.Connection, windows: Windows) -> Nanos:
    """What the file says."""
    (written,) = connection.execute(
        "SELECT json_group_array(json_array(span, holder, key, nano + adjusted)) FROM spent"
        " WHERE (span = 'day' AND start = ?) OR (span = 'month' AND start = ?)",
        (windows.day, windows.month),
    ).fetchone()
    found: Nanos = {}
    for span, holder, key, nano in json.loads(written):
        day, month = found.get((holder, key), (0, 0))
        found[holder, key] = (nano, month) if span == "day" else (day, nano)
    return found


def totals_of(windows: Windows, nanos: Nanos, pending: Sums | None = None, *, through: int, kept: int) -> Totals:
    """What the file says and what is not in it yet, together."""
    if pending:
        nanos = dict(nanos)
        for (span, start, holder, key), nano in pending.spent().items():
            day, month = nanos.get((holder, key), (0, 0))
            if span == "day" and start == windows.day:
                nanos[holder, key] = (day + nano, month)
            elif span == "month" and start == windows.month:
                nanos[holder, key] = (day, month + nano)
    spent = {holder: Spent(from_nano(max(day, 0)), from_nano(max(month, 0))) for holder, (day, month) in nanos.items()}
    return Totals(windows.day, windows.month, spent, through, kept)
