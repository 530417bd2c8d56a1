"""One request carried over the accounts until one of them answers: the "next" column of semantics §3.

Theory of operation. Decide (core.decision), take a lease in the same breath (core.state), send. A good answer goes to the
client with its lease still held until its last byte. Anything else is read and understood, marked (core.marks), and the
rule of its class (core.failure.RULES) says what follows: the same account once more, another one, or the client gets an
answer, this one or one of ours.

What bounds the repeats is engine.repeats; what is known before the first attempt, engine.question.

Law: a body of which a byte was taken is never sent again. Whatever ends a request ends its lease. When the
task is cancelled the upstream connection is aborted before the cancellation goes on.
"""

import asyncio

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.decision import choose
from codex_manager.core.failure import FailureClass, Final
from codex_manager.core.hints import Hint, cooling_hint, headroom
from codex_manager.core.hold import Holding
from codex_manager.core.openai_error import RATE_LIMIT_EXCEEDED, ErrorAnswer
from codex_manager.core.routing import Choice, Facts, Obstacle, Refusal
from codex_manager.core.state import Lease
from codex_manager.engine import explain, explain_owner
from codex_manager.engine.broken import Broken
from codex_manager.engine.delivery import bad_request, delivered, own_answer, verbatim
from codex_manager.engine.early import early_answer
from codex_manager.engine.hold import HeldAnswer, KeptStreamError, held
from codex_manager.engine.identity import UnsendableError, lower_headers
from codex_manager.engine.kept import KeptError
from codex_manager.engine.learning import learning_of
from codex_manager.engine.leftovers import Leftovers
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.ownership import named_in
from codex_manager.engine.question import question
from codex_manager.engine.repeats import Repeats
from codex_manager.engine.tab import GONE, NO_TAB, Tab, Used
from codex_manager.engine.tap import Tap, used_of
from codex_manager.engine.transport import BodyFailedError, Phase, TransportError, Trouble, UpstreamAnswer
from codex_manager.engine.websocket_link import LeasedLink


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Carriage"]

