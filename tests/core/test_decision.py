"""Which account serves, or what stands against each: the decision as a truth table."""

import math

from collections import Counter
from decimal import Decimal

import pytest

from codex_manager.core.account import Account
from codex_manager.core.decision import choose
from codex_manager.core.hints import Headroom
from codex_manager.core.routing import Candidate, Choice, Facts, Obstacle, Policy, Refusal
from codex_manager.core.secret import Secret
from codex_manager.core.state import State


NOW = 1000.0
HOME = "https://api.openai.com:443"
FAR = "https://gateway.example:443"


class World:
    """Some accounts and what is remembered of them."""

    def __init__(self, labels="abc", policy=None, **settings):
        self.state = State()
        self.policy = policy or Policy(min_interval_s=0.0)
        self.candidates = []
        for label in labels:
            account = Account(id=label, label=label, api_key=Secret("sk-" + label), **settings)
            self.state.add(account)
            self.candidates.append(Candidate(account, HOME))

    def edit(self, label, *, origin=None, unusable=None, **changes):
        at = next(i for i, c in enumerate(self.candidates) if c.account.label == label)
        before = self.candidates[at]
        self.candidates[at] = Candidate(before.account.replace(**changes), origin or before.origin, unusable)
        return self

    def standing(self, label):
        return self.state.accounts[label]

    def scope(self, label, model="gpt-4o"):
        return self.state.scope(self.standing(label).domain, model)

    def begin(self, label, now=NOW, model="gpt-4o", tokens=0):
        candidate = next(c for c in self.candidates if c.account.label == label)
        return self.state.begin(candidate.account, candidate.origin, model, tokens, now)

    def spend(self, label, usd, limit="10"):
        spending, key = self.state.spending, ("account", label)
        spending.at(NOW, NOW)
        spending.set_limits(key, Decimal(limit), None)
        spending.settle(spending.reserve([key], Decimal(0)), Decimal(usd), 1)

    def choose(self, now=NOW, **facts):
        return choose(
            Facts(**{"model": "gpt-4o", "access": "gpt-4o", **facts}), self.candidates, self.state, self.policy, now
        )

    def chosen(self, now=NOW, **facts):
        decision = self.choose(now, **facts)
        return decision.candidate.account.label if isinstance(decision, Choice) else None

    def against(self, now=NOW, **facts):
        return {reason.account.label: reason.obstacle for reason in self.choose(now, **facts).reasons}

    def carry(self, count, now=NOW, step=0.0, **facts):
        """So many requests one after the other: who served how many."""
        served: Counter[str] = Counter()
        for number in range(count):
            at = now + number * step
            label = self.chosen(at, **facts)
            lease = self.begin(label, at)
            self.state.end(lease)
            served[label] += 1
        return served


def limited(world):
    world.scope("a").cooling.refuse(30.0, began=NOW, now=NOW)


def probing(world):
    world.scope("a").cooling.refuse(1.0, began=NOW - 5, now=NOW - 5)
    world.begin("a")


def out_of_credit(world):
    world.state.purse(world.standing("a").organization).refuse(300.0, began=NOW, now=NOW)


def refused_key(world):
    world.standing("a").auth_failed = "invalid_api_key"


def at_its_limit(world):
    world.spend("a", "10")


def no_access(world):
    world.state.exclude("a", "gpt-4o", NOW + 3600.0, NOW)


def egress(world):
    world.edit("b", origin=FAR).edit("c", origin=FAR)
    world.state.end(world.begin("a"))
    world.state.origins[HOME].cooling.refuse(5.0, began=NOW, now=NOW)


BLOCKS = {
    Obstacle.DISABLED: lambda world: world.edit("a", enabled=False),
    Obstacle.MODEL_SCOPE: lambda world: world.edit("a", models=("o3*",)),
    Obstacle.UNUSABLE: lambda world: world.edit("a", unusable="its base URL is this proxy itself"),
    Obstacle.AUTH_FAILED: refused_key,
    Obstacle.BILLING: out_of_credit,
    Obstacle.SPENDING: at_its_limit,
    Obstacle.EGRESS: egress,
    Obstacle.RATE: limited,
    Obstacle.PROBING: probing,
    Obstacle.MODEL_ACCESS: no_access,
}


