"""An upstream error that was read so that it can be understood, and can still be handed on unchanged.

Law: the client gets the very bytes that came, whatever was decoded to understand them. At most 64 KiB are held; what is
longer stays in the connection until somebody takes it or it is dropped.
"""

import asyncio

from collections.abc import AsyncIterator

from codex_manager.core.account import Account
from codex_manager.core.endpoint import Replay
from codex_manager.core.failure import Rule, Verdict, classify
from codex_manager.engine.decode import LARGEST, decoded
from codex_manager.engine.identity import lower_headers
from codex_manager.engine.messages import UpstreamCutError
from codex_manager.engine.transport import UpstreamAnswer


__all__ = ["KeptError"]

READING_S = 10.0
"""An error is a few hundred bytes that come with its headers; whoever takes longer is passed on as it trickles."""


class KeptError:
    """One error answer, understood and kept."""

    __slots__ = ("_cut", "_held", "account", "headers", "upstream", "verdict")

    def __init__(self, upstream: UpstreamAnswer, account: Account) -> None:
        self.upstream = upstream
        self.account = account
        """Whose answer it is."""
        self.headers = lower_headers(upstream.headers)
        self._held: list[bytes] = []
        self._cut: UpstreamCutError | None = None
        self.verdict: Verdict

    async def read(self) -> "KeptError":
        """Read up to 64 KiB and understand them."""
        size = 0
        try:
            async with asyncio.timeout(READING_S):
                async for piece in self.upstream:
                    self._held.append(piece)
                    size += len(piece)
                    if size >= LARGEST:
                        break
        except TimeoutError:
            # Cancelling the read closed the connection; what came is handed on as a cut answer.
            self._cut = UpstreamCutError("the upstream's error took too long")
        except UpstreamCutError as cut:
            self._cut = cut
        body = b"".join(self._held)
        encoding = self.headers.get("content-encoding")
        readable = decoded(body, encoding) if encoding else body[:LARGEST]
        self.verdict = classify(self.upstream.status, self.headers, readable)
        return self

    def rule_for(self, replay: Replay) -> Rule:  # noqa: ARG002 - the same question is asked of engine.broken.Broken
        """What follows from it."""
        return self.verdict.rule

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's own bytes."""
        for piece in self._held:
            yield piece
        if self._cut is not None:
            raise self._cut
        if not self.upstream.is_complete:
            async for piece in self.upstream:
                yield piece

    def close(self) -> None:
        self.upstream.close()
