"""A client's WebSocket joined to one of an upstream: what comes from either side, in order, bounded, to its end.

Theory of operation. There is one link at a time. Two tasks work: `_listen` takes what the link brings, lets `heard` judge
it, and what is for the client goes into a short queue; `_speak` takes what the client sent and lets `said` bring it to
the link. As it stands a session passes everything on as it comes; `engine.websocket_session` carries over accounts, and
may exchange the link; the lock keeps the other task from writing meanwhile. What the client gets is in `receive`, in
order, and `Closed` is the last of it.

Law: every session ends in a `Closed`, also when this code fails. A slow client stops the reading upstream, a slow upstream
stops the reading from the client (`full`, `room`). `aclose` leaves nothing behind: no task, no connection, no lease.
"""

import asyncio
import logging

from collections import deque
from collections.abc import Coroutine
from typing import Any

from codex_manager.core.errors import type_and_place
from codex_manager.engine.websocket_frames import ABNORMAL, Closed, Message
from codex_manager.engine.websocket_link import Link


__all__ = ["STOPPING", "PassedSession"]

log = logging.getLogger(__name__)

MOST_QUEUED = 32
"""Messages that wait for a slow client before the upstream is not read any more."""
HIGH_WATER, LOW_WATER = 1024 * 1024, 256 * 1024
"""Bytes of the client's that wait for a slow upstream, or for another account, before the client is not read any more."""
DRAIN_S = 8.0
"""What is under way may take this long once the process is to end; the launcher allows 10 s for everything."""
NORMAL = Closed(1000)
BROKEN = Closed(1011, "codex-manager failed; its log says where")
STOPPING = Closed(1001, "codex-manager is stopping")


class PassedSession:
    """See the module's docstring."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._out: asyncio.Queue[Message | Closed] = asyncio.Queue()
        self._roomy_out = asyncio.Event()
        self._in: deque[Message | bytes] = deque()
        self._in_size = 0
        self._arrived = asyncio.Event()
        self._room_in = asyncio.Event()
        self._room_in.set()
        self._ended = False
        """`Closed` is in the queue: nothing more is."""
        self._parting: Closed | None = None
        """How to take leave of the upstream; None aborts."""
        self._draining: asyncio.TimerHandle | None = None
        self.moves = 0
        """How often the link was exchanged."""

    # --- what the client's side asks ---

    @property
    def account_label(self) -> str:
        """Who serves now; nobody of ours."""
        return ""

    def start(self) -> None:
        """Begin to carry."""
        self._tasks = [
            asyncio.create_task(self._guarded(self._listen()), name="WebSocket, from upstream"),
            asyncio.create_task(self._guarded(self._speak()), name="WebSocket, to upstream"),
        ]

    async def receive(self) -> Message | Closed:
        """What comes next for the client; after `Closed` nothing does."""
        found = await self._out.get()
        self._roomy_out.set()
        return found

    def receive_now(self) -> Message | Closed | None:
        """The same, if it is there already."""
        if self._out.empty():
            return None
        self._roomy_out.set()
        return self._out.get_nowait()

    def send(self, message: Message) -> None:
        """Take a message of the client's."""
        self._take(message, len(message.data))

    def ping(self, payload: bytes) -> None:
        """The client shows that it is there; it has its pong already."""
        self._take(payload, len(payload))

    def finish(self, closed: Closed) -> None:
        """The client has closed in order: so does the link."""
        self.part(closed, closed)

    @property
    def full(self) -> bool:
        """More waits than should: stop reading from the client."""
        return not self._room_in.is_set()

    async def room(self) -> None:
        """Wait until there is room again."""
        await self._room_in.wait()

    def drain(self) -> None:
        """The process is about to end: finish what is under way, then close."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().call_later(DRAIN_S, self.part, STOPPING)
            self.rest()

    async def aclose(self) -> None:
        """Nobody listens any more. In order after a `Closed` with a code, at once otherwise."""
        self._ended = True
        if self._draining is not None:
            self._draining.cancel()
        self._room_in.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._parting is not None:
            await self._link.part(self._parting.code, self._parting.reason)
        else:
            self._link.abort()

    # --- what may be decided otherwise ---

    async def said(self, message: Message) -> None:
        """Bring a message of the client's to the link. Called with the lock held."""
        await self._link.send(message)

    async def heard(self, message: Message) -> None:
        """Judge a message of the upstream's, and bring it to the client (`deliver`) unless it is better not to."""
        await self.deliver(message)

    def patience(self) -> float | None:
        """Seconds after which `fell_silent` wants to be called if nothing comes."""
        return None

    async def fell_silent(self) -> None:
        """Nothing came for as long as `patience` said."""

    async def cut(self, closed: Closed) -> None:
        """The link has ended: bring what was held back to the client and mark what was under way."""

    def is_busy(self) -> bool:
        """Something is under way that should not be cut off by a drain."""
        return False

    # --- for whoever decides otherwise ---

    async def deliver(self, message: Message) -> None:
        """Queue a message for the client, when there is room."""
        while not self._ended and self._out.qsize() >= MOST_QUEUED:
            self._roomy_out.clear()
            await self._roomy_out.wait()
        if not self._ended:
            self._out.put_nowait(message)

    def end(self, closed: Closed) -> None:
        """The last thing the client gets."""
        if not self._ended:
            self._ended = True
            self._roomy_out.set()
            self._room_in.set()
            self._out.put_nowait(closed)

    def part(self, closed: Closed, upstream: Closed = NORMAL) -> None:
        """End, and close the link in order."""
        if not self._ended:
            self._parting = upstream
        self.end(closed)

    def rest(self) -> None:
        """Nothing may be under way any more; a drain was waiting for that."""
        if self._draining is not None and not self.is_busy():
            self.part(STOPPING)

    # --- the two tasks ---

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a WebSocket could not be carried on: %s", type_and_place(error))  # noqa: TRY400 - a message may quote a frame
            self.end(BROKEN)

    async def _listen(self) -> None:
        while not self._ended:
            link = self._link
            try:
                async with asyncio.timeout(self.patience()):
                    found = await link.receive()
            except TimeoutError:
                await self.fell_silent()
                continue
            if link is not self._link:
                continue
            if isinstance(found, Message):
                await self.heard(found)
                continue
            await self.cut(found)
            self.end(found if found.code is not None and not found.broken else ABNORMAL)

    async def _speak(self) -> None:
        while True:
            while not self._in:
                self._arrived.clear()
                await self._arrived.wait()
            message = self._in.popleft()
            self._in_size -= len(message if isinstance(message, bytes) else message.data)
            if self._in_size <= LOW_WATER:
                self._room_in.set()
            async with self._lock:
                if self._ended:
                    return
                if isinstance(message, bytes):
                    await self._link.ping(message)
                else:
                    await self.said(message)

    def _take(self, message: Message | bytes, size: int) -> None:
        if self._ended:
            return
        self._in.append(message)
        self._in_size += size
        if self._in_size > HIGH_WATER:
            self._room_in.clear()
        self._arrived.set()
