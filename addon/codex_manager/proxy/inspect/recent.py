"""The last requests that are over, as they were recorded, for pages and views to look at without asking the disk.

Knows records. Law: bounded; telling never fails and never waits, so a listener that breaks is logged and the next one is told; a
record is kept only where somebody may ask for it, so not in a proxy without a page.
"""

import logging

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from codex_manager.core.errors import type_and_place
from codex_manager.core.record import Record
from codex_manager.core.telling.story import Story


__all__ = ["Recent"]

log = logging.getLogger(__name__)

OFF: Final = "usage is not counted (metering.enabled is false), so nothing is recorded of requests"
GONE: Final = "no request of this id is among the last {count}: `codex-manager explain {id}` looks in the ledger"
NONE: Final = "this request is not over yet, or it is none of ours"


class Recent:
    """Give `record` to `Runtime.tell_records`. Mutable state: the last records by id, and who listens."""

    def __init__(self, limit: int, *, records: Callable[[], bool] = lambda: True) -> None:
        """`limit` is how many requests are kept; `records` says whether requests are recorded at all."""
        self._limit = limit
        self._records = records
        self._by_id: OrderedDict[str, Record] = OrderedDict()
        self._lost: dict[str, list[Record]] = {}
        """What was booked of attempts that came to nothing, by the id of their request."""
        self._listeners: dict[object, Callable[[Record], None]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def record(self, record: Record) -> None:
        """A request, or a lost attempt of one, is over. Never raises."""
        of = record.detail.get("attempt_of")
        if isinstance(of, str):
            self._lost.setdefault(of, []).append(record)
            if len(self._lost) > self._limit:
                del self._lost[next(iter(self._lost))]
        else:
            self._by_id[record.id] = record
            if len(self._by_id) > self._limit:
                gone, _ = self._by_id.popitem(last=False)
                self._lost.pop(gone, None)
        for listener in tuple(self._listeners.values()):
            try:
                listener(record)
            except Exception as error:  # noqa: BLE001 - whoever watches is not the request's concern
                log.error("a viewer could not be told of a request: %s", type_and_place(error))  # noqa: TRY400 - a message may quote it

    def get(self, request_id: str) -> Record | None:
        """What was recorded of a request."""
        return self._by_id.get(request_id)

    def answers(self, request_id: str) -> tuple[Record, ...]:
        """All of a request, the oldest first: one record, or on a WebSocket one for each answer."""
        if (record := self._by_id.get(request_id)) is not None:
            return (record,)
        beginning = f"{request_id}."
        return tuple(record for name, record in self._by_id.items() if name.startswith(beginning))

    def story(self, request_id: str, labels: Mapping[str, str] | None = None) -> Story | None:
        """A request with what belongs to it; None when it is not known (any more). `labels` are all accounts' by id."""
        record = self._by_id.get(request_id)
        if record is None:
            return None
        lost = tuple(self._lost.get(request_id, ()))
        return Story(record, lost, labels, tuple(labels or ()))

    def latest(self, n: int) -> tuple[Record, ...]:
        """The last `n`, the newest first."""
        names = reversed(self._by_id)
        return tuple(self._by_id[name] for name, _ in zip(names, range(n), strict=False))

    def absence(self, request_id: str | None) -> str:
        """Why there is no story, as a sentence without its full stop."""
        if not self._records():
            return OFF
        return NONE if not request_id else GONE.format(count=self._limit, id=request_id)

    def listen(self, callback: Callable[[Record], None]) -> Callable[[], None]:
        """Be told of every record from now on, lost attempts included; what is returned ends that."""
        ticket = object()
        self._listeners[ticket] = callback

        def unlisten() -> None:
            self._listeners.pop(ticket, None)

        return unlisten
