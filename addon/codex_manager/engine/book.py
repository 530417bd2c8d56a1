"""The port to who keeps the records of what the engine does.

Law: nothing here blocks and nothing raises, whatever the state of the disk; a record that cannot be kept is counted by
whoever keeps them, never the engine's concern.
"""

from typing import Protocol

from codex_manager.core.pricing import Cost
from codex_manager.core.record import Record, Reservation
from codex_manager.core.usage import Usage


__all__ = ["Book", "NoBook"]


class Book(Protocol):
    """Keeps records; called from the event loop."""

    def reserved(self, reservation: Reservation) -> None:
        """Money was set aside. It is let go by the record of the same id, or by `released`."""
        ...

    def released(self, reservation_id: str) -> None:
        """The attempt cost nothing."""
        ...

    def record(self, record: Record) -> int:
        """A request is over. Returns its number: `Spending.load` is told up to which number the ledger's totals reach."""
        ...

    def settle_object(self, object_id: str, usage: Usage, cost: Cost) -> None:
        """What was made earlier has come to its end and cost this. Counts once, and only for a record that is `open`."""
        ...


class NoBook:
    """Keeps nothing: for tests and for `metering.enabled: false`."""

    def __init__(self) -> None:
        self._count = 0

    def reserved(self, reservation: Reservation) -> None:
        pass

    def released(self, reservation_id: str) -> None:
        pass

    def record(self, record: Record) -> int:  # noqa: ARG002 - the port's signature
        self._count += 1
        return self._count

    def settle_object(self, object_id: str, usage: Usage, cost: Cost) -> None:
        pass
