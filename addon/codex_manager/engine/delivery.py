"""Answers on their way to the client: the upstream's own bytes with the lease they hold, kept errors, and our own.

Law: a lease ends when the last byte has been handed over, when the answer breaks off, or when the client lets go,
whichever comes first, and exactly once. Bytes are handed on as they arrive.
"""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Hint, cooling_hint
from codex_manager.core.openai_error import ErrorAnswer, error_body
from codex_manager.core.state import Lease
from codex_manager.engine.hold import HeldAnswer
from codex_manager.engine.identity import answer_headers
from codex_manager.engine.kept import KeptError
from codex_manager.engine.messages import Answer, UpstreamCutError
from codex_manager.engine.tab import GONE
from codex_manager.engine.tap import Tap
from codex_manager.engine.transport import UpstreamAnswer


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["bad_request", "delivered", "internal_error", "own_answer", "verbatim", "without_body"]

CUT = Verdict(failure=FailureClass.MID_STREAM)
NO_HINT = Hint(None)


class Delivery:
    """The body of a good answer, the lease it holds, and the tap that counts it."""

    __slots__ = ("_cut", "_engine", "_lease", "_tap", "_upstream")

    def __init__(self, engine: "Engine", lease: Lease, upstream: UpstreamAnswer, tap: Tap | None) -> None:
        self._engine = engine
        self._lease = lease
        self._upstream = upstream
        self._tap = tap
        self._cut: UpstreamCutError | None = None
        """The upstream broke off; to be said after what had been held back."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        tap = self._tap
        if self._cut is not None:
            raise self._cut
        try:
            if tap is None:
                return await anext(self._upstream)
            while True:
                if piece := tap.feed(await anext(self._upstream)):
                    return piece
        except StopAsyncIteration:
            failure = self._ended()
            if tap is not None:
                tap.end(failure)
                if rest := tap.rest():
                    return rest
            raise
        except UpstreamCutError as cut:
            if self._lease.is_open:
                engine = self._engine
                marks.failed(engine.state, self._lease, CUT, NO_HINT, "", engine.clock.monotonic(), engine.random)
                engine.end(self._lease)
            if tap is not None:
                tap.end(CUT.failure.value)
                if rest := tap.rest(cut=True):
                    self._cut = cut
                    return rest
            raise
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """The client has everything, or has gone: then the upstream is let go at once and nobody is to blame."""
        upstream = self._upstream
        failure = "" if upstream.is_complete else GONE
        if self._lease.is_open and isinstance(upstream, HeldAnswer) and upstream.failed_late() is not None:
            failure = self._ended()
        upstream.close()
        self._engine.end(self._lease)
        if self._tap is not None:
            self._tap.end(failure)

    def _ended(self) -> str:
        """The stream is over: well, or with a failure it says in its last words. That one's class, or nothing."""
        lease, engine, upstream = self._lease, self._engine, self._upstream
        found = upstream.failed_late() if isinstance(upstream, HeldAnswer) else None
        now = engine.clock.monotonic()
        if found is None:
            if lease.is_open:
                marks.ended_well(lease, now)
                engine.end(lease)
            return ""
        verdict, headers = found
        if lease.is_open:
            # Output has come: what is not about a limit, a purse or a key weighs as a stream that broke off.
            marked = CUT if verdict.failure is FailureClass.TRANSIENT else verdict
            hint = cooling_hint(headers, verdict.message, engine.clock.time())
            marks.failed(engine.state, lease, marked, hint, lease.model or "", now, engine.random)
            engine.end(lease)
        return verdict.failure.value


def delivered(
    engine: "Engine", lease: Lease, upstream: UpstreamAnswer, account: Account, tap: Tap | None = None
) -> Answer:
    """A good answer."""
    delivery = Delivery(engine, lease, upstream, tap)
    return Answer(
        status=upstream.status,
        reason=upstream.reason,
        headers=answer_headers(upstream.headers),
        body=delivery,
        aclose=delivery.aclose,
        account_id=account.id,
        account_label=account.label,
        upstream_address=upstream.address,
        first_byte_at=engine.clock.time(),
    )


def verbatim(kept: KeptError, at: float = 0.0) -> Answer:
    """An upstream error as it came."""

    async def aclose() -> None:
        kept.close()

    return Answer(
        status=kept.upstream.status,
        reason=kept.upstream.reason,
        headers=answer_headers(kept.upstream.headers),
        body=kept.body(),
        aclose=aclose,
        account_id=kept.account.id,
        account_label=kept.account.label,
        upstream_address=kept.upstream.address,
        first_byte_at=at,
        failure=kept.verdict.failure.value,
    )


def own_answer(error: ErrorAnswer) -> Answer:
    """An answer of our own, whole."""

    async def body() -> AsyncIterator[bytes]:
        yield error.body

    async def nothing() -> None:
        """Nothing is held open for it."""

    return Answer(
        status=error.status,
        reason=HTTPStatus(error.status).phrase,
        headers=error.headers,
        body=body(),
        aclose=nothing,
        failure=error.code,
    )


async def without_body() -> AsyncIterator[bytes]:
    """For HEAD: the headers of the answer are all there is."""
    return
    yield b""


def bad_request(message: str) -> ErrorAnswer:
    """400 for what cannot be put on the wire."""
    return _plain(400, error_body(message, type="invalid_request_error", code=None), "bad_request")


def internal_error() -> ErrorAnswer:
    """500: we broke, not the upstream."""
    text = "Something broke inside codex-manager; its log says what. The request was not sent on."
    return _plain(500, error_body(text, type="server_error", code=None), "internal_error")


def _plain(status: int, body: bytes, code: str) -> ErrorAnswer:
    headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    return ErrorAnswer(status=status, headers=headers, body=body, code=code)
