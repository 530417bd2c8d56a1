"""Where the event loop hands records over to the writer thread.

Law: the loop's side never waits for the disk and never raises. The one lock is held for an append on this side and for an exchange of two
lists on the other. Bounded: a record beyond the bound leaves its sums only, and is counted.
"""

import threading

from dataclasses import dataclass
from typing import Final

from codex_manager.core.record import Record, Reservation
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.operations import Operation, Settlement
from codex_manager.ledger.rows import to_nano, within
from codex_manager.ledger.sums import Sums


__all__ = ["Inbox", "Item", "Taken"]

MOST: Final = 20_000  # only a writer that hangs inside the system lets so many wait

type Item = Record | Reservation | Operation | Settlement | str
"""A string is the id of a reservation that is released."""


@dataclass(slots=True)
class Taken:
    """All that was handed over since the last time."""

    items: list[Item]
    through: int
    """The number of the last record among it."""
    folded: Sums | None
    """Sums of records that were too many."""
    dropped: int


class Inbox:
    """Its state, under the lock: the items, the count of records, the sums of those that were too many."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.signal = threading.Event()
        """Set when there is something to take."""
        self._lock = threading.Lock()
        self._items: list[Item] = []
        self._number = 0
        self._folded: Sums | None = None
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put_record(self, record: Record) -> int:
        """Hand over a record; returns its number."""
        with self._lock:
            self._number = number = self._number + 1
            items = self._items
            first = not items
            if len(items) < MOST:
                items.append(record)
            else:
                self._fold(record)
        if first:
            self.signal.set()
        return number

    def put(self, item: Item) -> None:
        """Hand over anything else."""
        with self._lock:
            items = self._items
            first = not items
            if len(items) < MOST:
                items.append(item)
            else:
                self._dropped += 1
        if first:
            self.signal.set()

    def take(self) -> Taken:
        """Take all there is; for the writer."""
        with self._lock:
            taken = Taken(self._items, self._number, self._folded, self._dropped)
            self._items, self._folded, self._dropped = [], None, 0
        return taken

    def _fold(self, record: Record) -> None:
        self._dropped += 1
        if self._folded is None:
            self._folded = Sums(
                Calendar(self.calendar.zone)
            )  # a calendar of its own: they remember, and no two threads share one
        try:
            usage = None if record.usage is None else within(record.usage)
            self._folded.add(record, usage, to_nano(record.cost))
        except Exception:  # noqa: BLE001 - nothing raises into the loop
            return
