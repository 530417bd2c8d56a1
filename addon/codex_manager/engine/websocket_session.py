"""A client's WebSocket carried over the accounts: what both kinds have in common.

Theory of operation. A session has one link at a time, to one account. Two tasks work for it: `_listen` takes what the
link brings, lets `heard` judge it, and puts what is for the client into a short queue; `_speak` takes what the client
sent and lets `said` bring it to the link. Either may exchange the link for one to another account (`_switch`) when that
cannot be noticed; the lock keeps the other from writing meanwhile. What the client gets is in `receive`, in order, and
`Closed` is the last of it.

Law: every session ends in a `Closed`, also when this code fails. A slow client stops the reading upstream, a slow upstream
stops the reading from the client (`full`, `room`). `aclose` leaves nothing behind: no task, no connection, no lease.
"""

import asyncio
import json
import logging

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from codex_manager.core import marks
from codex_manager.core.decision import choose
from codex_manager.core.errors import type_and_place
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import cooling_hint
from codex_manager.core.openai_error import RATE_LIMIT_EXCEEDED, ErrorAnswer
from codex_manager.core.routing import Candidate, Choice, Facts
from codex_manager.core.socket_events import verdict_of_close
from codex_manager.core.state import Lease
from codex_manager.engine import explain
from codex_manager.engine.carry import Carriage
from codex_manager.engine.delivery import own_answer
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.websocket_frames import ABNORMAL, Closed, Message
from codex_manager.engine.websocket_link import Link


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Session"]

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
ELSEWHERE = Closed(1013, "another account can serve: connect again")
LOCKED = Closed(1013, "the vault is locked")
LEAVING = frozenset({FailureClass.RATE, FailureClass.BILLING, FailureClass.AUTH})
"""Failures after which the client is better off with another account, which it gets by connecting again."""


class Session(ABC):
    """See the module's docstring."""

    def __init__(self, engine: "Engine", request: Request, facts: Facts, link: Link, *, fixed: bool) -> None:
        self._engine = engine
        self._request = request
        self._facts = facts
        self._link = link
        self._fixed = fixed
        """Only this account can serve (an ephemeral secret of its own)."""
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
        """Who serves now."""
        return self._link.account.label

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
        self._part(closed, closed)

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
            self._draining = asyncio.get_running_loop().call_later(DRAIN_S, self._part, STOPPING)
            self._rest()

    async def aclose(self) -> None:
        """Nobody listens any more. In order after a `Closed` with a code, at once otherwise."""
        self._ended = True
        if self._draining is not None:
            self._draining.cancel()
        self._room_in.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._let_go()
        if self._parting is not None:
            await self._link.part(self._parting.code, self._parting.reason)
        else:
            self._link.abort()

    # --- what each kind decides ---

    @abstractmethod
    async def said(self, message: Message) -> None:
        """Bring a message of the client's to the link. Called with the lock held."""

    @abstractmethod
    async def heard(self, link: Link, message: Message) -> None:
        """Judge a message of the upstream's, and bring it to the client (`_deliver`) unless it is better not to."""

    @abstractmethod
    async def fell_silent(self) -> None:
        """Nothing came for as long as `patience` said."""

    def patience(self) -> float | None:
        """Seconds after which `fell_silent` wants to be called if nothing comes."""
        return None

    @abstractmethod
    async def cut(self, closed: Closed) -> None:
        """The link has ended: bring what was held back to the client and mark what was under way."""

    @abstractmethod
    def is_busy(self) -> bool:
        """Something is under way that should not be cut off by a drain."""

    @abstractmethod
    def _let_go(self) -> None:
        """End the leases of what is under way."""

    @abstractmethod
    async def _ready(self, link: Link) -> Verdict | None:
        """Bring a new link to where the old one was; what failed, or None. Called with the lock held."""

    # --- helpers of both kinds ---

    async def _deliver(self, message: Message) -> None:
        while not self._ended and self._out.qsize() >= MOST_QUEUED:
            self._roomy_out.clear()
            await self._roomy_out.wait()
        if not self._ended:
            self._out.put_nowait(message)

    def _end(self, closed: Closed) -> None:
        """The last thing the client gets."""
        if not self._ended:
            self._ended = True
            self._roomy_out.set()
            self._room_in.set()
            self._out.put_nowait(closed)

    def _part(self, closed: Closed, upstream: Closed = NORMAL) -> None:
        """End, and close the link in order."""
        if not self._ended:
            self._parting = upstream
        self._end(closed)

    def _rest(self) -> None:
        """Nothing may be under way any more; a drain was waiting for that."""
        if self._draining is not None and not self.is_busy():
            self._part(STOPPING)

    def _mark(self, lease: Lease, verdict: Verdict, hints: Mapping[str, str]) -> None:
        engine = self._engine
        hint = cooling_hint(hints, verdict.message, engine.clock.time())
        access = lease.model or self._facts.access
        marks.failed(engine.state, lease, verdict, hint, access, engine.clock.monotonic(), engine.random)
        if verdict.failure is FailureClass.AUTH:
            engine.recheck.notice()

    def _candidate(self, account_id: str) -> Candidate | None:
        return next((c for c in self._engine.candidates if c.account.id == account_id), None)

    def _could_serve(self, facts: Facts, *, without: str | None = None) -> bool:
        """Whether an account, other than the one named, could serve right now."""
        engine = self._engine
        others = [c for c in engine.candidates if c.account.id != without]
        now = engine.clock.monotonic()
        return bool(others) and isinstance(choose(facts, others, engine.state, engine.policy, now), Choice)

    async def _switch(self, facts: Facts) -> Answer | None:
        """Exchange the link; None when that went well, else the answer that says why not. Called with the lock held."""
        engine = self._engine
        for _ in range(engine.settings.max_attempts):
            if engine.locked or not engine.candidates:
                return own_answer(explain.locked() if engine.locked else explain.no_accounts())
            answer, link = await Carriage(engine, self._request, facts=facts).open()
            if link is None:
                return answer
            try:
                verdict = await self._ready(link)
            except BaseException:
                link.abort()
                raise
            if verdict is None:
                old, self._link = self._link, link
                self.moves += 1
                await old.leave()
                return None
            link.abort()
        text = "The accounts tried cannot serve now."
        return own_answer(ErrorAnswer.of(RATE_LIMIT_EXCEEDED, text, retry_after_s=explain.SOONEST_S))

    @staticmethod
    async def _told(answer: Answer) -> Message:
        """An answer as the error frame it would be."""
        body = b"".join([piece async for piece in answer.body])
        await answer.aclose()
        try:
            error = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            error = {"message": f"status {answer.status}", "type": "server_error", "param": None, "code": None}
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in answer.headers
            if name.lower() in {b"retry-after", b"retry-after-ms"}
        }
        frame = {"type": "error", "status": answer.status, "error": error}
        return Message(json.dumps({**frame, "headers": headers} if headers else frame))

    # --- the two tasks ---

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a WebSocket could not be carried on: %s", type_and_place(error))  # noqa: TRY400 - a traceback may quote a header
            self._end(BROKEN)

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
                await self.heard(link, found)
                continue
            if found.code is not None and (verdict := verdict_of_close(found.reason)) is not None:
                self._mark(link.lease, verdict, {})
            await self.cut(found)
            self._end(found if found.code is not None and not found.broken else ABNORMAL)

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
