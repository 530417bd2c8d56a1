"""A scope rests as long as it was told, comes back step by step, and old news does not put it to rest again."""

import random

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.cooling import LEASE_S, QUIET_S, Cooling, Phase, billing_rest, egress_rest, rate_rest
from codex_manager.core.hints import Hint


def resting(until=10.0):
    cooling = Cooling()
    cooling.refuse(until, began=0.0, now=0.0)
    return cooling


def test_a_refusal_rests_until_its_deadline_and_then_admits_one():
    cooling = resting(10.0)
    assert cooling.phase(9.999) is Phase.RESTING
    assert not cooling.admits(9.999)
    assert cooling.phase(10.0) is Phase.HALF_OPEN
    assert cooling.admits(10.0)
    cooling.enter(10.0)
    assert not cooling.admits(10.0)


def test_the_ramp_is_one_two_four_all():
    cooling = resting(10.0)
    widths = []
    for step in range(3):
        now = 10.0 + step
        passed = 0
        while cooling.admits(now) and passed < 100:
            cooling.enter(now)
            passed += 1
        widths.append(passed)
        for lease in range(1, 100):
            cooling.leave(lease)
        cooling.succeed(began=now, now=now)
    assert widths == [1, 2, 4]
    assert cooling.phase(13.0) is Phase.READY
    assert repr(cooling) == "<Cooling ready>"


def test_a_refused_probe_rests_one_level_longer():
    cooling = resting(10.0)
    assert cooling.level == 1
    cooling.enter(10.0)
    cooling.refuse(rate_rest(Hint(None), cooling.level, random.Random(1)), began=10.0, now=10.5)
    assert cooling.level == 2
    assert 10.5 + 1.6 <= cooling.until <= 10.5 + 2.4


def test_parallel_refusals_are_one_event():
    """Twenty requests on their way when the limit is hit do not double the rest twenty times."""
    cooling = Cooling()
    for number in range(20):
        cooling.refuse(1.0, began=0.001 * number, now=0.1)
    assert cooling.level == 1
    assert cooling.until == pytest.approx(1.1)


def test_an_older_attempt_that_fails_late_does_not_reopen_what_has_succeeded():
    cooling = resting(10.0)
    lease = cooling.enter(10.0)
    cooling.succeed(began=10.0, now=10.2)
    cooling.leave(lease)
    assert cooling.refuse(60.0, began=0.1, now=10.3) is False
    assert cooling.phase(10.3) is Phase.HALF_OPEN


def test_a_success_that_began_before_the_rest_was_over_opens_nothing():
    cooling = resting(10.0)
    cooling.succeed(began=0.0, now=11.0)
    assert cooling.width == 1


def test_near_the_limit_the_success_of_one_does_not_overrule_the_refusal_of_its_neighbour():
    cooling = Cooling()
    cooling.succeed(began=5.1, now=5.2)
    assert cooling.refuse(20.0, began=5.0, now=5.3) is True
    assert cooling.phase(6.0) is Phase.RESTING


def passing(cooling, now):
    """How many more are let through."""
    count = 0
    while cooling.admits(now) and count < 100:
        cooling.enter(now)
        count += 1
    return count


def test_a_slow_probe_keeps_the_others_out_for_five_seconds_only():
    """A refusal would have come by then; the answer may take minutes."""
    cooling = resting(10.0)
    assert passing(cooling, 10.0) == 1
    assert cooling.opens_at(11.0) == 10.0 + QUIET_S
    assert passing(cooling, 14.9) == 0
    assert [passing(cooling, 10.0 + wait) for wait in (5.0, 9.9, 10.0, 15.0)] == [2, 0, 4, 8]


def test_a_lease_nobody_gave_back_is_forgotten_after_thirty_seconds():
    cooling = resting(10.0)
    passing(cooling, 10.0)
    assert passing(cooling, 10.0 + LEASE_S) == 1


def test_entering_uninvited_raises():
    cooling = resting(10.0)
    with pytest.raises(RuntimeError, match="<Cooling until 10, level 1, then 1 at once, 0 passing> admits nobody at 3"):
        cooling.enter(3.0)


def test_lifting_forgets_the_rest():
    cooling = resting(10.0)
    cooling.lift()
    assert cooling.admits(0.1)


@pytest.mark.parametrize(
    ("hint", "level", "low", "high"),
    [
        (Hint(2.5), 0, 2.5, 2.5),
        (Hint(2.5), 5, 2.5, 2.5),
        (Hint(0.01), 0, 0.5, 0.5),
        (Hint(7200.0), 0, 900.0, 900.0),
        (Hint(7200.0, per_day=True), 0, 7200.0, 7200.0),
        (Hint(1e9, per_day=True), 0, 26 * 3600.0, 26 * 3600.0),
        (Hint(None), 0, 0.8, 1.2),
        (Hint(None), 3, 6.4, 9.6),
        (Hint(None), 40, 48.0, 72.0),
    ],
)
def test_how_long_a_scope_rests(hint, level, low, high):
    assert low <= rate_rest(hint, level, random.Random(7)) <= high


def test_how_long_a_purse_and_the_way_out_rest():
    assert [billing_rest(level) for level in range(5)] == [300.0, 900.0, 3600.0, 3600.0, 3600.0]
    assert [egress_rest(Hint(None), level) for level in range(6)] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert egress_rest(Hint(30.0), 0) == 30.0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["refuse", "succeed", "enter", "leave"]),
        st.floats(0.0, 5.0),  # time that passes before it
        st.floats(0.0, 20.0),  # how long ago the attempt began
        st.floats(0.5, 30.0),  # the rest asked for
    ),
    max_size=60,
)


@given(EVENTS)
def test_whatever_happens_deadlines_only_move_later_and_no_more_pass_than_the_width(events):
    cooling, now, leases = Cooling(), 100.0, []
    for event, passed, ago, rest in events:
        now += passed
        until = cooling.until
        match event:
            case "refuse":
                cooling.refuse(rest, began=now - ago, now=now)
            case "succeed":
                cooling.succeed(began=now - ago, now=now)
            case "enter" if cooling.admits(now):
                leases.append((cooling.enter(now), now))
            case "leave" if leases:
                cooling.leave(leases.pop()[0])
        assert cooling.until >= until or cooling.phase(now) is Phase.READY
        if cooling.width:
            assert cooling.width in {1, 2, 4}
            ages = [now - at for lease, at in leases if lease in cooling._leases and at + LEASE_S > now]
            quiet = sum(age >= QUIET_S for age in ages)
            assert len(ages) - quiet <= cooling.width + quiet
        assert cooling.admits(now) == (cooling.opens_at(now) == now)
