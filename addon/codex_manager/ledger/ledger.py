"""The ledger as a running proxy holds it: the book that the engine writes to, and what is known of the money spent.

Law: nothing here waits for the disk but `open` (shortly) and `close`; nothing raises, whatever the state of the disk.
"""

import datetime as dt
import time

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

from codex_manager.core.pricing import Cost
from codex_manager.core.record import Record, Reservation
from codex_manager.core.snapshot import Snapshot
from codex_manager.core.usage import Usage
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.health import Health, Opening
from codex_manager.ledger.inbox import Inbox
from codex_manager.ledger.operations import DomainLearned, Operation, Reset, Settlement, SnapshotTaken, Span
from codex_manager.ledger.totals import Holder, Totals
from codex_manager.ledger.writer import Writer


__all__ = ["Ledger"]

OPEN_PATIENCE_S: Final = 3.0  # opening takes some 10 ms; a proxy that starts does not wait longer for a disk that hangs


class Ledger:
    """Implements `codex_manager.engine.book.Book`. One for a process and file; close it."""

    def __init__(
        self,
        path: Path,
        *,
        retention_days: int = 90,
        zone: dt.tzinfo = dt.UTC,
        clock: Callable[[], float] = time.time,
        on_batch: Callable[[Totals], None] | None = None,
    ) -> None:
        self.path = path
        self._clock = clock
        self._inbox = Inbox(Calendar(zone))
        self._calendar = Calendar(zone)
        self._writer = Writer(
            path,
            self._inbox,
            calendar=Calendar(zone),
            retention_days=retention_days,
            clock=clock,
            on_batch=on_batch,
        )
        # one call less each on the way of every request
        self.record = self._inbox.put_record
        self.reserved = self.released = self._inbox.put

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        retention_days: int = 90,
        zone: dt.tzinfo = dt.UTC,
        clock: Callable[[], float] = time.time,
        on_batch: Callable[[Totals], None] | None = None,
    ) -> Self:
        """Start the writer, and wait until the file is open or is known not to open; either way there is a ledger.

        Args:
            path: the file; made if it is not there, in a folder that is.
            retention_days: how long single requests are kept.
            zone: where days and months begin.
            clock: Unix time.
            on_batch: told the totals by the writer's thread, after each batch and when another process changed them.
        """
        ledger = cls(path, retention_days=retention_days, zone=zone, clock=clock, on_batch=on_batch)
        ledger._writer.start()
        ledger._writer.ready.wait(OPEN_PATIENCE_S)
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The book --------------------------------------------------------------------------------------------------------

    reserved: Callable[[Reservation], None]
    """Money was set aside."""

    released: Callable[[str], None]
    """The attempt cost nothing."""

    record: Callable[[Record], int]
    """A request is over. Returns its number."""

    def settle_object(self, object_id: str, usage: Usage, cost: Cost) -> None:
        """The real figures of what was recorded as `open` with this object id; the first time counts, others change nothing.

        What they change shows in the totals after the next batch, in the windows of the record.
        """
        self._inbox.put(Settlement(self._clock(), object_id, usage, cost))

    # What else is kept -----------------------------------------------------------------------------------------------

    def snapshot(self, snapshot: Snapshot) -> None:
        """What OpenAI said of an account."""
        self._inbox.put(SnapshotTaken(snapshot))

    def learn_domain(self, account_id: str, organization: str | None, project: str | None) -> None:
        """Whose an account is; the last word counts."""
        self._inbox.put(DomainLearned(self._clock(), account_id, organization, project))

    def reset(self, holder: Holder, amount: Decimal | None, spans: Sequence[Span], reason: str) -> None:
        """Take an amount (None: all) off what counts in the current day or month."""
        self._inbox.put(Reset(self._clock(), holder, amount, tuple(spans), reason))

    def write(self, operation: Operation) -> None:
        """Anything that knows how to write itself."""
        self._inbox.put(operation)

    # What is known ---------------------------------------------------------------------------------------------------

    def totals(self, now: float | None = None) -> Totals:
        """What was spent in the windows of this moment (default: the present one)."""
        return self._writer.totals.at(self._calendar.at(self._clock() if now is None else now))

    @property
    def opening(self) -> Opening:
        """What was found at the start, such as learned domains and requests that a crash interrupted."""
        return self._writer.opening

    @property
    def on_batch(self) -> Callable[[Totals], None] | None:
        return self._writer.on_batch

    @on_batch.setter
    def on_batch(self, told: Callable[[Totals], None] | None) -> None:
        self._writer.on_batch = told

    def health(self) -> Health:
        """Whether it can be written, and what could not be kept."""
        return self._writer.health()

    def configure(self, *, retention_days: int, zone: dt.tzinfo) -> None:
        """Take over changed settings. Another zone makes other days and months of all that is kept."""
        self._calendar = Calendar(zone)
        self._writer.configure(Calendar(zone), retention_days)

    def close(self, timeout: float = 5.0) -> bool:
        """Write all that was handed over, and end. False when that was not possible in this time (seconds)."""
        return self._writer.close(timeout)