@pytest.mark.parametrize("obstacle", BLOCKS)
@pytest.mark.parametrize("strategy", ["least_utilized", "round_robin", "priority", "sticky"])
def test_what_blocks_an_account_blocks_it_under_every_strategy(obstacle, strategy):
    world = World(policy=Policy(strategy=strategy, min_interval_s=0.0))
    world.edit("a", priority=100)
    BLOCKS[obstacle](world)
    assert world.against() == {"a": obstacle}
    assert {world.chosen(session=str(number)) for number in range(30)} <= {"b", "c"}


@pytest.mark.parametrize("obstacle", BLOCKS)
def test_switch_overrides_the_strategy_but_no_block(obstacle):
    world = World(policy=Policy(pinned="a", min_interval_s=0.0))
    assert world.carry(5) == {"a": 5}
    BLOCKS[obstacle](world)
    assert world.chosen() in {"b", "c"}


def test_switch_is_what_decided():
    assert World(policy=Policy(pinned="c")).choose().by == "switch"


def test_a_limit_is_asked_for_what_the_request_may_cost():
    world = World("a")
    world.spend("a", "9")
    assert world.chosen(need=Decimal(1)) == "a"
    assert world.against(need=Decimal("1.01")) == {"a": Obstacle.SPENDING}
    (reason,) = world.choose(need=Decimal("1.01")).reasons
    assert reason.until == 86_400.0, "wall clock and monotonic are one here"
    assert reason.detail == (
        "this request may cost $1.01, more than is left of its daily limit of $10.00, $9.00 spent,"
        " counts anew from 1970-01-02 00:00 UTC"
    )


def test_what_costs_nothing_passes_every_limit():
    world = World("a")
    world.spend("a", "10")
    assert world.against() == {"a": Obstacle.SPENDING}
    assert world.chosen(free=True) == "a"


def test_nobody_waits_for_a_limit_to_turn():
    world = World("a")
    world.spend("a", "10")
    decision = world.choose(now=86_399.0)
    assert isinstance(decision, Refusal)
    assert decision.soonest() is None


def test_at_its_limit_an_account_is_not_called_rate_limited():
    world = World("a")
    limited(world)
    world.spend("a", "10")
    assert world.against() == {"a": Obstacle.SPENDING}


def test_a_limit_leaves_an_excluded_account_out_as_long_as_the_limited_one_may_come_back():
    world = World("ab")
    world.spend("a", "10")
    world.state.exclude("b", "gpt-4o", NOW + 3600.0, NOW)
    assert world.against() == {"a": Obstacle.SPENDING, "b": Obstacle.MODEL_ACCESS}


def test_least_utilized_counts_dollars_like_rates():
    world = World("abc")
    world.spend("a", "5")
    world.spend("b", "3")
    world.scope("c").capacity.learn(Headroom(limit_requests=100, remaining_requests=60, reset_requests_s=60.0), NOW)
    assert world.chosen() == "b"
    hold = world.state.spending.reserve([("account", "b")], Decimal("1.5"))
    assert world.chosen() == "c", "set aside is used"
    world.state.spending.release(hold)
    assert world.chosen() == "b"
    world.scope("b").capacity.learn(Headroom(limit_requests=100, remaining_requests=10, reset_requests_s=60.0), NOW)
    assert world.chosen() == "c", "the tightest limit counts"


def test_a_scope_is_the_domain_and_the_model():
    world = World()
    limited(world)
    assert world.against(model="o3") == {}
    for label in "ab":
        world.state.learn_domain(world.standing(label), "org-1", "proj-1")
    assert world.against() == {"a": Obstacle.RATE, "b": Obstacle.RATE}


def test_an_empty_purse_is_the_organizations():
    world = World()
    for label in "ab":
        world.state.learn_domain(world.standing(label), "org-1", f"proj-{label}")
    out_of_credit(world)
    assert world.against() == {"a": Obstacle.BILLING, "b": Obstacle.BILLING}
    assert world.chosen(model="o3") == "c"


def test_with_everybody_out_each_reason_is_given_with_its_time():
    world = World()
    limited(world)
    world.edit("b", enabled=False)
    world.standing("c").auth_failed = "invalid_api_key"
    refusal = world.choose()
    assert isinstance(refusal, Refusal)
    assert [(r.account.label, r.obstacle, r.until) for r in refusal.reasons] == [
        ("a", Obstacle.RATE, NOW + 30.0),
        ("b", Obstacle.DISABLED, None),
        ("c", Obstacle.AUTH_FAILED, math.inf),
    ]
    assert refusal.soonest() == NOW + 30.0


def test_no_waiting_helps_against_lasting_obstacles():
    world = World("a")
    refused_key(world)
    assert world.choose().soonest() is None


