"""The beginning of an answer's body, kept for viewers while it passes by.

Knows mitmproxy's flows and the running loop's timers. Law: bounded by its limit whatever passes; `feed` copies nothing and never
fails; viewers are told of a flow twice a second at most, and only where there is one. What was cut off is said in the flow
(`metadata["codex_manager"]["kept"]`), so that nobody takes a part for the whole.
"""

import asyncio

from collections.abc import Callable
from typing import Final

from mitmproxy import http


__all__ = ["STORED_BODY", "Captured"]

STORED_BODY: Final = 1024 * 1024
"""Inside somebody's own mitmproxy, answers up to this are kept, and those that are larger are not kept at all: its users take what a
flow holds for the whole."""
TELL_S: Final = 0.5


class Captured:
    """Made when the answer's headers are there, fed what passes, ended with it.

    Mutable state: the pieces kept, what has passed, and whether viewers are about to be told.
    """

    __slots__ = ("_ended", "_flow", "_limit", "_pieces", "_response", "_room", "_tell", "_timer", "_whole", "total")

    def __init__(
        self,
        flow: http.HTTPFlow,
        limit: int | None,
        *,
        whole: bool = False,
        tell: Callable[[http.HTTPFlow], None] | None = None,
    ) -> None:
        """Without a `limit` everything is kept; `whole` keeps nothing of what is larger. `tell` tells viewers."""
        assert flow.response is not None
        self._flow, self._response = flow, flow.response
        self._limit = limit
        self._room = limit
        self._whole = whole
        self._tell = tell
        self._pieces: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self.total = 0
        """Bytes that have passed."""

    def feed(self, data: bytes, *, more: bool = True) -> None:
        """Bytes pass by. `more` says that the end is not at hand yet, so that it is worth telling viewers."""
        self.total += len(data)
        room = self._room
        if room is not None:
            if not room:
                return
            if len(data) > room:
                data = data[:room]
            self._room = room - len(data)
        self._pieces.append(data)
        if more and self._timer is None and self._tell is not None:
            self._timer = asyncio.get_running_loop().call_later(TELL_S, self._due)

    def end(self) -> None:
        """Nothing more comes: the flow holds what was kept."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._limit is None or self.total <= self._limit:
            self._response.data.content = self._content()
            return
        kept = 0 if self._whole else self._limit
        self._response.data.content = None if self._whole else self._content()
        facts = self._flow.metadata.setdefault("codex_manager", {})
        if isinstance(facts, dict):
            facts["kept"] = f"{kept} of {self.total} bytes"

    def _content(self) -> bytes:
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def _due(self) -> None:
        self._timer = None
        if self._ended or self._tell is None:
            return
        if not self._whole:
            self._response.data.content = self._content()
        self._tell(self._flow)
