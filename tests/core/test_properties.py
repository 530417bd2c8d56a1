"""What holds whatever happens, in whatever order: requests, answers, failures, time, accounts switched off and on.

The rules drive the pure core as the engine does (decide, take a lease in the same breath, mark, end); the checks are the product's laws.
"""

import itertools
import math
import random

from typing import Any

import pytest

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.cooling import LEASE_S, QUIET_S, Cooling
from codex_manager.core.decision import choose
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Headroom, Hint
from codex_manager.core.routing import Candidate, Choice, Facts, Obstacle, Policy, Refusal
from codex_manager.core.secret import Secret
from codex_manager.core.state import Lease, State


MODELS = ("gpt-5", "o3")
STRATEGIES = ("least_utilized", "round_robin", "priority", "sticky")
WHOSE = {
    "a": ("org-1", "proj-1"), "b": ("org-1", "proj-1"), "c": ("org-1", "proj-2"), "d": ("org-2", "proj-3"), "e": ("org-3", None),
}  # fmt: skip
"""a and b are one capacity, c shares their purse; none of it is known before an answer has said so."""
DAY_S = 86_400.0
UNTIMED = {FailureClass.NEUTRAL}


class Routing(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.rng = random.Random(7)
        self.state = State()
        self.leases: list[Lease] = []
        self.rests: dict[tuple[str, str], float] = {}
        self.fresh = itertools.count()

    @initialize(strategy=st.sampled_from(STRATEGIES), tiers=st.booleans(), told=st.booleans())
    def accounts(self, strategy, tiers, told):
        self.policy = Policy(strategy=strategy, min_interval_s=0.1)
        self.candidates = []
        for number, (label, (organization, project)) in enumerate(WHOSE.items()):
            known: dict[str, Any] = {"organization": organization, "project": project} if told else {}
            account = Account(
                id=label,
                label=label,
                api_key=Secret(label),
                priority=number % 2 if tiers else 0,
                weight=1.0 + number % 3,
                **known,
            )
            self.state.add(account)
            self.candidates.append(Candidate(account, f"https://{'far' if label == 'd' else 'near'}.example:443"))

    # --- what happens ---

    @rule(
        model=st.sampled_from(MODELS),
        session=st.sampled_from((None, "s1", "s2", "s3")),
        owner=st.sampled_from((None, None, "a", "d")),
        tried=st.sets(st.sampled_from(tuple(WHOSE)), max_size=2),
        tokens=st.sampled_from((10, 5000)),
        count=st.integers(1, 5),
    )
    def ask(self, model, session, owner, tried, tokens, count):
        domains = None if owner is None else frozenset({self.state.accounts[owner].domain})
        facts = Facts(
            model=model,
            access=model,
            tokens=tokens,
            owner=domains,
            tried=frozenset(tried),
            session=None if owner else session,
        )
        for _ in range(count):
            self.carry(facts)

    def carry(self, facts: Facts) -> Lease | None:
        state, now = self.state, self.now
        bound = state.bindings.get(facts.session, now) if facts.session else None
        decision = choose(facts, self.candidates, state, self.policy, now)
        assert choose(facts, self.candidates, state, self.policy, now) == decision, "asking changes nothing"
        against = {reason.account.id: reason for reason in decision.reasons}
        assert len(against) == len(decision.reasons), "an account is out for one reason"
        if isinstance(decision, Refusal):
            assert against.keys() == set(WHOSE), "no account is forgotten"
            assert all(reason.until is None or reason.until > now for reason in decision.reasons)
            return None
        assert isinstance(decision, Choice)
        account = decision.candidate.account
        standing = state.accounts[account.id]
        assert account.id not in against or against[account.id].obstacle is Obstacle.MODEL_ACCESS
        assert account.enabled
        assert account.id not in facts.tried
        assert standing.auth_failed is None
        assert facts.owner is None or standing.domain in facts.owner, "a thing never leaves its domain"
        for cooling in self.coolings(account.id, str(facts.model)):
            assert now >= cooling.until, "nothing is thrown at what rests"
        if bound is not None and self.policy.strategy == "sticky" and self.is_healthy(bound.home, facts):
            assert account.id == bound.home, "a conversation with a healthy home does not move"
        lease = state.begin(account, decision.candidate.origin, facts.model, facts.tokens, now, session=facts.session)
        self.leases.append(lease)
        for cooling in self.coolings(account.id, str(facts.model)):
            if cooling.width:
                ages = [now - at for at in cooling._leases.values()]
                young, quiet = sum(age < QUIET_S for age in ages), sum(QUIET_S <= age < LEASE_S for age in ages)
                assert young <= cooling.width + quiet, "as many probes as the door is wide, and no more"
        return lease

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), told=st.booleans())
    def answer(self, data, told):
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        self.headers(lease, told=told)
        marks.answered(
            self.state, lease, Headroom(limit_tokens=10_000, remaining_tokens=4000) if told else None, self.now
        )
        self.state.free_holds(lease)
        marks.ended_well(lease, self.now)
        assert self.state.end(lease)
        assert not self.state.end(lease)

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        failure=st.sampled_from(sorted(set(FailureClass))),
        seconds=st.sampled_from((None, 0.0, 3.0, 40.0, 5000.0)),
        project=st.booleans(),
        told=st.booleans(),
    )
    def fail(self, data, failure, seconds, project, told):
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        if failure not in {FailureClass.PRE_DISPATCH, FailureClass.AMBIGUOUS}:
            self.headers(lease, told=told)
        verdict = Verdict(failure=failure, project_only=project)
        marks.failed(self.state, lease, verdict, Hint(seconds), str(lease.model), self.now, self.rng)
        self.state.end(lease)

    @rule(seconds=st.sampled_from((0.05, 0.7, 5.5, 31.0, 400.0, 4000.0)))
    def wait(self, seconds):
        self.now += seconds

    @rule(label=st.sampled_from(tuple(WHOSE)))
    def switch_off_or_on(self, label):
        at = list(WHOSE).index(label)
        before = self.candidates[at]
        self.candidates[at] = Candidate(before.account.replace(enabled=not before.account.enabled), before.origin)

    @rule(label=st.sampled_from(tuple(WHOSE)))
    def key_works_again(self, label):
        self.state.accounts[label].auth_failed = None

    # --- what always holds ---

    @invariant()
    def deadlines_only_move_later(self):
        """Until a deadline has passed it can be moved, but not to the front; whatever is learned meanwhile."""
        rests = {}
        for label, model in itertools.product(self.state.accounts, MODELS):
            ends = [cooling.until for cooling in self.coolings(label, model) if cooling.width]
            ends.append(self.state.exclusions.get((label, model), -math.inf))
            rests[label, model] = max(ends)
        for key, until in self.rests.items():
            assert until <= self.now or rests[key] >= until, key
        self.rests = rests

    @invariant()
    def what_runs_is_counted(self):
        assert self.state.in_flight() == len(self.leases)

    def teardown(self) -> None:
        if not self.state.accounts:
            return
        for lease in self.leases:
            self.state.end(lease)
        assert self.state.in_flight() == 0
        for scope in self.state.scopes.values():
            assert not scope.capacity.in_flight
            assert not scope.capacity.reserved_tokens
        for cooling in self.all_coolings():
            assert not cooling._leases, "nothing is leaked"
        self.leases.clear()
        self.nobody_starves()

    def nobody_starves(self) -> None:
        """Two days later everything has passed, and every account serves that could (of the highest tier)."""
        self.now += 2 * DAY_S
        for standing in self.state.accounts.values():
            standing.auth_failed = None
        self.candidates = [Candidate(one.account.replace(enabled=True), one.origin) for one in self.candidates]
        highest = max(one.account.priority for one in self.candidates)
        due = {
            c.account.id for c in self.candidates if self.policy.strategy != "priority" or c.account.priority == highest
        }
        served = set()
        for number in range(120):
            self.now += 1.1
            sticky = self.policy.strategy == "sticky"
            lease = self.carry(
                Facts(model="gpt-5", access="gpt-5", tokens=10, session=f"new {number}" if sticky else None)
            )
            assert lease is not None
            served.add(lease.account_id)
            marks.answered(self.state, lease, None, self.now)
            marks.ended_well(lease, self.now)
            self.state.end(lease)
        assert served >= due, f"{due - served} starve under {self.policy.strategy}"

    # --- inside ---

    def headers(self, lease: Lease, *, told: bool) -> None:
        organization, project = WHOSE[lease.account_id]
        said = {"openai-organization": organization} | ({"openai-project": project} if project else {})
        marks.arrived(self.state, lease, said if told else {}, self.now)

    def coolings(self, label: str, model: str) -> list[Cooling]:
        state, standing = self.state, self.state.accounts[label]
        scope = state.scopes.get((standing.domain, model))
        found = [scope.cooling] if scope is not None else []
        found += [state.purses[name] for name in (standing.organization, standing.domain) if name in state.purses]
        candidate = next(one for one in self.candidates if one.account.id == label)
        origin = state.origins.get(candidate.origin)
        return [*found, origin.cooling] if origin is not None else found

    def all_coolings(self) -> list[Cooling]:
        state = self.state
        found = [scope.cooling for scope in state.scopes.values()]
        return [*found, *state.purses.values(), *(origin.cooling for origin in state.origins.values())]

    def is_healthy(self, label: str, facts: Facts) -> bool:
        """Nothing stands against it and nothing is under a cloud: the strictest sense of it."""
        state, now = self.state, self.now
        standing = state.accounts[label]
        candidate = next(one for one in self.candidates if one.account.id == label)
        origin, scope = state.origins.get(candidate.origin), state.scopes.get((standing.domain, facts.model))
        return (
            candidate.account.enabled
            and label not in facts.tried
            and standing.auth_failed is None
            and standing.breaker.admits(now)
            and standing.weather.is_clear(now)
            and (label, facts.access) not in state.exclusions
            and not any(cooling.width for cooling in self.coolings(label, str(facts.model)))
            and (origin is None or origin.weather.is_clear(now))
            and (
                scope is None
                or (scope.weather.is_clear(now) and scope.capacity.lacks_room_until(facts.tokens, now) is None)
            )
        )


QUIET: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
TestRouting = Routing.TestCase
TestRouting.settings = settings(max_examples=8, stateful_step_count=30, **QUIET)


class ForLong(Routing):
    """The same for the slow run."""


TestRoutingForLong = pytest.mark.slow(ForLong.TestCase)
TestRoutingForLong.settings = settings(max_examples=80, stateful_step_count=60, **QUIET)
