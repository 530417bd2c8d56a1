"""Where a conversation goes: home, home's organization, where it went before, and only then where the strategy says."""

from collections import Counter

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_decision import BLOCKS, CLOUDS, HOME, NOW, World, limited

from codex_manager.core import marks
from codex_manager.core.bindings import DETOUR_TURNS
from codex_manager.core.decision import choose
from codex_manager.core.hints import Headroom
from codex_manager.core.routing import Choice, Facts, Policy


def world(labels="abcd", strategy="sticky", **organizations):
    made = World(labels, policy=Policy(strategy=strategy, min_interval_s=0.0))
    for label, organization in organizations.items():
        made.state.learn_domain(made.standing(label), organization, f"proj-{label}")
    return made


def turn(made, now=NOW, session="talk", *, to=None, well=True):
    """One turn of a conversation, answered well: who served it, and what decided."""
    facts = Facts(model="gpt-4o", access="gpt-4o", session=session)
    choice = choose(facts, made.candidates, made.state, made.policy, now)
    assert isinstance(choice, Choice)
    account = choice.candidate.account if to is None else next(c.account for c in made.candidates if c.account.id == to)
    lease = made.state.begin(account, HOME, "gpt-4o", 0, now, session=session)
    if well:
        marks.answered(made.state, lease, None, now)
    made.state.end(lease)
    return account.label, choice.by


def used(made, label, share, now=NOW):
    said = Headroom(limit_requests=1000, remaining_requests=round(1000 * (1 - share)), reset_requests_s=3600.0)
    made.scope(label).capacity.learn(said, now)


def test_the_first_turn_is_the_strategys_and_those_after_it_go_home():
    made = world()
    first, by = turn(made)
    assert by == "sticky"
    assert {turn(made, NOW + n) for n in range(1, 20)} == {(first, "affinity")}


def test_a_new_account_moves_nobody():
    made = world("abc")
    homes = {name: turn(made, session=name)[0] for name in map(str, range(200))}
    grown = World("abcdef", policy=made.policy)
    grown.state.bindings = made.state.bindings
    assert {name: turn(grown, NOW + 1, session=name)[0] for name in homes} == homes


def test_parallel_first_turns_agree():
    made = world()
    chosen = [made.chosen(session="talk") for _ in range(3)]
    assert len(set(chosen)) == 1


@pytest.mark.parametrize("obstacle", BLOCKS)
def test_away_from_home_it_keeps_to_its_detour_and_comes_back(obstacle):
    made = world()
    turn(made, NOW - 100, to="a")
    BLOCKS[obstacle](made)
    there, by = turn(made, NOW + 0.5)
    assert there != "a"
    assert by == "sticky"
    assert turn(made, NOW + 0.6) == (there, "affinity")
    fresh = World("abcd", policy=made.policy)
    fresh.state.bindings = made.state.bindings
    assert turn(fresh, NOW + 1) == ("a", "affinity")


def test_an_account_of_homes_organization_reads_the_same_cache():
    made = world(a="org-1", b="org-2", c="org-1", d="org-2")
    turn(made, to="a")
    limited(made)
    assert {turn(made, NOW + n) for n in range(1, DETOUR_TURNS)} == {("c", "affinity")}
    assert turn(made, NOW + 31)[0] == "a"


def test_the_detour_becomes_home_when_the_cache_is_there():
    made = world()
    turn(made, to="a")
    limited(made)
    there = turn(made, NOW + 1)[0]
    for n in range(2, DETOUR_TURNS + 1):
        turn(made, NOW + n)
    assert turn(made, NOW + 40) == (there, "affinity")


def test_a_home_that_never_answered_is_none():
    """Its first request was refused there, so nothing of it is in a cache."""
    made = world()
    turn(made, to="a", well=False)
    limited(made)
    there = turn(made, NOW + 1)[0]
    assert turn(made, NOW + 40)[0] == there != "a"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_under_a_cloud_home_is_out(cloud):
    made = world("ab")
    turn(made, to="a")
    CLOUDS[cloud](made)
    assert made.chosen(session="talk", tokens=100) == "b"


def test_home_is_asked_again_as_soon_as_there_should_be_room():
    """Limits refill continuously; whoever has no home there waits for the reset."""
    made = world("ab")
    turn(made, to="a")
    said = Headroom(limit_tokens=1000, remaining_tokens=0, reset_tokens_s=60.0)
    made.scope("a").capacity.learn(said, NOW)
    assert [made.chosen(NOW + at, session="talk", tokens=500) for at in (1.0, 29.0, 31.0)] == ["b", "b", "a"]
    made.policy = Policy(strategy="least_utilized", min_interval_s=0.0)
    assert made.chosen(NOW + 31.0, session="talk", tokens=500) == "b"


def test_switch_is_stronger_than_home():
    made = world()
    turn(made, to="a")
    made.policy = Policy(strategy="sticky", pinned="c")
    assert turn(made)[0] == "c"


# --- the tie-break of the other strategies ---


def test_among_equals_a_conversation_stays():
    for strategy in ("least_utilized", "priority"):
        made = world(strategy=strategy)
        first, by = turn(made)
        assert by == strategy
        assert {turn(made, NOW + n) for n in range(1, 30)} == {(first, "affinity")}


def test_nearly_equal_is_equal_to_a_conversation_and_clearly_less_is_not():
    made = world(strategy="least_utilized")
    turn(made, to="a")
    used(made, "a", 0.55)
    for label in "bcd":
        used(made, label, 0.5)
    assert turn(made) == ("a", "affinity")
    used(made, "a", 0.65)
    there, by = turn(made, NOW + 1)
    assert there != "a"
    assert by == "least_utilized"
    assert turn(made, NOW + 2) == (there, "affinity")


def test_a_higher_tier_is_stronger_than_home():
    made = world(strategy="priority")
    turn(made, to="a")
    made.edit("b", priority=5)
    assert turn(made) == ("b", "priority")


def test_round_robin_still_takes_turns():
    made = world("abc", "round_robin")
    served = Counter(turn(made, NOW + n)[0] for n in range(30))
    assert served == {"a": 10, "b": 10, "c": 10}


def test_without_a_conversation_nothing_is_bound():
    made = world()
    made.carry(20)
    assert len(made.state.bindings) == 0


steps = st.lists(
    st.tuples(
        st.sampled_from(["turn", "turn", "turn", "limit", "fail"]), st.sampled_from("abcd"), st.floats(0.0, 40.0)
    ),
    max_size=40,
)


@given(steps, st.sampled_from(["s", "t"]))
@settings(max_examples=150, deadline=None)
def test_a_conversation_with_a_healthy_home_never_moves(steps, session):
    made, now = world(), NOW
    for what, label, pause in steps:
        now += pause
        if what == "limit":
            made.scope(label).cooling.refuse(pause + 1.0, began=now, now=now)
        elif what == "fail":
            made.standing(label).weather.worsen(now)
        else:
            bound = made.state.bindings.get(session, now)
            home = bound.home if bound is not None else None
            healthy = home is not None and (
                made.scope(home).cooling.width == 0 and made.standing(home).weather.is_clear(now)
            )
            served = turn(made, now, session)[0]
            assert not healthy or served == home