def test_no_account_at_all_is_a_refusal():
    assert World("").choose() == Refusal(())


def test_pace_is_an_obstacle_only_when_asked_for():
    world = World("a", policy=Policy(min_interval_s=0.1, pace=True))
    world.state.end(world.begin("a"))
    assert world.against(NOW + 0.05) == {"a": Obstacle.PACE}
    assert world.chosen(NOW + 0.1) == "a"
    world.policy = Policy(min_interval_s=0.1)
    assert world.chosen(NOW + 0.05) == "a"


# --- clouds ---


def broken(world):
    for number in range(5):
        world.standing("a").breaker.fail(1.0, began=NOW - 9 + number, now=NOW - 9 + number)


def lacking(world):
    world.scope("a").capacity.learn(Headroom(limit_tokens=1000, remaining_tokens=10, reset_tokens_s=30.0), NOW)


CLOUDS = {
    "a 5xx": lambda world: world.standing("a").weather.worsen(NOW),
    "an overloaded model": lambda world: world.scope("a").weather.worsen(NOW),
    "an open breaker": broken,
    "too few tokens left": lacking,
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_is_under_a_cloud_is_passed_over_but_never_refused(cloud):
    world = World("ab", policy=Policy(pinned="a", min_interval_s=0.0))
    CLOUDS[cloud](world)
    assert world.chosen(tokens=100) == "b"
    world.edit("b", enabled=False)
    assert world.chosen(tokens=100) == "a"
    assert world.choose(tokens=100).clouds > 0


def test_a_place_that_cannot_be_reached_is_passed_over():
    world = World("ab").edit("a", origin=FAR)
    world.state.end(world.begin("a"))
    world.state.origins[FAR].weather.worsen(NOW)
    assert world.carry(5) == {"b": 5}


# --- MODEL_ACCESS ---


def test_when_nobody_has_the_model_one_is_asked_again():
    """Its answer is what the client gets, and how a model that has become available is noticed."""
    world = World("ab")
    world.state.exclude("a", "gpt-4o", NOW + 100.0, NOW)
    world.state.exclude("b", "gpt-4o", NOW + 50.0, NOW)
    assert world.chosen() == "b"
    assert isinstance(world.choose(tried=frozenset("b"), ask_excluded=False), Refusal)


def test_an_excluded_account_is_not_asked_while_another_will_be_back():
    world = World("ab")
    no_access(world)
    world.scope("b").cooling.refuse(30.0, began=NOW, now=NOW)
    assert world.against() == {"a": Obstacle.MODEL_ACCESS, "b": Obstacle.RATE}
    assert isinstance(world.choose(), Refusal)


def test_an_exclusion_ends_by_itself():
    world = World("ab")
    no_access(world)
    assert world.against(NOW + 3599.0) == {"a": Obstacle.MODEL_ACCESS}
    assert world.against(NOW + 3600.0) == {}


# --- ownership ---


def test_only_the_owner_serves_and_the_others_say_whose_it_is():
    world = World()
    decision = world.choose(owner=frozenset("b"), owned="file-1 belongs to 'b'")
    assert isinstance(decision, Choice)
    assert (decision.candidate.account.label, decision.by) == ("b", "owner")
    assert {(reason.account.label, reason.obstacle, reason.detail) for reason in decision.reasons} == {
        ("a", Obstacle.OWNER, "file-1 belongs to 'b'"),
        ("c", Obstacle.OWNER, "file-1 belongs to 'b'"),
    }


def test_an_owner_that_is_out_is_the_only_one_that_is_waited_for():
    world = World("ab")
    world.scope("b").cooling.refuse(30.0, began=NOW, now=NOW)
    decision = world.choose(owner=frozenset("b"), owned="file-1 belongs to 'b'")
    assert isinstance(decision, Refusal)
    assert decision.soonest() == NOW + 30.0
    assert world.against(owner=frozenset("b")) == {"a": Obstacle.OWNER, "b": Obstacle.RATE}


@pytest.mark.parametrize(("how", "by"), [("owner", "owner"), ("origin", "origin"), ("missing", "only")])
def test_how_the_owner_is_known_is_what_decided(how, by):
    decision = World("ab").choose(owner=frozenset("b"), owned_by=how)
    assert isinstance(decision, Choice)
    assert decision.by == by


def test_several_keys_of_the_owner_s_project_are_left_to_the_strategy():
    decision = World().choose(owner=frozenset("bc"))
    assert isinstance(decision, Choice)
    assert decision.by == "least_utilized"


def test_switch_does_not_override_ownership():
    world = World("ab", Policy(pinned="a", min_interval_s=0.0))
    assert world.chosen(owner=frozenset("b")) == "b"


def test_an_owner_without_the_model_is_asked_again():
    world = World("ab")
    world.state.exclude("b", "gpt-4o", NOW + 100.0, NOW)
    assert world.chosen(owner=frozenset("b")) == "b"


# --- strategies ---


def test_least_utilized_takes_the_smallest_share_used():
    world = World()
    for label, left in (("a", 50), ("b", 80), ("c", 20)):
        world.scope(label).capacity.learn(
            Headroom(limit_requests=100, remaining_requests=left, reset_requests_s=60.0), NOW
        )
    assert world.chosen() == "b"
    assert world.choose().by == "least_utilized"
    for _ in range(31):
        world.begin("b")
    assert world.chosen() == "a"


def test_least_utilized_breaks_ties_by_flight_and_then_by_time():
    world = World()
    assert world.carry(9, step=1.0) == {"a": 3, "b": 3, "c": 3}
    world.begin("a")
    world.begin("b")
    assert world.chosen(NOW + 100.0) == "c"


def test_round_robin_takes_turns_by_weight():
    world = World(policy=Policy(strategy="round_robin", min_interval_s=0.0))
    world.edit("c", weight=2.0)
    assert world.carry(40) == {"a": 10, "b": 10, "c": 20}


def test_round_robin_is_smooth():
    """A weight of two is not two turns in a row and then a long pause."""
    world = World("ab", policy=Policy(strategy="round_robin", min_interval_s=0.0))
    world.edit("b", weight=2.0)
    order = "".join(next(iter(world.carry(1, NOW + number))) for number in range(12))
    assert "bbb" not in order
    assert "aa" not in order


def test_who_was_away_does_not_catch_up():
    world = World("ab", policy=Policy(strategy="round_robin", min_interval_s=0.0))
    world.edit("a", enabled=False)
    assert world.carry(50) == {"b": 50}
    world.edit("a", enabled=True)
    assert world.carry(10)["a"] <= 6


def test_priority_leaves_a_tier_only_when_it_is_empty_and_comes_back():
    world = World(policy=Policy(strategy="priority", min_interval_s=0.0))
    world.edit("a", priority=2).edit("b", priority=2).edit("c", priority=1)
    assert world.carry(4, step=1.0) == {"a": 2, "b": 2}
    limited(world)
    assert world.carry(2) == {"b": 2}
    world.edit("b", enabled=False)
    assert world.carry(2) == {"c": 2}
    assert world.chosen(NOW + 30.0) == "a"


def test_sticky_keeps_a_conversation_at_home_and_brings_it_back():
    world = World("abcd", policy=Policy(strategy="sticky"))
    home = world.chosen(session="talk")
    assert {world.chosen(NOW + n, session="talk") for n in range(20)} == {home}
    world.scope(home).cooling.refuse(30.0, began=NOW, now=NOW)
    detour = {world.chosen(NOW + n, session="talk") for n in range(20)}
    assert len(detour) == 1
    assert detour != {home}
    assert world.chosen(NOW + 30.0, session="talk") == home


def test_sticky_spreads_conversations_and_requests_without_one():
    world = World("abcd", policy=Policy(strategy="sticky", min_interval_s=0.0))
    homes = Counter(world.chosen(session=f"talk {number}") for number in range(400))
    assert min(homes.values()) > 60
    assert world.carry(8, step=1.0) == {"a": 2, "b": 2, "c": 2, "d": 2}


def test_an_account_just_used_is_passed_over_while_another_is_at_hand():
    world = World("ab", policy=Policy(min_interval_s=0.1))
    world.scope("b").capacity.learn(Headroom(limit_requests=10, remaining_requests=1, reset_requests_s=60.0), NOW)
    assert [next(iter(world.carry(1, NOW + at))) for at in (0.0, 0.01, 0.02, 0.2)] == ["a", "b", "a", "a"]


def test_one_account_alone_needs_no_strategy():
    assert World("a").choose().by == "only"


def test_it_changes_nothing():
    """Asking is not taking: the same question has the same answer."""
    world = World("abc", policy=Policy(strategy="round_robin"))
    before = repr((world.state.accounts, world.state.scopes, world.state.origins))
    answers = {world.chosen() for _ in range(10)}
    assert len(answers) == 1
    assert repr((world.state.accounts, world.state.scopes, world.state.origins)) == before
