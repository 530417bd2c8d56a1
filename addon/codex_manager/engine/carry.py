"""One request carried over the accounts until one of them answers: the "next" column of semantics §3.

Theory of operation. Decide (core.decision), take a lease in the same breath (core.state), send. A good answer goes to the
client with its lease still held until its last byte. Anything else is read and understood, marked (core.marks), and the
rule of its class (core.failure.RULES) says what follows: the same account once more, another one, or the client gets an
answer, this one or one of ours.

Three bounds keep a dead upstream from a storm: `max_attempts` and `attempt_budget_s` for every request, and, for failures
that take no account out of the choice (OVERLOAD, TRANSIENT, AMBIGUOUS), `max_domains` and the retry budget. RATE, BILLING,
AUTH, MODEL_ACCESS and PRE_DISPATCH are not bounded by these two: each takes its account, scope or place out of the choice,
so they end by themselves, and a request must be able to walk past three limited accounts to a healthy fourth. For the
same reason a move to an account nothing speaks against is free, and only a try where failure is known costs budget.

Law: a body of which a byte was taken is never sent again. Whatever ends a request ends its lease. When the
task is cancelled the upstream connection is aborted before the cancellation goes on.
"""

import asyncio

from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codex_manager.core import marks, tokens
from codex_manager.core.account import Account
from codex_manager.core.body import facts as body_facts
from codex_manager.core.decision import choose
from codex_manager.core.endpoint import describe
from codex_manager.core.failure import FailureClass, Final, Rule
from codex_manager.core.hints import Hint, cooling_hint, headroom
from codex_manager.core.hold import Holding
from codex_manager.core.openai_error import RATE_LIMIT_EXCEEDED, ErrorAnswer
from codex_manager.core.routing import Choice, Facts, Obstacle, Refusal
from codex_manager.core.session import session_key, told_key
from codex_manager.core.state import Lease
from codex_manager.engine import explain
from codex_manager.engine.asking import asked_of, asking_for_usage
from codex_manager.engine.broken import Broken
from codex_manager.engine.delivery import bad_request, delivered, own_answer, verbatim
from codex_manager.engine.early import early_answer
from codex_manager.engine.hold import HeldAnswer, KeptStreamError, held
from codex_manager.engine.identity import UnsendableError, lower_headers
from codex_manager.engine.kept import KeptError
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.tab import GONE, NO_TAB, Tab, Used
from codex_manager.engine.tap import Tap
from codex_manager.engine.transport import BodyFailedError, Phase, TransportError, Trouble, UpstreamAnswer
from codex_manager.engine.websocket_link import LeasedLink


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Carriage"]

STORMY = frozenset({FailureClass.OVERLOAD, FailureClass.TRANSIENT, FailureClass.AMBIGUOUS})
"""Failures that leave their account in the choice: repeats after them cost budget."""
UNRELATED = frozenset({Obstacle.TRIED, Obstacle.DISABLED, Obstacle.MODEL_SCOPE, Obstacle.UNUSABLE})
"""Obstacles that do not say why the accounts that were asked could not serve; then their last answer says it better."""
LONGEST_PAUSE_S = 5.0
"""A Retry-After longer than this is not waited out on the same account; another one is asked at once."""


class OnceBody:
    """A body that can be read once, and knows whether it was begun."""

    __slots__ = ("_body", "taken")

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.taken = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.taken = True
        return await anext(self._body)


