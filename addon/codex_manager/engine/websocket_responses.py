"""Responses over WebSocket: each `response.create` is a request of its own, on a socket that may change its account.

A turn is one `response.create` with its answer. Its first events, which say nothing yet, are held back for a moment; a
failure until then moves the turn to another account's socket, unless it is tied to this one: by what it continues, or by
things only this account has. A warm-up (`generate: false`) ties nothing, because it can be made again: it is, on the new
socket, and the turn that continues it is given the new id.

A tied turn that meets a limit, an empty purse or a refused key while another account could serve ends the socket (1013)
before anything of it is out: connecting again the client sends it whole, and it is nobody's any more.

A turn that could not be served here is not sent here: the account's model scope, its rest, its purse are asked before
each frame, as before each request.
"""

from collections import OrderedDict, deque
from dataclasses import replace

from codex_manager.core import marks
from codex_manager.core.decision import choose
from codex_manager.core.failure import FailureClass, Final, Verdict
from codex_manager.core.hints import Hint
from codex_manager.core.openai_error import ErrorAnswer
from codex_manager.core.routing import Choice, Facts, Refusal
from codex_manager.core.session import told_key
from codex_manager.core.socket_events import Event, create_of, event_of, with_previous
from codex_manager.core.usage import Usage
from codex_manager.engine import explain
from codex_manager.engine.delivery import own_answer
from codex_manager.engine.identity import lower_headers
from codex_manager.engine.messages import Answer
from codex_manager.engine.repeats import STORMY
from codex_manager.engine.tab import GONE, Used
from codex_manager.engine.websocket_frames import Closed, Message
from codex_manager.engine.websocket_link import LeasedLink
from codex_manager.engine.websocket_named import NamedFrame
from codex_manager.engine.websocket_session import ELSEWHERE, LEAVING, Session
from codex_manager.engine.websocket_turn import Turn, asked_for


__all__ = ["ResponsesSession"]

EARLY = frozenset({"response.created", "response.in_progress", "response.queued"})
"""Events that come before anything is known of the answer."""
ASIDE = frozenset({"codex.rate_limits", "rate_limits.updated"})
"""Events about the account, which belong to no answer."""
LAST = frozenset({"response.completed", "response.incomplete", "response.cancelled", "response.done"})
HOLD_S = 3.0  # semantics §3, hold_headers_ms
MOST_HELD, MOST_HELD_BYTES = 64, 256 * 1024  # semantics §3
MOST_WARMUPS = 8
LONGEST_WARMUP = 1024 * 1024  # characters kept so that a warm-up can be made again
MOVING = frozenset({
    FailureClass.RATE, FailureClass.BILLING, FailureClass.AUTH, FailureClass.MODEL_ACCESS, FailureClass.OVERLOAD,
    FailureClass.TRANSIENT,
})  # fmt: skip
CUT = Verdict(failure=FailureClass.MID_STREAM)


UNKNOWN = frozenset({CUT.failure.value, GONE})
"""Ends after which nobody says what was used."""


