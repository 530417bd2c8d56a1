"""What is to be written next: gathered in memory, written in one transaction, kept when that fails.

Law: `apply` changes nothing here, so a batch that was rolled back is written again as if for the first time. A batch is bounded: of
records beyond the bound only the sums are kept (so the money is), and they are counted as dropped.
"""

import logging
import sqlite3

from collections.abc import Callable, Iterable
from typing import Final

from codex_manager.core.errors import type_and_place
from codex_manager.core.record import Record, Reservation
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.operations import Operation, Settlement
from codex_manager.ledger.rows import COLUMNS, Scribe, clean, json_of, to_nano, within
from codex_manager.ledger.statements import REFUSED, Insert
from codex_manager.ledger.sums import MEASURES, Names, Sums


__all__ = ["MOST_ROWS", "Batch"]

log = logging.getLogger(__name__)

MOST_ROWS: Final = 20_000  # some 20 MB: minutes of the heaviest traffic while the disk is away
MOST_OPERATIONS: Final = 5_000
OBJECT_ID: Final = COLUMNS.index("object_id")

REQUESTS: Final = Insert("request", COLUMNS)
OBJECTS: Final = Insert("object", ("id", "request_id", "time"), "ON CONFLICT DO NOTHING")
RESERVATIONS: Final = Insert(
    "reservation",
    ("session", "id", "time", "account_id", "account", "client", "endpoint", "model", "nano"),
    "ON CONFLICT DO NOTHING",
)
ROLLUPS: Final = Insert(
    "rollup",
    ("span", "start", "account_id", "client", "model", "endpoint", *MEASURES),
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in MEASURES)}",
)
SPENT: Final = Insert(
    "spent", ("span", "start", "holder", "key", "nano"), "ON CONFLICT DO UPDATE SET nano = nano + excluded.nano"
)
LABELS: Final = Insert("label", ("account_id", "label"), "ON CONFLICT DO UPDATE SET label = excluded.label")


class Batch:
    """Its state: rows, sums and operations that are not written yet."""

    def __init__(self, calendar: Calendar, names: Names, scribe: Scribe) -> None:
        self._scribe = scribe
        self.rows: list[tuple[object, ...]] = []
        self.sums = Sums(calendar, names)
        self.opened: dict[str, Reservation] = {}
        """Reservations to write; one that ends before that is never written."""
        self.closed: set[str] = set()
        """Those to take out again."""
        self.dropped = 0
        """Records of which only the sums are in it, or nothing."""
        self._objects: list[tuple[object, ...]] = []
        self._settlements: list[Settlement] = []
        self._operations: list[Operation] = []
        self._labels: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(
            self.rows
            or self.sums
            or self.opened
            or self.closed
            or self._settlements
            or self._operations
            or self.dropped
        )

    def add(self, record: Record) -> None:
        """A request that is over; one that cannot be written is dropped and counted."""
        try:
            usage, nano = None if record.usage is None else within(record.usage), to_nano(record.cost)
            row = None if len(self.rows) >= MOST_ROWS else self._scribe.row(record, usage, nano)
            self.sums.add(record, usage, nano)
        except Exception:  # noqa: BLE001 - a record of a kind nobody thought of must not stop the others
            self.dropped += 1
            return
        if row is None:
            self.dropped += 1
            return
        self.rows.append(row)
        if record.open and record.object_id:
            self._objects.append((row[OBJECT_ID], row[0], record.time))
        if record.account_id and record.account:
            self._labels[record.account_id] = record.account

    def fold(self, sums: Sums | None, count: int) -> None:
        """Sums of records that were dropped before they came here."""
        if sums is not None:
            self.sums.merge(sums)
        self.dropped += count

    def operate(self, operation: Operation | Settlement) -> None:
        """Something else to write."""
        if len(self._settlements) + len(self._operations) >= MOST_OPERATIONS:
            self.dropped += 1
        elif isinstance(operation, Settlement):
            self._settlements.append(operation)
        else:
            self._operations.append(operation)

    def apply(self, connection: sqlite3.Connection, session: str, known_labels: dict[str, str]) -> int:
        """Write it all, in a transaction of the caller; returns how many records had to be left out."""
        calendar, names = self.sums.calendar, self.sums.names
        refused = REQUESTS.write(connection, self.rows)
        OBJECTS.write(connection, self._objects)
        if self.closed:
            connection.execute(
                "DELETE FROM reservation WHERE session = ? AND id IN (SELECT value FROM json_each(?))",
                (session, json_of([clean(one) for one in self.closed])),
            )
        RESERVATIONS.write(connection, [_reservation_row(session, each) for each in self.opened.values()])
        sums = self.sums
        if self._settlements:
            sums = Sums(calendar, names)  # not into our own: this may be rolled back and done again
            for settlement in self._settlements:
                refused += _refused(settlement.apply, connection, sums)
            sums.merge(self.sums)
        refused += ROLLUPS.write(connection, sums.rollups())
        refused += SPENT.write(connection, [(*key, nano) for key, nano in sums.spent().items()])
        new = [each for each in self._labels.items() if known_labels.get(each[0]) != each[1]]
        LABELS.write(connection, [(clean(account_id), clean(label)) for account_id, label in new])
        for operation in self._operations:
            refused += _refused(operation.apply, connection, calendar)
        return refused

    @property
    def labels(self) -> Iterable[tuple[str, str]]:
        """Labels of accounts in it, by account id."""
        return self._labels.items()


def _refused[Where](
    apply: Callable[[sqlite3.Connection, Where], object], connection: sqlite3.Connection, where: Where
) -> bool:
    """Do one thing; whether that failed by what it is. What the file or the disk is to blame for, is raised."""
    try:
        apply(connection, where)
    except REFUSED:
        return True
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - it must not keep the others from being written
        log.warning("something could not be written to the ledger: %s", type_and_place(error))
        return True
    return False


def _reservation_row(session: str, one: Reservation) -> tuple[object, ...]:
    return (
        session, clean(one.id), one.time, clean(one.account_id), clean(one.account), clean(one.client),
        clean(one.endpoint), None if one.model is None else clean(one.model), to_nano(one.usd),
    )  # fmt: skip