class Carriage:
    """The journey of one request. Make one, `run` it once."""

    def __init__(
        self, engine: "Engine", request: Request, *, facts: Facts | None = None, tab: Tab | None = None
    ) -> None:
        """`facts` are those of a WebSocket, which are not in its handshake's body; `tab` that of an answer on it, which
        goes on when this journey is over.
        """
        self._engine = engine
        self._link: LeasedLink | None = None
        self._now = engine.clock.monotonic
        headers = lower_headers(request.headers)
        endpoint = describe(request.method, request.target)
        self._once: OnceBody | None = None
        content_type = headers.get("content-type")
        if isinstance(request.body, bytes):
            body = request.body
        else:
            body = b""
            self._once = OnceBody(request.body)
            request = replace(request, body=self._once)
        said = body_facts(content_type, body, headers.get("content-encoding"))
        estimate = 0
        if said.model is not None:
            estimate = tokens.estimate(body, content_type=content_type, max_output_tokens=said.max_output_tokens)
        self._request = request
        self._asking: Request | None = None
        """The same, asking for the stream's usage, which the client did not."""
        self._replay = endpoint.replay_with(creates_state=said.creates_state)
        session = told_key(request.client, said.model, headers, said.prompt_cache_key)
        if session is None and engine.policy.strategy == "sticky":
            session = session_key(request.client, said.model, headers, body)
        self._metering = engine.metering
        self._owns_tab = tab is None
        if tab is None:
            tab = NO_TAB
            if self._metering.is_on:
                asked = asked_of(request.method, endpoint, said, body, headers)
                tab = self._metering.open(request, asked, session=session)
                self._asking = asking_for_usage(request, endpoint, said, headers, engine.settings.stream_usage)
        self._tab = tab
        access = said.model or f"/v1/{endpoint.family}"
        self._facts = facts or Facts(
            model=said.model,
            access=access,
            tokens=estimate,
            need=tab.need,
            free=tab.asked.is_free,
            session=session,
        )
        # All mutable state of the journey: attempts, those of them that reached an upstream, moves that cost budget, when
        # it must have found an account, whom it tried, and what is kept in case nothing better comes.
        self._attempts = 0
        self._sent = 0
        self._same_tries = 0
        self._moves = 0
        self._began = self._now()
        self._waited_until: float | None = None
        self._tried: list[str] = []
        self._first_access: KeptError | None = None
        self._last: KeptError | None = None
        self._refusal: Refusal | None = None
        self._is_early = False
        """The client has the headers already (engine.early)."""

    async def open(self) -> tuple[Answer, LeasedLink | None]:
        """Carry a WebSocket's handshake: the answer, and the link that was opened if one was."""
        answer = await self.run()
        return answer, self._link

    async def run(self) -> Answer:
        """Carry the request. Raises nothing but CancelledError."""
        self._engine.budget.request(self._began)
        return await self._closed(self._journey())

    async def _closed(self, journey: Coroutine[Any, Any, Answer]) -> Answer:
        """However the journey ends, nothing is left open but its answer."""
        try:
            answer = await journey
        except BaseException as error:
            self._drop()
            if self._owns_tab:
                self._tab.abandon(GONE if isinstance(error, asyncio.CancelledError) else "internal_error")
            raise
        if self._owns_tab:
            self._tab.answered(answer, self._refusal)
        return answer

    async def _journey(self) -> Answer:
        engine = self._engine
        while True:
            self._metering.tick()
            if (error := self._tab.refusal()) is not None:
                self._drop()
                return own_answer(error)
            decision = choose(self._facts, engine.candidates, engine.state, engine.policy, self._now())
            if isinstance(decision, Refusal):
                if await self._may_wait(decision):
                    continue
                return self._refused(decision)
            answer = await self._try(decision)
            if answer is not None:
                return answer

    # --- nobody can serve now ---

    async def _may_wait(self, refusal: Refusal) -> bool:
        """Wait for the earliest recovery when it is near; False when it is not, or there is no room to wait."""
        settings = self._engine.settings
        soonest, now = refusal.soonest(), self._now()
        if (
            soonest is None
            or settings.max_inline_wait_s <= 0
            or self._last_final() not in {None, Final.BLOCKED, Final.FIRST}
        ):
            return False
        if self._waited_until is None:
            self._waited_until = now + settings.max_inline_wait_s
        if soonest > self._waited_until or now >= self._waited_until or self._sent >= settings.max_attempts:
            return False
        if len(self._engine.waiting) >= settings.max_waiting:
            return False
        await self._engine.waiting.wait(max(soonest - now, 0.001))
        return True

    def _last_final(self) -> Final | None:
        return self._last.verdict.rule.final if self._last is not None else None

    def _refused(self, refusal: Refusal) -> Answer:
        """Nothing is left to try: the answer that says most about why."""
        last, first = self._last, self._first_access
        waiting_may_help = any(r.obstacle in explain.WAITING_HELPS | explain.MONEY for r in refusal.reasons)
        if first is not None and not waiting_may_help:
            return self._verbatim(first, refusal)
        explained = any(r.obstacle not in UNRELATED for r in refusal.reasons)
        if last is not None and (last.verdict.rule.final is Final.VERBATIM or not explained):
            return self._verbatim(last, refusal)
        self._drop()
        return self._told(own_answer(explain.all_blocked(refusal, self._facts, self._now())), refusal)

    # --- one attempt ---

    async def _try(self, choice: Choice, failed: KeptError | None = None) -> Answer | None:
        """Send to the chosen account; the client's answer, or None when the next decision may be better.

        `failed` is what has become of it already.
        """
        same_tries = 0
        while True:
            outcome: Answer | KeptError | Broken
            if failed is not None:
                outcome, failed = failed, None
            else:
                self._attempts += 1
                self._tried.append(choice.candidate.account.label)
                outcome = await self._attempt(choice, fresh=same_tries > 0)
                # A place that cannot be reached is tried twice at most and costs no upstream anything.
                self._sent += not (isinstance(outcome, Broken) and outcome.error.phase is Phase.NOT_CONNECTED)
            if isinstance(outcome, Answer):
                return outcome
            if self._asked_too_much(outcome, choice):
                continue
            rule = outcome.rule_for(self._replay)
            if not self._may_repeat(rule):
                return self._final(outcome, choice)
            if same_tries < rule.same_tries and await self._same_again(rule, outcome, choice):
                same_tries += 1
                self._keep(outcome)
                continue
            if not self._may_move(rule, outcome, choice):
                return self._final(outcome, choice)
            self._keep(outcome)
            return None

    async def _attempt(self, choice: Choice, *, fresh: bool) -> Answer | KeptError | Broken:
        engine, facts, account = self._engine, self._facts, choice.candidate.account
        lease = engine.state.begin(
            account, choice.candidate.origin, facts.model, facts.tokens, self._now(), session=facts.session
        )
        try:
            self._tab.begin(account, choice)
            asking = self._asking if choice.candidate.origin not in self._metering.unaided else None
            upstream = await engine.send(account.id, asking or self._request, fresh=fresh, on_sent=self._tab.sent)
            try:
                if upstream.status < 400:
                    return await self._arrived(lease, upstream, choice, asked_extra=asking is not None)
                return await self._failed(lease, upstream, account)
            except BaseException:
                upstream.close()
                raise
        except TransportError as error:
            return self._broken(lease, error)
        except (BodyFailedError, UnsendableError) as error:
            engine.end(lease)
            self._tab.refused(0, "bad_request")
            return own_answer(bad_request(f"This request cannot be sent: {error}."))
        except BaseException:
            engine.end(lease)
            raise

    async def _arrived(
        self, lease: Lease, upstream: UpstreamAnswer, choice: Choice, *, asked_extra: bool
    ) -> Answer | KeptError:
        """A good status: the answer, once it has begun; or its failure, when it says one first."""
        answer = held(self._request, upstream)
        if answer is None:
            return self._good(lease, upstream, choice, asked_extra=asked_extra)
        try:
            await answer.read(None if self._is_early else self._engine.settings.hold_headers_s)
            if answer.state is Holding.HOLD:
                if answer.is_plain and answer.is_stream:
                    return self._goes_out_early(lease, answer, choice, asked_extra=asked_extra)
                answer.release()
            return self._decided(lease, answer, choice, asked_extra=asked_extra)
        except BaseException:
            answer.close()
            raise

    def _decided(self, lease: Lease, answer: HeldAnswer, choice: Choice, *, asked_extra: bool) -> Answer | KeptError:
        if answer.state is not Holding.FAILED:
            return self._good(lease, answer, choice, asked_extra=asked_extra)
        engine, now = self._engine, self._now()
        kept = KeptStreamError(answer, choice.candidate.account)
        verdict = kept.verdict
        marks.arrived(engine.state, lease, answer.lower, now)
        hint = cooling_hint(kept.headers, verdict.message, engine.clock.time())
        marks.failed(engine.state, lease, verdict, hint, self._facts.access, now, engine.random)
        engine.end(lease)
        used = self._used(answer)
        said = used.usage is not None and not used.usage.estimated
        self._tab.given_up(verdict.failure.value, verdict.code, used if said else Used())
        return kept

    def _used(self, answer: HeldAnswer) -> Used:
        """What a held answer says it has used, or about."""
        if self._tab is NO_TAB:
            return Used()
        tap = Tap(self._tab, answer.status, answer.lower, asked_extra=False)
        for piece in answer.pieces:
            tap.feed(piece)
        return tap.used()

    def _goes_out_early(self, lease: Lease, answer: HeldAnswer, choice: Choice, *, asked_extra: bool) -> Answer:
        """The headers go out; what follows them is still open."""
        self._is_early = True
        self._tab.arrived(answer.status)

        async def go_on() -> Answer:
            outcome: Answer | KeptError | None = None
            try:
                await answer.read(None)
                outcome = self._decided(lease, answer, choice, asked_extra=asked_extra)
            finally:
                if outcome is None:  # the client left
                    answer.close()
                    self._engine.end(lease)
                    self._tab.finish(GONE, self._used(answer), streamed=True)
            if isinstance(outcome, Answer):
                return outcome
            found = await self._try(choice, outcome)
            return found if found is not None else await self._journey()

        early = early_answer(answer, lambda: self._closed(go_on()), at=self._engine.clock.time())
        early.account_id, early.account_label = choice.candidate.account.id, choice.candidate.account.label
        return self._told(early, choice)

    def _good(self, lease: Lease, upstream: UpstreamAnswer, choice: Choice, *, asked_extra: bool) -> Answer:
        engine, now = self._engine, self._now()
        if upstream.status == 101:
            lease.session = None  # bound, but a handshake is no turn
            self._link = LeasedLink(engine, lease, upstream, choice.candidate.account, self._request.message_limit)
        self._drop()
        headers = lower_headers(upstream.headers)
        marks.arrived(engine.state, lease, headers, now)
        marks.answered(engine.state, lease, headroom(headers), now)
        if lease.holds:
            engine.state.free_holds(lease)
            engine.waiting.wake()
        tap = None
        if upstream.status == 101:
            self._tab.opened()
        elif self._tab is not NO_TAB:
            self._tab.arrived(upstream.status)
            tap = Tap(self._tab, upstream.status, headers, asked_extra=asked_extra)
        return self._told(delivered(engine, lease, upstream, choice.candidate.account, tap), choice)

    async def _failed(self, lease: Lease, upstream: UpstreamAnswer, account: Account) -> KeptError:
        engine = self._engine
        kept = await KeptError(upstream, account).read()
        now, verdict = self._now(), kept.verdict
        marks.arrived(engine.state, lease, kept.headers, now)
        hint = cooling_hint(kept.headers, verdict.message, engine.clock.time())
        marks.failed(engine.state, lease, verdict, hint, self._facts.access, now, engine.random)
        if verdict.failure is FailureClass.AUTH:
            engine.recheck.notice()
        engine.end(lease)
        self._tab.refused(upstream.status, verdict.failure.value, verdict.code)
        return kept

    def _broken(self, lease: Lease, error: TransportError) -> Broken | Answer:
        engine, now = self._engine, self._now()
        if error.trouble is Trouble.UNSENDABLE:
            engine.end(lease)
            self._tab.refused(0, "bad_request")
            return own_answer(bad_request(f"This request cannot be sent: {error}."))
        broken = Broken(error, known_shut=not lease.origin.weather.is_clear(now))
        if not broken.was_stale:
            marks.failed(engine.state, lease, broken.verdict, Hint(None), self._facts.access, now, engine.random)
        engine.end(lease)
        self._tab.broke(broken)
        return broken

    # --- what follows from a failure ---

    def _asked_too_much(self, outcome: KeptError | Broken, choice: Choice) -> bool:
        """A server that only resembles OpenAI's may refuse what we added to the request; then it goes out as it came."""
        if self._asking is None or isinstance(outcome, Broken) or outcome.upstream.status not in {400, 422}:
            return False
        origin = choice.candidate.origin
        if origin in self._metering.unaided or "stream_options" not in outcome.verdict.message:
            return False
        self._metering.unaided.add(origin)
        outcome.close()
        return True

    def _may_repeat(self, rule: Rule) -> bool:
        settings = self._engine.settings
        if self._once is not None and self._once.taken:
            return False
        if self._sent >= settings.max_attempts or self._now() - self._began > settings.attempt_budget_s:
            return False
        # A handshake that was sent and not answered has done nothing.
        ambiguous_allowed = settings.ambiguous_replay == "stateless" or self._request.websocket
        return rule.may_replay(self._replay, ambiguous_allowed=ambiguous_allowed)

    async def _same_again(self, rule: Rule, outcome: KeptError | Broken, choice: Choice) -> bool:
        """Whether the same account gets another try, after the pause that belongs before it."""
        engine = self._engine
        if isinstance(outcome, Broken):
            # A way that was known to be shut is not tried twice; a stale connection always gets its fresh one.
            return (outcome.was_stale or not outcome.known_shut) and choice.candidate in engine.candidates
        if self._moves:  # once the same and once another, not once each of both
            return False
        hint = cooling_hint(outcome.headers, outcome.verdict.message, engine.clock.time()).seconds or 0.0
        if hint > LONGEST_PAUSE_S or not engine.budget.spend(self._now()):
            return False
        outcome.close()
        await engine.clock.sleep(max(hint, engine.random.uniform(*rule.backoff_s)))
        only = [c for c in engine.candidates if c.account.id == choice.candidate.account.id]
        return isinstance(choose(self._facts, only, engine.state, engine.policy, self._now()), Choice)

    def _may_move(self, rule: Rule, outcome: KeptError | Broken, choice: Choice) -> bool:
        """Whether to look for another account; from then on this request does not come back to what has failed."""
        if rule.other_tries == 0:
            return False
        engine, settings = self._engine, self._engine.settings
        is_stormy = outcome.verdict.failure in STORMY
        if is_stormy and (self._moves >= (rule.other_tries or 0) or self._moves + 2 > settings.max_domains):
            return False
        left = self._without(outcome, choice)
        if is_stormy or isinstance(outcome, Broken):
            # This answer is better than our own about all accounts, so it is given up only for a try elsewhere.
            following = choose(left, engine.candidates, engine.state, engine.policy, self._now())
            if isinstance(following, Refusal):
                return False
            if is_stormy and following.clouds and not engine.budget.spend(self._now()):
                return False
        self._moves += is_stormy
        self._facts = left
        return True

    def _without(self, outcome: KeptError | Broken, choice: Choice) -> Facts:
        facts, candidate = self._facts, choice.candidate
        failure = outcome.verdict.failure
        if failure is FailureClass.PRE_DISPATCH:
            return replace(facts, tried_origins=facts.tried_origins | {candidate.origin})
        if (
            failure is FailureClass.RATE
            and (standing := self._engine.state.accounts.get(candidate.account.id)) is not None
        ):
            scope = self._engine.state.scope(standing.domain, facts.model)
            if not scope.cooling.admits(self._now()):
                return facts  # the scope rests; after a wait it may serve again
            return replace(facts, tried_domains=facts.tried_domains | {standing.domain})
        ask_excluded = facts.ask_excluded and failure is not FailureClass.MODEL_ACCESS
        return replace(facts, tried=facts.tried | {candidate.account.id}, ask_excluded=ask_excluded)

    # --- what the client gets ---

    def _final(self, outcome: KeptError | Broken, choice: Choice) -> Answer:
        """Nothing more is tried."""
        if isinstance(outcome, Broken):
            self._drop()
            answer = own_answer(outcome.answer())
            answer.failure = outcome.verdict.failure.value
            return self._told(answer, choice)
        final = outcome.verdict.rule.final
        if final is Final.FIRST and self._first_access is not None:
            outcome.close()
            return self._verbatim(self._first_access, choice)
        if final is Final.BLOCKED and not (self._once is not None and self._once.taken):
            engine = self._engine
            outcome.close()
            decision = choose(self._facts, engine.candidates, engine.state, engine.policy, self._now())
            if isinstance(decision, Refusal):
                return self._refused(decision)
            self._drop()
            text = f"The accounts tried cannot serve now, others are left: {', '.join(self._tried)}."
            error = ErrorAnswer.of(RATE_LIMIT_EXCEEDED, text, retry_after_s=explain.SOONEST_S)
            return self._told(own_answer(error), choice)
        return self._verbatim(outcome, choice)

    def _verbatim(self, kept: KeptError, decision: Choice | Refusal) -> Answer:
        for other in (self._last, self._first_access):
            if other is not None and other is not kept:
                other.close()
        self._last = self._first_access = None
        return self._told(verbatim(kept), decision)

    def _told(self, answer: Answer, decision: Choice | Refusal) -> Answer:
        """What the answer says about how it came about, in plain values."""
        by = decision.by if isinstance(decision, Choice) else ""
        answer.strategy = "switch" if by == "switch" else self._engine.policy.strategy
        answer.retries = max(self._attempts - 1, 0)
        answer.facts["attempts"] = self._attempts
        answer.facts["by"] = by
        if self._attempts > 1:
            answer.facts["tried"] = ", ".join(self._tried)
        if isinstance(decision, Refusal):
            self._refusal = decision
        if decision.reasons:
            answer.facts["out"] = explain.summary(decision.reasons)
        return answer

    def _keep(self, outcome: KeptError | Broken) -> None:
        """In case nothing better comes."""
        if isinstance(outcome, Broken):
            return
        if self._last is not None and self._last is not self._first_access:
            self._last.close()
        self._last = outcome
        if self._first_access is None and outcome.verdict.failure is FailureClass.MODEL_ACCESS:
            self._first_access = outcome

    def _drop(self) -> None:
        for kept in (self._last, self._first_access):
            if kept is not None:
                kept.close()
        self._last = self._first_access = None
