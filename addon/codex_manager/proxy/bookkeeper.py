"""The book the engine writes to: the ledger, and beside it the sums for `/metrics` and what is learned of domains.

Law: never raises and never waits, whatever becomes of what is beside the ledger; the ledger gets every record first.
"""

import logging

from collections.abc import Callable

from codex_manager.core.errors import type_and_place
from codex_manager.core.pricing import Cost
from codex_manager.core.record import Record, Reservation
from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger
from codex_manager.proxy.domains import Domains
from codex_manager.proxy.metrics import Metrics


__all__ = ["Bookkeeper"]

log = logging.getLogger(__name__)


class Bookkeeper:
    """Implements `codex_manager.engine.book.Book`. Before it is given a ledger it only counts."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._ledger: Ledger | None = None
        self._domains: Domains | None = None
        self._number = 0
        self.told: Callable[[Record], None] | None = None
        """Whoever looks on; must not raise, and if it does, nothing else suffers. None in a proxy without a page."""
        self.watched: Callable[[Record], None] | None = None
        """The same for whoever asks the proxy's own pages for records; None while nobody does."""
        self.reserved = self.released = _not_kept

    def use(self, ledger: Ledger, domains: Domains) -> None:
        """From now on records are kept."""
        self._ledger, self._domains = ledger, domains
        self.reserved, self.released = (
            ledger.reserved,
            ledger.released,
        )  # no call in between on the way of every request

    reserved: Callable[[Reservation], None]
    """Money was set aside."""
    released: Callable[[str], None]
    """The attempt cost nothing."""

    def record(self, record: Record) -> int:
        """A request is over."""
        if self._ledger is not None:
            self._number = self._ledger.record(record)
        try:
            self._metrics.count(record)
            if self._domains is not None and record.account_id is not None and record.domain is not None:
                self._domains.noticed(record.account_id, record.domain)
            if self.told is not None:
                self.told(record)
            if self.watched is not None:
                self.watched(record)
        except Exception as error:  # noqa: BLE001 - counting never fails a request
            log.error("a request was not counted: %s", type_and_place(error))  # noqa: TRY400 - a message may quote it
        return self._number

    def settle_object(self, object_id: str, usage: Usage, cost: Cost) -> None:
        """What was made earlier cost this."""
        if self._ledger is not None:
            self._ledger.settle_object(object_id, usage, cost)


def _not_kept(what: object) -> None:
    """There is no ledger yet."""
