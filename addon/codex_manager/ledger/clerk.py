"""The ledger as commands write to it: one thing at a time, on disk when the call returns, with errors.

Law: writes under the same lock as a running proxy, in whose totals it shows within a second. Never makes days and months those of another
zone: that is the proxy's to decide.
"""

import datetime as dt
import time
import zoneinfo

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Self

from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.database import Database
from codex_manager.ledger.operations import Changed, DomainLearned, Operation, Reset, SnapshotTaken, Span
from codex_manager.ledger.totals import Holder
from codex_manager.ledger.upkeep import set_zone, zone_of


__all__ = ["Clerk"]


class Clerk:
    """Opens the file for each thing it writes, and closes it again."""

    def __init__(self, path: Path, *, zone: dt.tzinfo = dt.UTC, clock: Callable[[], float] = time.time) -> None:
        """`zone` is for a ledger that is made by this; one that is there keeps its own."""
        self.path = path
        self._zone = zone
        self._clock = clock

    @classmethod
    def open(cls, path: Path, *, zone: dt.tzinfo = dt.UTC) -> Self:
        """The same, as the other ways to a ledger are called; nothing is opened yet."""
        return cls(path, zone=zone)

    def reset(self, holder: Holder, amount: Decimal | None, spans: Sequence[Span], reason: str) -> list[Changed]:
        """Take an amount (None: all) off what counts against limits in the current day or month; what was recorded stays.

        Raises:
            LedgerError: it could not be written; nothing was changed.
        """
        (changed,) = self.write(Reset(self._clock(), holder, amount, tuple(spans), reason))
        assert isinstance(changed, list)
        return changed

    def snapshot(self, *snapshots: Snapshot) -> None:
        """Keep what OpenAI said.

        Raises:
            LedgerError: it could not be written.
        """
        self.write(*map(SnapshotTaken, snapshots))

    def learn_domain(self, account_id: str, organization: str | None, project: str | None) -> None:
        """Keep whose an account is.

        Raises:
            LedgerError: it could not be written.
        """
        self.write(DomainLearned(self._clock(), account_id, organization, project))

    def write(self, *operations: Operation) -> list[object]:
        """Write all or nothing; returns what each one said.

        Raises:
            LedgerError: it could not be written; nothing was changed.
        """
        database = Database(self.path)
        with database.held():
            database.open()
            try:
                with database.write() as connection:
                    calendar = self._calendar(zone_of(connection))
                    set_zone(connection, calendar)  # of a new file; another's is the same
                    return [operation.apply(connection, calendar) for operation in operations]
            finally:
                database.close()

    def _calendar(self, name: str | None) -> Calendar:
        if name is None:
            return Calendar(self._zone)
        try:
            return Calendar(dt.UTC if name == "UTC" else zoneinfo.ZoneInfo(name))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            return _named(name)


def _named(name: str) -> Calendar:
    """UTC, under the name of a zone that this machine does not know."""
    calendar = Calendar(dt.UTC)
    calendar.name = name
    return calendar