class ResponsesSession(Session):
    """See the module's docstring. Mutable state: the turns in order, and the warm-ups with their ids on this link."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as Session's
        self._turns: deque[Turn] = deque()
        self._warmups: OrderedDict[str, Message] = OrderedDict()
        """Warm-ups that can be made again, by the id the client knows."""
        self._headers = lower_headers(self._request.headers)
        self._here: dict[str, str] = {}
        """Their ids on the present link."""

    # --- from the client ---

    async def said(self, message: Message) -> None:
        create = create_of(message.data) if isinstance(message.data, str) else None
        self._engine.metering.tick()
        if create is None:
            for turn in self._turns:
                turn.committed = True  # a frame about an answer under way would have to be repeated too
            await self._link.send(message)
            return
        now = self._engine.clock.monotonic()
        # as over HTTP, so that a client that falls back to it goes on where it was
        session = told_key(self.client, create.model, self._headers, create.prompt_cache_key)
        tab = self.open_tab(asked_for(create), session)
        access = create.model or "/v1/responses"
        facts = Facts(model=create.model, access=access, tokens=create.tokens, need=tab.need, session=session)
        turn = Turn(message, create, facts, now, tab, NamedFrame(self._engine, str(message.data), create, facts, tab))
        if self._engine.locked:
            await self._turn_down(turn, own_answer(explain.locked()))
            return
        self._engine.budget.request(now)
        if (error := tab.refusal()) is not None:
            await self._turn_down(turn, own_answer(error))
            return
        if (error := self._place(turn)) is not None:
            await self._turn_down(turn, own_answer(error))
            return
        while not self._turns and not self._fits(turn) and (self._is_free(turn) or self._is_elsewhere(turn)):
            self._turns.append(turn)
            answer = await self.switch(turn.facts, tab)
            if answer is None:
                return
            self._turns.remove(turn)
            if not turn.named.gives_way(turn.facts) or self._place(turn) is not None:
                await self._turn_down(turn, answer)
                return
            await answer.aclose()
        if (error := self.beyond_limit(turn.facts)) is not None:
            elsewhere = (
                not self._fixed and not self._turns and self.could_serve(turn.facts, without=self._link.account.id)
            )
            await self._turn_down(turn, own_answer(error), silently=elsewhere)
            if elsewhere:
                self.part(ELSEWHERE)  # it is tied to what this socket knows: sent whole it is not
            return
        self._turns.append(turn)
        await self._put(self._link, turn, self._here)

    async def _turn_down(self, turn: Turn, answer: Answer, *, silently: bool = False) -> None:
        """Nobody serves the turn."""
        turn.tab.answered(answer)
        if silently:
            await answer.aclose()
            return
        await self.deliver(await self.told(answer))
        self.rest()

    def _place(self, turn: Turn) -> ErrorAnswer | None:
        """Where the turn may go, of what is known; why it can go nowhere."""
        facts = turn.named.placed(turn.facts)
        if isinstance(facts, ErrorAnswer):
            return facts
        turn.facts, turn.message = facts, turn.named.message
        if isinstance(turn.message.data, str):
            turn.create = create_of(turn.message.data) or turn.create
        return None

    def _is_elsewhere(self, turn: Turn) -> bool:
        """Whether what the turn names is another account's."""
        owner = turn.facts.owner
        if owner is None or self._fixed or turn.create.previous in self._warmups:
            return False
        return self._link.account.id not in owner

    def _is_free(self, turn: Turn) -> bool:
        """Whether nothing ties the turn to the account it is with."""
        create = turn.create
        return (
            not self._fixed
            and not turn.committed
            and not create.tied
            and (create.previous is None or create.previous in self._warmups)
        )

    def _fits(self, turn: Turn) -> bool:
        """Whether the present account can serve the turn now."""
        candidate = self.candidate(self._link.account.id)
        if candidate is None or (turn.create.previous is not None and turn.create.previous not in self._here):
            return False
        engine = self._engine
        decision = choose(turn.facts, [candidate], engine.state, engine.policy, engine.clock.monotonic())
        return isinstance(decision, Choice)

    async def _put(self, link: LeasedLink, turn: Turn, here: dict[str, str]) -> None:
        """Send a turn's frame; from now on the account works for it."""
        engine, create = self._engine, turn.create
        candidate = self.candidate(link.account.id)
        if candidate is not None:
            now = engine.clock.monotonic()
            turn.lease = engine.state.begin(
                candidate.account, candidate.origin, create.model, create.tokens, now, session=turn.facts.session
            )
            turn.named.sent(turn.lease)
        turn.tab.begin(link.account)
        message, previous = turn.message, create.previous
        if previous is not None and here.get(previous, previous) != previous and isinstance(message.data, str):
            message = Message(with_previous(message.data, previous, here[previous]))
        await link.send(message)
        turn.tab.sent()

    # --- from the upstream ---

    async def heard(self, message: Message) -> None:
        link = self._link
        event = event_of(message.data) if isinstance(message.data, str) else Event("")
        turn = self._turns[0] if self._turns else None
        if turn is not None and isinstance(message.data, str):
            turn.named.heard(message.data)
        if event.verdict is not None:
            await self._failed(link, turn, message, event, event.verdict)
        elif turn is None or event.kind in ASIDE:
            await self.deliver(message)
        elif event.kind in EARLY and self._is_free(turn) and self._may_hold(turn, message):
            turn.held_since = turn.held_since or self._engine.clock.monotonic()
            turn.held.append(message)
            turn.held_bytes += len(message.data)
        else:
            if event.kind not in EARLY:
                turn.spoken = True
                turn.tokens += event.tokens
                turn.first_byte = turn.first_byte or self._engine.clock.monotonic()
                self._has_answered(turn)
            await self._release(turn)
            if event.kind in LAST:
                self._remember_warmup(turn, event)
                self._finish(turn, well=True, usage=event.usage)
            await self.deliver(message)
            self.rest()

    @staticmethod
    def _may_hold(turn: Turn, message: Message) -> bool:
        return len(turn.held) < MOST_HELD and turn.held_bytes + len(message.data) <= MOST_HELD_BYTES

    def patience(self) -> float | None:
        since = self._turns[0].held_since if self._turns else 0.0
        return max(since + HOLD_S - self._engine.clock.monotonic(), 0.0) if since else None

    async def fell_silent(self) -> None:
        if self._turns:
            await self._release(self._turns[0])

    async def _release(self, turn: Turn) -> None:
        """From here on the turn belongs to this account."""
        turn.committed = True
        held, turn.held, turn.held_since = turn.held, [], 0.0
        for message in held:
            await self.deliver(message)

    def _has_answered(self, turn: Turn) -> None:
        if turn.answered or turn.lease is None:
            return
        turn.answered = True
        engine = self._engine
        marks.answered(engine.state, turn.lease, None, engine.clock.monotonic())
        if turn.lease.holds:
            engine.state.free_holds(turn.lease)
            engine.waiting.wake()

    def _remember_warmup(self, turn: Turn, event: Event) -> None:
        create, name = turn.create, event.response_id
        if not create.warms_up or name is None or create.tied or create.previous is not None:
            return
        if len(turn.message.data) <= LONGEST_WARMUP:
            self._warmups[name] = turn.message
            self._here[name] = name
            while len(self._warmups) > MOST_WARMUPS:
                self._here.pop(self._warmups.popitem(last=False)[0], None)

    def _finish(self, turn: Turn, *, well: bool, failure: str = "", usage: Usage | None = None) -> None:
        if turn in self._turns:
            self._turns.remove(turn)
        self._end_lease(turn, well=well)
        if usage is None and (turn.spoken or not failure or failure in UNKNOWN):
            usage = turn.tab.asked.comes_to(turn.tokens)
        turn.tab.finish(failure, Used(usage=usage), status=200, first_byte=turn.first_byte, streamed=True)

    def _end_lease(self, turn: Turn, *, well: bool = False) -> None:
        lease, turn.lease = turn.lease, None
        if lease is not None and lease.is_open:
            if well:
                turn.named.served(lease)
                marks.ended_well(lease, self._engine.clock.monotonic())
            self._engine.end(lease)

    # --- failures ---

    async def _failed(
        self, link: LeasedLink, turn: Turn | None, message: Message, event: Event, verdict: Verdict
    ) -> None:
        lease = turn.lease if turn is not None and turn.lease is not None else link.lease
        self.mark(lease, verdict, event.hints)
        if turn is not None:
            self._end_lease(turn)
            async with self._lock:
                if self._ended or link is not self._link:
                    return
                if self._may_move(turn, verdict, link):
                    turn.tab.given_up(verdict.failure.value, verdict.code, Used(usage=event.usage))
                    answer = await self.switch(turn.facts, turn.tab)
                    if answer is None:
                        return
                    if verdict.rule.final is Final.BLOCKED and answer.account_id is None:
                        message = await self.told(answer)
                    else:
                        await answer.aclose()
            self._finish(turn, well=False, failure=verdict.failure.value, usage=event.usage)
        leaves = verdict.failure in LEAVING and not verdict.oversized and not self._fixed and not self._turns
        leaves = leaves and self.could_serve(turn.facts if turn is not None else self._facts, without=link.account.id)
        if leaves and turn is not None and not turn.spoken:
            # The frame would stop the client, or have it wait for this account: measured with Codex 0.169, it gives up at
            # once on `insufficient_quota` and waits out the Retry-After of a 429. The close alone has it connect again.
            self.part(ELSEWHERE)
            return
        if turn is not None and event.kind != "error":  # `response.created` without an end would leave a client waiting
            await self._release(turn)
        await self.deliver(message)
        if leaves:
            self.part(ELSEWHERE)
        self.rest()

    def _may_move(self, turn: Turn, verdict: Verdict, link: LeasedLink) -> bool:
        """Whether to try another account; from then on the turn does not come back to what has failed it."""
        engine, settings, now = self._engine, self._engine.settings, self._engine.clock.monotonic()
        failure = verdict.failure
        if failure not in MOVING or not all(self._is_free(each) for each in self._turns):
            return False
        if turn.moves + 1 >= settings.max_attempts or now - turn.began > settings.attempt_budget_s:
            return False
        facts = turn.facts
        if verdict.oversized:
            standing = engine.state.accounts.get(link.account.id)
            if standing is not None:
                facts = replace(facts, tried_domains=facts.tried_domains | {standing.domain})
        elif failure is not FailureClass.RATE:
            ask_excluded = facts.ask_excluded and failure is not FailureClass.MODEL_ACCESS
            facts = replace(facts, tried=facts.tried | {link.account.id}, ask_excluded=ask_excluded)
        if failure in STORMY or failure is FailureClass.MODEL_ACCESS:
            decision = choose(facts, engine.candidates, engine.state, engine.policy, now)
            if isinstance(decision, Refusal) or (failure in STORMY and turn.stormy):
                return False
            if failure in STORMY and decision.clouds and not engine.budget.spend(now):
                return False
        turn.stormy += failure in STORMY
        turn.moves += 1
        turn.facts = facts
        turn.held, turn.held_bytes, turn.held_since = [], 0, 0.0
        return True

    async def ready(self, link: LeasedLink) -> Verdict | None:
        here: dict[str, str] = {}
        for previous in {turn.create.previous for turn in self._turns} & self._warmups.keys():
            assert previous is not None
            made = await self._warm_up(link, self._warmups[previous])
            if not isinstance(made, str):
                return made
            here[previous] = made
        for turn in self._turns:
            self._end_lease(turn)
            turn.answered = False
            await self._put(link, turn, here)
        self._here = here
        return None

    async def _warm_up(self, link: LeasedLink, message: Message) -> str | Verdict:
        """Make a warm-up again: the id it has there."""
        await link.send(message)
        while isinstance(found := await link.receive(), Message):
            event = event_of(found.data) if isinstance(found.data, str) else Event("")
            if event.verdict is not None:
                self.mark(link.lease, event.verdict, event.hints)
                return event.verdict
            if event.kind in LAST and event.response_id is not None:
                self._warmed_up(link, message, event)
                return event.response_id
        return CUT

    def _warmed_up(self, link: LeasedLink, message: Message, event: Event) -> None:
        """Making it again cost something again."""
        create = create_of(message.data) if isinstance(message.data, str) else None
        if create is not None:
            tab = self.open_tab(asked_for(create))
            tab.begin(link.account)
            tab.finish("", Used(usage=event.usage or tab.asked.goes_in), status=200)

    # --- the end ---

    async def cut(self, closed: Closed) -> None:
        await super().cut(closed)
        engine = self._engine
        for turn in list(self._turns):
            await self._release(turn)
            if turn.lease is not None and closed.code is None:
                now = engine.clock.monotonic()
                marks.failed(engine.state, turn.lease, CUT, Hint(None), turn.facts.access, now, engine.random)
            self._finish(turn, well=False, failure=CUT.failure.value)

    def is_busy(self) -> bool:
        return bool(self._turns)

    def let_go(self) -> None:
        for turn in list(self._turns):
            self._finish(turn, well=False, failure=GONE)
