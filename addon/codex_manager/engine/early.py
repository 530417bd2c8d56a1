"""An answer whose headers went out before anybody knew whether it would succeed.

A reasoning model may announce itself at once and say its first word minutes later; a client must not wait so long for the
headers. So after a moment they go out, comments keep the connection alive, and the stream goes on being held: when it
fails before its first output the request still moves to another account, whose stream then follows under these headers.

Law: no byte of an event goes out before its stream is let go. When no account can serve after all, the client gets the
events of the stream that failed, as they came: they say why in the client's own terms.
"""

import asyncio

from collections.abc import AsyncIterator, Awaitable, Callable

from codex_manager.engine.decode_stream import StreamDecoder
from codex_manager.engine.hold import HeldAnswer
from codex_manager.engine.identity import answer_headers, lower_headers
from codex_manager.engine.messages import Answer, UpstreamCutError


__all__ = ["COMMENT", "KEEP_ALIVE_S", "EarlyBody", "early_answer"]

KEEP_ALIVE_S = 5.0
COMMENT = b": codex-manager is waiting for the first output\n\n"

type Journey = Callable[[], Awaitable[Answer]]


class EarlyBody:
    """The body. Mutable state: the task that finds the answer, and then that answer."""

    def __init__(self, first: HeldAnswer, journey: Journey) -> None:
        self.answer: Answer | None = None
        """What follows the headers, once it is known."""
        self.told: Answer | None = None
        """The answer this is the body of; gets what is true in the end."""
        self._first = first
        self._body: AsyncIterator[bytes] | None = None
        self._task = asyncio.ensure_future(journey())

    def __aiter__(self) -> "EarlyBody":
        return self

    async def __anext__(self) -> bytes:
        if self._body is None:
            done, _ = await asyncio.wait([self._task], timeout=KEEP_ALIVE_S)
            if not done:
                return COMMENT
            self._body = self._following(self._task.result())
        return await anext(self._body)

    def _following(self, answer: Answer) -> AsyncIterator[bytes]:
        self.answer = answer
        told = self.told
        if told is not None:
            told.account_id, told.account_label = answer.account_id, answer.account_label
            told.retries, told.failure = answer.retries, answer.failure
            if told.facts is not answer.facts:
                told.facts.update(answer.facts)
        headers = lower_headers(answer.headers)
        if answer.status != 200 or not headers.get("content-type", "").startswith("text/event-stream"):
            return _as_it_came(self._first.as_asked())
        encoding = headers.get("content-encoding", "")
        return answer.body if encoding in {"", "identity"} else _decoded(answer.body, encoding)

    async def aclose(self) -> None:
        """The client has everything, or has gone."""
        if self.answer is None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.answer is None and not self._task.cancelled() and self._task.exception() is None:
            self.answer = self._task.result()
        if self.answer is not None:
            await self.answer.aclose()


def early_answer(first: HeldAnswer, journey: Journey, *, at: float) -> Answer:
    """The answer that goes out now; `journey` finds what follows, and is cancelled when the client leaves."""
    body = EarlyBody(first, journey)
    answer = Answer(
        status=first.status,
        reason=first.reason,
        headers=answer_headers(first.headers),
        body=body,
        aclose=body.aclose,
        upstream_address=first.address,
        first_byte_at=at,
    )
    body.told = answer
    return answer


async def _as_it_came(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _decoded(body: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The headers that are out promised plain bytes."""
    decoder = StreamDecoder(encoding)
    async for piece in body:
        for plain in decoder.feed(piece):
            yield plain
        if decoder.is_lost:
            raise UpstreamCutError("the answer that followed could not be decoded")
