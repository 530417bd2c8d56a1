"""The requests that are over, for whoever asks the proxy's own page for them, and only as long as somebody does.

Law: costs nothing while nobody asks: it listens from the first question on, and ends `PATIENCE_S` after the last. Bounded.
"""

import asyncio

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from codex_manager.core.record import Record
from codex_manager.core.telling.record_line import as_line
from codex_manager.proxy.numbered import Numbered


__all__ = ["MOST", "PATIENCE_S", "Audience"]

MOST: Final = 2000
PATIENCE_S: Final = 30.0


class Audience:
    """Mutable state: the last records and when somebody asked for them, while somebody does."""

    def __init__(self, listen: Callable[[Callable[[Record], None] | None], None], clock: Callable[[], float]) -> None:
        """`listen` has a callback told of every record, or with None nobody any more; `clock` is Unix time."""
        self._listen = listen
        self._clock = clock
        self._records: Numbered[Record] = Numbered(MOST)
        self._since: float | None = None
        self._leaving: asyncio.TimerHandle | None = None

    @property
    def is_there(self) -> bool:
        """Whether somebody asks."""
        return self._since is not None

    def page(self, after: int, limit: int) -> dict[str, Any]:
        """Those that came after the one of this number; the first question gets none."""
        if self._since is None:
            self._since = self._clock()
            self._listen(self._records.add)
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = asyncio.get_running_loop().call_later(PATIENCE_S, self.leave)
        found = self._records.after(after, limit)
        return {
            "number": found.last,
            "missed": found.missed,
            "since": datetime.fromtimestamp(self._since, UTC).isoformat(timespec="milliseconds"),
            "requests": [{"number": number, **as_line(record)} for number, record in found],
        }

    def leave(self) -> None:
        """Nobody asks any more. Safe to call twice."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._since is not None:
            self._listen(None)
        self._since = self._leaving = None
        self._records.clear()
