"""One open WebSocket to an upstream: its frames; and, to one of the accounts, the lease it holds while it lives.

Law: the connection is let go, and the lease ended, exactly once. Pings are answered here; a close frame is answered once.
Nothing raises: a connection that breaks is `ABNORMAL`, and what is written to it then is lost, as on any wire.
"""

import asyncio

from collections import deque
from typing import TYPE_CHECKING

from codex_manager.core.account import Account
from codex_manager.core.state import Lease
from codex_manager.engine.identity import lower_headers
from codex_manager.engine.transport import Phase, TransportError, Trouble, UpstreamAnswer
from codex_manager.engine.websocket_frames import ABNORMAL, Closed, Frames, Message, Ping, Pong


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["LeasedLink", "Link"]

PARTING_S = 1.0
"""How long the upstream's answer to our close frame is waited for."""


class Link:
    """See the module's docstring. Mutable state: the frames', and what came and was not asked for yet."""

    def __init__(self, upstream: UpstreamAnswer, limit: int) -> None:
        """Take over a connection whose 101 has come.

        Raises:
            TransportError: the 101 agrees to what was not offered.
        """
        agreed = lower_headers(upstream.headers).get("sec-websocket-extensions", "")
        try:
            self._frames = Frames(client=True, extensions=agreed, limit=limit)
        except ValueError:
            text = "the upstream answered the WebSocket handshake with an extension nobody offered"
            raise TransportError(text, phase=Phase.SENT, trouble=Trouble.GARBAGE) from None
        self._upstream = upstream
        self._wire = upstream.switched()
        self._came: deque[Message | Closed] = deque()
        self.is_ended = False
        """`receive` has said how it ended."""

    async def receive(self) -> Message | Closed:
        """The next message, or how the socket ended. One caller at a time; safe to cancel."""
        while not self._came:
            if self.is_ended:
                return ABNORMAL
            data = await self._wire.read()
            if not data:
                self._came.append(ABNORMAL)
                break
            answers = b""
            for event in self._frames.feed(data):
                if isinstance(event, Ping):
                    answers += self._frames.pong(event.payload)
                elif isinstance(event, Closed):
                    answers += self._frames.close(event.code, event.reason if event.broken else "")
                    self._came.append(event)
                elif not isinstance(event, Pong):
                    self._came.append(event)
            if answers:
                await self._wire.write(answers)
        event = self._came.popleft()
        self.is_ended = isinstance(event, Closed)
        return event

    async def send(self, message: Message) -> None:
        """Send a message."""
        await self._wire.write(self._frames.message(message))

    async def ping(self, payload: bytes) -> None:
        """Show the edge in front of the upstream that somebody is there; the pong is for nobody."""
        await self._wire.write(self._frames.ping(payload))

    async def part(self, code: int | None, reason: str) -> None:
        """Close in order: say so, give the upstream a moment to answer, then let go."""
        try:
            await self._wire.write(self._frames.close(code, reason))
            async with asyncio.timeout(PARTING_S):
                while not self.is_ended:
                    await self.receive()
        except TimeoutError:
            pass  # it was told; whoever does not answer is left without
        finally:
            self.abort()

    async def leave(self) -> None:
        """Close in order, without waiting for an answer: the client goes on elsewhere."""
        try:
            await self._wire.write(self._frames.close(1000))
        finally:
            self.abort()

    def abort(self) -> None:
        """Let the connection go at once."""
        self.is_ended = True
        self._upstream.close()


class LeasedLink(Link):
    """To one of the accounts."""

    def __init__(self, engine: "Engine", lease: Lease, upstream: UpstreamAnswer, account: Account, limit: int) -> None:
        """As `Link`; the lease is this link's from now on."""
        super().__init__(upstream, limit)
        self.account = account
        self.lease = lease
        self._engine = engine

    def abort(self) -> None:
        """Let the connection go, and the lease with it."""
        super().abort()
        self._engine.end(self.lease)