NOT_HERE = frozenset({FailureClass.OWNER_MISS, FailureClass.ORIGIN_MISS})
"""Failures of which engine.ownership knows what follows."""
UNRELATED = frozenset({Obstacle.OWNER, Obstacle.TRIED, Obstacle.DISABLED, Obstacle.MODEL_SCOPE, Obstacle.UNUSABLE})
"""Obstacles that do not say why the accounts that were asked could not serve; then their last answer says it better."""


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
        self._metering = engine.metering
        self._owns_tab = tab is None
        self._asked = asked = question(engine, request, facts, tab)
        self._tab = asked.tab
        # All mutable state of the journey: what is asked and whom it must not go to, the attempts, whom
        # it tried, and what is kept in case nothing better comes.
        self._facts = asked.facts
        self._named = named_in(engine, asked)
        self._repeats = Repeats(engine, asked)
        self._attempts = 0
        self._tried: list[str] = []
        self._failings: list[str] = []
        """The same with how each failed: `Personal 429`."""
        self._left = Leftovers()
        self._refusal: Refusal | None = None
        self._is_early = False
        """The client has the headers already (engine.early)."""

    async def open(self) -> tuple[Answer, LeasedLink | None]:
        """Carry a WebSocket's handshake: the answer, and the link that was opened if one was."""
        answer = await self.run()
        return answer, self._link

    async def run(self) -> Answer:
        """Carry the request. Raises nothing but CancelledError."""
        self._engine.budget.request(self._repeats.began)
        return await self._closed(self._journey())

    async def _closed(self, journey: Coroutine[Any, Any, Answer]) -> Answer:
        """However the journey ends, nothing is left open but its answer."""
        try:
            answer = await journey
        except BaseException as error:
            self._left.drop()
            if self._owns_tab:
                self._tab.abandon(GONE if isinstance(error, asyncio.CancelledError) else "internal_error")
            raise
        if self._owns_tab:
            self._tab.answered(answer, self._refusal)
        if (model := self._facts.model) is not None:
            answer.facts["model"] = model
        return answer

    async def _journey(self) -> Answer:
        engine = self._engine
        while True:
            self._metering.tick()
            if (error := self._tab.refusal()) is not None:
                self._left.drop()
                return own_answer(error)
            if (named := self._named) is not None and not named.is_settled:
                settled = await named.settle(self._facts, self._repeats.left)
                if not isinstance(settled, Facts):
                    return self._nowhere(settled)
                self._facts = settled
            decision = choose(self._facts, engine.candidates, engine.state, engine.policy, self._now())
            if isinstance(decision, Refusal):
                if await self._may_wait(decision) or (named is not None and named.gives_way(self._facts)):
                    continue
                return self._refused(decision)
            answer = await self._try(decision)
            if answer is not None:
                return answer

    # --- nobody can serve now ---

    async def _may_wait(self, refusal: Refusal) -> bool:
        """Wait for the earliest recovery when it is near; False when it is not, or there is no room to wait."""
        if self._left.final not in {None, Final.BLOCKED, Final.FIRST}:
            return False
        if self._named is not None and not self._named.waits(self._facts):
            return False
        return await self._repeats.wait(refusal.soonest())

    def _refused(self, refusal: Refusal) -> Answer:
        """Nothing is left to try: the answer that says most about why."""
        last, first = self._left.last, self._left.first
        waiting_may_help = any(r.obstacle in explain.WAITING_HELPS | explain.MONEY for r in refusal.reasons)
        if first is not None and not waiting_may_help:
            return self._verbatim(first, refusal)
        explained = any(r.obstacle not in UNRELATED for r in refusal.reasons)
        if last is not None and (last.verdict.rule.final is Final.VERBATIM or not explained):
            return self._verbatim(last, refusal)
        self._left.drop()
        blocked = explain.all_blocked if self._facts.owner is None else explain_owner.owner_out
        return self._told(own_answer(blocked(refusal, self._facts, self._now())), refusal)

    def _nowhere(self, error: ErrorAnswer | None) -> Answer:
        """There is no account that has what is named: why, or the first answer that said so."""
        kept = self._left.first or self._left.last
        if error is None and kept is not None:
            return self._verbatim(kept, Refusal(()))
        self._left.drop()
        return self._told(own_answer(error or explain.no_accounts()), Refusal(()))

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
                self._repeats.sent += not (isinstance(outcome, Broken) and outcome.error.phase is Phase.NOT_CONNECTED)
            if isinstance(outcome, Answer):
                return outcome
            self._failings.append(f"{choice.candidate.account.label} {_how(outcome)}")
            if isinstance(outcome, KeptError) and self._asked.was_too_much(outcome, choice, self._metering.unaided):
                continue
            if outcome.verdict.failure in NOT_HERE:
                return self._not_here(outcome, choice)
            rule = outcome.rule_for(self._asked.replay)
            if not self._repeats.may_repeat(rule):
                return self._final(outcome, choice)
            if same_tries < rule.same_tries and await self._repeats.same_again(rule, outcome, choice, self._facts):
                same_tries += 1
                self._left.keep(outcome)
                continue
            left = self._repeats.elsewhere(rule, outcome, choice, self._facts)
            if left is None:
                return self._final(outcome, choice)
            self._facts = left
            self._left.keep(outcome)
            return None

    async def _attempt(self, choice: Choice, *, fresh: bool) -> Answer | KeptError | Broken:
        engine, facts, account = self._engine, self._facts, choice.candidate.account
        lease = engine.state.begin(
            account, choice.candidate.origin, facts.model, facts.tokens, self._now(), session=facts.session
        )
        try:
            self._tab.begin(account, choice)
            asking = self._asked.asking if choice.candidate.origin not in self._metering.unaided else None
            upstream = await engine.send(account.id, asking or self._asked.request, fresh=fresh, on_sent=self._tab.sent)
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
        answer = held(self._asked.request, upstream, asked_extra=asked_extra)
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
        used = used_of(self._tab, answer.status, answer.lower, answer.pieces)
        said = used.usage is not None and not used.usage.estimated
        self._tab.given_up(verdict.failure.value, verdict.code, used if said else Used())
        return kept

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
                    self._tab.finish(
                        GONE, used_of(self._tab, answer.status, answer.lower, answer.pieces), streamed=True
                    )
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
            self._link = LeasedLink(
                engine, lease, upstream, choice.candidate.account, self._asked.request.message_limit
            )
        self._left.drop()
        headers = lower_headers(upstream.headers)
        marks.arrived(engine.state, lease, headers, now)
        marks.answered(engine.state, lease, headroom(headers), now)
        if lease.holds:
            engine.state.free_holds(lease)
            engine.waiting.wake()
        if self._named is not None:
            self._named.served(lease)
        tap = None
        if asked_extra and headers.get("content-encoding", "identity") not in {"", "identity"}:
            # Compressed, although it was asked to come plain: what we asked for cannot be taken out, so it is not asked for again.
            self._metering.unaided.add(choice.candidate.origin)
        if upstream.status == 101:
            self._tab.opened()
        else:
            learning = learning_of(engine, self._asked, lease, upstream.status, headers)
            self._tab.arrived(upstream.status)
            if self._tab is not NO_TAB or learning is not None:
                tap = Tap(self._tab, upstream.status, headers, asked_extra=asked_extra, learning=learning)
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

    def _not_here(self, outcome: KeptError | Broken, choice: Choice) -> Answer | None:
        """The account does not have what the request names; another one may."""
        standing = self._engine.state.accounts.get(choice.candidate.account.id)
        if (
            self._named is None
            or standing is None
            or not self._named.missed(outcome.verdict, standing.domain)
            or not self._repeats.may_repeat(outcome.rule_for(self._asked.replay))
        ):
            return self._final(outcome, choice)
        self._left.keep(outcome)
        return None

    # --- what the client gets ---

    def _final(self, outcome: KeptError | Broken, choice: Choice) -> Answer:
        """Nothing more is tried."""
        if isinstance(outcome, Broken):
            self._left.drop()
            answer = own_answer(outcome.answer())
            answer.failure = outcome.verdict.failure.value
            return self._told(answer, choice)
        final = outcome.verdict.rule.final
        if final is Final.FIRST and self._left.first is not None:
            outcome.close()
            return self._verbatim(self._left.first, choice)
        if final is Final.BLOCKED and not self._asked.is_spent:
            engine = self._engine
            outcome.close()
            decision = choose(self._facts, engine.candidates, engine.state, engine.policy, self._now())
            if isinstance(decision, Refusal):
                return self._refused(decision)
            self._left.drop()
            text = f"The accounts tried cannot serve now, others are left: {', '.join(self._tried)}."
            error = ErrorAnswer.of(RATE_LIMIT_EXCEEDED, text, retry_after_s=explain.SOONEST_S)
            return self._told(own_answer(error), choice)
        return self._verbatim(outcome, choice)

    def _verbatim(self, kept: KeptError, decision: Choice | Refusal) -> Answer:
        return self._told(verbatim(self._left.give(kept)), decision)

    def _told(self, answer: Answer, decision: Choice | Refusal) -> Answer:
        """What the answer says about how it came about, in plain values."""
        by = decision.by if isinstance(decision, Choice) else ""
        answer.strategy = "switch" if by == "switch" else self._engine.policy.strategy
        answer.retries = max(self._attempts - 1, 0)
        answer.facts["attempts"] = self._attempts
        answer.facts["by"] = by
        if self._attempts > 1:
            answer.facts["tried"] = ", ".join(self._tried)
            answer.facts["failed"] = ", ".join(self._failings)
        if isinstance(decision, Refusal):
            self._refusal = decision
        if decision.reasons:
            answer.facts["out"] = explain.summary(decision.reasons)
        return answer


def _how(outcome: KeptError | Broken) -> str:
    """How an attempt failed, in a word: the upstream's status, or what became of the connection."""
    if isinstance(outcome, Broken):
        return outcome.error.trouble.value
    status = outcome.upstream.status
    return str(status) if status >= 400 else outcome.verdict.failure.value
