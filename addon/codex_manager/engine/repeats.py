"""Whether a request that failed is sent again, to whom, and the bounds that keep a dead upstream from a storm.

`max_attempts` and `attempt_budget_s` bound every request; for failures that take no account out of the choice (OVERLOAD,
TRANSIENT, AMBIGUOUS) `max_domains` and the retry budget do as well. RATE, BILLING, AUTH, MODEL_ACCESS and PRE_DISPATCH are not
bounded by these two: each takes its account, scope or place out of the choice, so they end by themselves, and a request must
be able to walk past three limited accounts to a healthy fourth. For the same reason a move to an account nothing speaks
against is free, and only a try where failure is known costs budget.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from codex_manager.core.decision import choose
from codex_manager.core.failure import FailureClass, Rule
from codex_manager.core.hints import cooling_hint
from codex_manager.core.routing import Choice, Facts, Refusal
from codex_manager.engine.broken import Broken
from codex_manager.engine.kept import KeptError
from codex_manager.engine.question import Question


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["STORMY", "Repeats"]

STORMY = frozenset({FailureClass.OVERLOAD, FailureClass.TRANSIENT, FailureClass.AMBIGUOUS})
"""Failures that leave their account in the choice: repeats after them cost budget."""
LONGEST_PAUSE_S = 5.0
"""A Retry-After longer than this is not waited out on the same account; another one is asked at once."""


class Repeats:
    """Mutable state: attempts that reached an upstream, moves that cost budget, when it all began, until when it may wait."""

    def __init__(self, engine: "Engine", asked: Question) -> None:
        self._engine = engine
        self._asked = asked
        self._now = engine.clock.monotonic
        self.began = self._now()
        self.sent = 0
        self._moves = 0
        self._waited_until: float | None = None

    @property
    def left(self) -> int:
        """Attempts that may still reach an upstream."""
        return max(self._engine.settings.max_attempts - self.sent, 0)

    @property
    def are_used_up(self) -> bool:
        """Nothing more is sent to an upstream."""
        return not self.left

    def may_repeat(self, rule: Rule) -> bool:
        """Whether there may be another attempt at all."""
        settings = self._engine.settings
        if self._asked.is_spent or self.are_used_up or self._now() - self.began > settings.attempt_budget_s:
            return False
        # A handshake that was sent and not answered has done nothing.
        ambiguous_allowed = settings.ambiguous_replay == "stateless" or self._asked.request.websocket
        return rule.may_replay(self._asked.replay, ambiguous_allowed=ambiguous_allowed)

    async def wait(self, soonest: float | None) -> bool:
        """Wait for the earliest recovery when it is near; False when it is not, or there is no room to wait."""
        engine, settings, now = self._engine, self._engine.settings, self._now()
        if soonest is None or settings.max_inline_wait_s <= 0:
            return False
        if self._waited_until is None:
            self._waited_until = now + settings.max_inline_wait_s
        if soonest > self._waited_until or now >= self._waited_until or self.are_used_up:
            return False
        if len(engine.waiting) >= settings.max_waiting:
            return False
        await engine.waiting.wait(max(soonest - now, 0.001))
        return True

    async def same_again(self, rule: Rule, outcome: KeptError | Broken, choice: Choice, facts: Facts) -> bool:
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
        return isinstance(choose(facts, only, engine.state, engine.policy, self._now()), Choice)

    def elsewhere(self, rule: Rule, outcome: KeptError | Broken, choice: Choice, facts: Facts) -> Facts | None:
        """The facts to look for another account with, which do not lead back to what has failed; None when none is asked."""
        if rule.other_tries == 0:
            return None
        engine, settings = self._engine, self._engine.settings
        is_stormy = outcome.verdict.failure in STORMY
        if is_stormy and (self._moves >= (rule.other_tries or 0) or self._moves + 2 > settings.max_domains):
            return None
        left = self._without(outcome, choice, facts)
        if is_stormy or isinstance(outcome, Broken):
            # This answer is better than our own about all accounts, so it is given up only for a try elsewhere.
            following = choose(left, engine.candidates, engine.state, engine.policy, self._now())
            if isinstance(following, Refusal):
                return None
            if is_stormy and following.clouds and not engine.budget.spend(self._now()):
                return None
        self._moves += is_stormy
        return left

    def _without(self, outcome: KeptError | Broken, choice: Choice, facts: Facts) -> Facts:
        candidate = choice.candidate
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
