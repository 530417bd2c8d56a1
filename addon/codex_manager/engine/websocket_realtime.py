"""Realtime over WebSocket: a session that holds its conversation, so that it stays where it was opened.

Until something has been said the session can still be moved: while nothing but `session.*` events has gone out, a
failure opens another account's socket and repeats what the client has sent. After that the conversation lives in this
socket alone; a limit is passed on and the session goes on, an empty purse or a refused key ends it.

Each answer has a tab of its own, also those the model gives by itself to what it hears. Once the money for another one
has been spent no `response.create` goes through and no sound: an error event says why, and the session stays.
"""

from dataclasses import replace

from codex_manager.core import marks
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Hint
from codex_manager.core.routing import Facts
from codex_manager.core.socket_events import Event, event_of
from codex_manager.engine.tab import GONE
from codex_manager.engine.websocket_frames import Closed, Message
from codex_manager.engine.websocket_link import LeasedLink
from codex_manager.engine.websocket_session import ELSEWHERE, LOCKED, Session
from codex_manager.engine.websocket_tally import Tally


__all__ = ["RealtimeSession"]

MOVING = frozenset({
    FailureClass.RATE, FailureClass.BILLING, FailureClass.AUTH, FailureClass.MODEL_ACCESS, FailureClass.OVERLOAD,
    FailureClass.TRANSIENT,
})  # fmt: skip
ENDING = frozenset({FailureClass.BILLING, FailureClass.AUTH})
MOST_KEPT, MOST_KEPT_BYTES = 64, 1024 * 1024
"""What a client may have sent before its first answer and still be moved: an update of the session, a few items."""
CUT = Verdict(failure=FailureClass.MID_STREAM)


class RealtimeSession(Session):
    """See the module's docstring. Mutable state: what the client has sent so far, and what it was told, while both are
    little; whether an answer is under way.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as Session's
        self._tally = Tally(self)
        self._kept: list[Message] | None = []
        self._kept_bytes = 0
        self._shown = 0
        """Events about the session that have gone out."""
        self._to_hide = 0
        """Of those, how many the present link is still to repeat."""
        self._speaking = False

    async def said(self, message: Message) -> None:
        if self._engine.locked:
            self.part(LOCKED)
            return
        if isinstance(message.data, str) and (instead := self._tally.said(message.data)) is not None:
            for error in instead:
                await self.deliver(error)
            return
        if self._kept is not None:
            self._kept.append(message)
            self._kept_bytes += len(message.data)
            if len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES:
                self._kept = None
        await self._link.send(message)

    async def heard(self, message: Message) -> None:
        link = self._link
        event = Event("")
        if isinstance(message.data, str):
            event = event_of(message.data, self._tally.transcriber)
            self._tally.heard(event)
        if event.verdict is not None:
            await self._failed(link, message, event, event.verdict)
            return
        if event.kind.startswith("session."):
            if self._to_hide:
                self._to_hide -= 1
                return
            self._shown += 1
        else:
            self._kept = None
            if event.kind == "response.created":
                self._speaking = True
        if event.kind == "response.done":
            self._speaking = False
            now = self._engine.clock.monotonic()
            marks.answered(self._engine.state, link.lease, None, now)
            marks.ended_well(link.lease, now)
        await self.deliver(message)
        self.rest()

    async def _failed(self, link: LeasedLink, message: Message, event: Event, verdict: Verdict) -> None:
        self.mark(link.lease, verdict, event.hints)
        async with self._lock:
            if self._ended or link is not self._link:
                return
            if self._kept is not None and not self._fixed and verdict.failure in MOVING:
                gone = self._facts if verdict.failure is FailureClass.RATE else self._without(link)
                if self.could_serve(gone):
                    self._facts = gone
                    answer = await self.switch(gone)
                    if answer is None:
                        return
                    await answer.aclose()
        self._speaking = False
        await self.deliver(message)
        if verdict.failure in ENDING and not self._fixed and self.could_serve(self._facts, without=link.account.id):
            self.part(ELSEWHERE)
        self.rest()

    def _without(self, link: LeasedLink) -> Facts:
        return replace(self._facts, tried=self._facts.tried | {link.account.id})

    async def ready(self, link: LeasedLink) -> Verdict | None:
        for message in self._kept or ():
            await link.send(message)
        self._tally.moved(link.account)
        self._to_hide = self._shown
        return None

    async def cut(self, closed: Closed) -> None:
        await super().cut(closed)
        self._tally.end(CUT.failure.value)
        if self._speaking and closed.code is None:
            engine = self._engine
            now = engine.clock.monotonic()
            marks.failed(engine.state, self._link.lease, CUT, Hint(None), self._facts.access, now, engine.random)

    def is_busy(self) -> bool:
        return self._speaking

    def let_go(self) -> None:
        """The link's lease is the only one."""
        self._tally.end(GONE)
