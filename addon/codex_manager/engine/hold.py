"""Good answers that are held until they have begun: the upstream's answer with its first pieces in hand.

A stream of generation is read until core.hold says that output has come, that it has failed, or that enough was held. What
was read is handed on unchanged when it is let go. A failure before output is a failure like a status: `KeptStreamError`
tells the carriage what it means and can still be handed on as it came.

Law: nothing of it reaches the client before `state` is RELEASE. Reading may be given up by time without losing a byte: the
read that is under way is kept for the next one.
"""

import asyncio

from collections import deque
from collections.abc import Mapping

from codex_manager.core.account import Account
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hold import Hold, Holding, JsonHold, holds, late_failure
from codex_manager.core.stream_usage import UsageRemover
from codex_manager.engine.decode_stream import StreamDecoder
from codex_manager.engine.identity import lower_headers
from codex_manager.engine.kept import KeptError
from codex_manager.engine.messages import Headers, Request, UpstreamCutError
from codex_manager.engine.transport import UpstreamAnswer, Wire


__all__ = ["HeldAnswer", "KeptStreamError", "held"]

CUT = Verdict(failure=FailureClass.TRANSIENT)
"""The stream broke off before anything that matters: the same as a 502."""
TAIL = 4
"""Pieces at the end of a stream in which its failure is looked for."""


def held(request: Request, upstream: UpstreamAnswer, *, asked_extra: bool = False) -> "HeldAnswer | None":
    """The answer to be held, or None when its kind is not; `asked_extra` when its usage was asked for by us."""
    if upstream.status != 200 or request.method != "POST":
        return None
    headers = lower_headers(upstream.headers)
    kind = holds(request.method, request.target, headers.get("content-type", ""), headers.get("content-length"))
    if kind is None:
        return None
    return HeldAnswer(upstream, headers, Hold() if kind == "stream" else JsonHold(), asked_extra=asked_extra)


class HeldAnswer:
    """An upstream's answer; see the module's docstring. Iterate it only once it is released."""

    def __init__(
        self, upstream: UpstreamAnswer, lower: Mapping[str, str], hold: Hold | JsonHold, *, asked_extra: bool = False
    ) -> None:
        self.upstream = upstream
        self.lower = lower
        """Its headers, names in lower case."""
        encoding = lower.get("content-encoding", "")
        self.is_plain = encoding in {"", "identity"}
        """Whether comments can be put between its bytes, or another answer's bytes in their place."""
        self.is_stream = isinstance(hold, Hold)
        self.status: int = upstream.status
        self.reason: str = upstream.reason
        self.headers: Headers = upstream.headers
        self.address: tuple[str, int] | None = upstream.address
        self.pieces: list[bytes] = []
        """What was read and not handed on."""
        self.cut: UpstreamCutError | None = None
        self._hold = hold
        self._asked_extra = asked_extra
        self._decoder = None if self.is_plain else StreamDecoder(encoding)
        self._reading: asyncio.Task[bytes] | None = None
        self._is_over = False
        self._tail: deque[bytes] = deque(maxlen=TAIL if self.is_plain and self.is_stream else 0)
        """The last pieces that were handed on."""

    @property
    def state(self) -> Holding:
        return self._hold.state

    @property
    def verdict(self) -> Verdict:
        """What FAILED means."""
        return self._hold.verdict or CUT

    @property
    def hints(self) -> dict[str, str]:
        """Headers to take hints from: the answer's own, and those in the event that failed."""
        return {**self.lower, **self._hold.hints}

    async def read(self, seconds: float | None) -> Holding:
        """Read until it is decided, or until the time is over: then HOLD."""
        if seconds is None:
            while self.state is Holding.HOLD:
                await self._step()
            return self.state
        deadline = asyncio.get_running_loop().time() + seconds
        while self.state is Holding.HOLD:
            left = deadline - asyncio.get_running_loop().time()
            if not await self._step(left):
                break
        return self.state

    def as_asked(self) -> list[bytes]:
        """What was read, as it would have come had the client alone asked."""
        if not (self._asked_extra and self.is_plain and self.is_stream):
            return list(self.pieces)
        remover = UsageRemover()
        return [*(remover.feed(piece) for piece in self.pieces), remover.close(cut=self.cut is not None)]

    def release(self) -> None:
        """Let it go, whatever it is."""
        self._hold.state = Holding.RELEASE

    async def _step(self, seconds: float | None = None) -> bool:
        """Take the next piece; False when it did not come in time."""
        task = self._reading
        if task is None:
            task = asyncio.Task(self._next(), loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            self._reading = task
            done, _ = await asyncio.wait([task], timeout=seconds)
            if not done:
                return False
        self._reading = None
        try:
            piece = task.result()
        except UpstreamCutError as cut:
            self.cut = cut
            self._hold.end()
            if self.state is not Holding.FAILED:
                self._hold.state, self._hold.verdict = Holding.FAILED, CUT
            return True
        if not piece:
            self._is_over = True
            self._hold.end()
            return True
        self.pieces.append(piece)
        if self._decoder is None:
            self._hold.feed(piece)
        else:
            for plain in self._decoder.feed(piece):
                self._hold.feed(plain)
            if self._decoder.is_lost and self.state is Holding.HOLD:
                self.release()
        return True

    async def _next(self) -> bytes:
        try:
            return await anext(self.upstream)
        except StopAsyncIteration:
            return b""

    # --- as an UpstreamAnswer, once released ---

    @property
    def is_complete(self) -> bool:
        return self.upstream.is_complete

    def failed_late(self) -> tuple[Verdict, Mapping[str, str]] | None:
        """How it has failed after its first output, if it said so, and the headers to take hints from."""
        found = late_failure(b"".join(self._tail)) if self._tail else None
        return None if found is None else (found[0], {**self.lower, **found[1]})

    def __aiter__(self) -> "HeldAnswer":
        return self

    async def __anext__(self) -> bytes:
        piece = await self._piece()
        self._tail.append(piece)
        return piece

    async def _piece(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self._reading is not None:
            task, self._reading = self._reading, None
            piece = await task
            if piece:
                return piece
            self._is_over = True
        if self.cut is not None:
            raise self.cut
        if self._is_over:
            raise StopAsyncIteration
        return await anext(self.upstream)

    def switched(self) -> Wire:
        raise RuntimeError("a held answer has not switched protocols")

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        self.upstream.close()


class KeptStreamError(KeptError):
    """A stream that failed before its first output, understood and kept: it can be handed on as it came."""

    __slots__ = ("held",)

    def __init__(self, answer: HeldAnswer, account: Account) -> None:
        super().__init__(answer.upstream, account)
        self.held = answer
        self.headers = answer.hints
        self.verdict = answer.verdict
        self._held = answer.as_asked()
        self._cut = answer.cut

    def close(self) -> None:
        self.held.close()
