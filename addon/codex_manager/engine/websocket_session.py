"""A client's WebSocket carried over the accounts: what Responses and Realtime have in common.

Knows the accounts' state and how a link is exchanged for one to another account when that cannot be noticed. Law: what
went wrong is marked as the same error over HTTP would be, and before another account is chosen.
"""

import json

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from codex_manager.core import marks
from codex_manager.core.decision import choose
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import cooling_hint
from codex_manager.core.openai_error import RATE_LIMIT_EXCEEDED, ErrorAnswer
from codex_manager.core.routing import Candidate, Choice, Facts, Obstacle, Refusal
from codex_manager.core.socket_events import verdict_of_close
from codex_manager.core.state import Lease
from codex_manager.engine import explain
from codex_manager.engine.asking import Asked
from codex_manager.engine.carry import Carriage
from codex_manager.engine.delivery import own_answer
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.metering import Metering
from codex_manager.engine.tab import NO_TAB, Tab
from codex_manager.engine.websocket_frames import Closed, Message
from codex_manager.engine.websocket_link import LeasedLink
from codex_manager.engine.websocket_pipe import PassedSession


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["ELSEWHERE", "LEAVING", "LOCKED", "Session"]

ELSEWHERE = Closed(1013, "another account can serve: connect again")
LOCKED = Closed(1013, "the vault is locked")
LEAVING = frozenset({FailureClass.RATE, FailureClass.BILLING, FailureClass.AUTH})
"""Failures after which the client is better off with another account, which it gets by connecting again."""


class Session(PassedSession, ABC):
    """See the module's docstring."""

    _link: LeasedLink

    def __init__(self, engine: "Engine", request: Request, facts: Facts, link: LeasedLink, *, fixed: bool) -> None:
        super().__init__(link)
        self._engine = engine
        self._request = request
        self._facts = facts
        self._fixed = fixed
        """Only this account can serve (an ephemeral secret of its own)."""
        self._answers = 0
        """How many have been asked for."""

    @property
    def account_label(self) -> str:
        """Who serves now."""
        return self._link.account.label

    @property
    def link(self) -> LeasedLink:
        """The present one."""
        return self._link

    @property
    def facts(self) -> Facts:
        """What is known of the session."""
        return self._facts

    @property
    def client(self) -> str:
        """Name of the local key."""
        return self._request.client

    @property
    def metering(self) -> Metering:
        """Who counts."""
        return self._engine.metering

    async def aclose(self) -> None:
        """Nobody listens any more."""
        try:
            await super().aclose()
        finally:
            self.let_go()

    @abstractmethod
    def let_go(self) -> None:
        """End the leases of what is under way."""

    @abstractmethod
    async def ready(self, link: LeasedLink) -> Verdict | None:
        """Bring a new link to where the old one was; what failed, or None. Called with the lock held."""

    async def cut(self, closed: Closed) -> None:
        """The reason of a close frame may be an error."""
        if closed.code is not None and (verdict := verdict_of_close(closed.reason)) is not None:
            self.mark(self._link.lease, verdict, {})

    # --- helpers of both kinds ---

    def open_tab(self, asked: Asked, session: str | None = None) -> Tab:
        """The tab of the next answer on this socket; `session` is the conversation's key where the answer knows it better."""
        self._answers += 1
        session = session or self._facts.session
        return self._engine.metering.open(self._request, asked, session=session, number=self._answers)

    def beyond_limit(self, facts: Facts) -> ErrorAnswer | None:
        """What is said when the present account's money for this has been spent; else None."""
        engine = self._engine
        candidate = self.candidate(self._link.account.id)
        if candidate is None or not engine.metering.is_on:
            return None
        engine.metering.tick()
        now = engine.clock.monotonic()
        decision = choose(facts, [candidate], engine.state, engine.policy, now)
        if isinstance(decision, Refusal) and decision.reasons[0].obstacle is Obstacle.SPENDING:
            return explain.all_blocked(decision, facts, now)
        return None

    def mark(self, lease: Lease, verdict: Verdict, hints: Mapping[str, str]) -> None:
        """What a failure does to what is known of the accounts."""
        if self._fixed and verdict.failure is FailureClass.AUTH:
            return  # the secret was refused, not the account's key
        engine = self._engine
        hint = cooling_hint(hints, verdict.message, engine.clock.time())
        access = lease.model or self._facts.access
        marks.failed(engine.state, lease, verdict, hint, access, engine.clock.monotonic(), engine.random)
        if verdict.failure is FailureClass.AUTH:
            engine.recheck.notice()

    def candidate(self, account_id: str) -> Candidate | None:
        """The account as it can be chosen now; None when it was removed."""
        return next((c for c in self._engine.candidates if c.account.id == account_id), None)

    def could_serve(self, facts: Facts, *, without: str | None = None) -> bool:
        """Whether an account, other than the one named, could serve right now."""
        engine = self._engine
        others = [c for c in engine.candidates if c.account.id != without]
        now = engine.clock.monotonic()
        return bool(others) and isinstance(choose(facts, others, engine.state, engine.policy, now), Choice)

    async def switch(self, facts: Facts, tab: Tab = NO_TAB) -> Answer | None:
        """Exchange the link; None when that went well, else the answer that says why not. Called with the lock held.

        `tab` is that of the answer for which it is done: what it may cost is set aside with the account that is found.
        """
        engine = self._engine
        for _ in range(engine.settings.max_attempts):
            if engine.locked or not engine.candidates:
                return own_answer(explain.locked() if engine.locked else explain.no_accounts())
            answer, link = await Carriage(engine, self._request, facts=facts, tab=tab).open()
            if link is None:
                return answer
            try:
                verdict = await self.ready(link)
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
    async def told(answer: Answer) -> Message:
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
