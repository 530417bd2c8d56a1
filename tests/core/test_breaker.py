"""The breaker opens for what keeps failing, lets one probe through, and knows no transition that is not in its table."""

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.breaker import TRANSITIONS, Breaker, Event, IllegalTransitionError, Position


def failing(count, weight=1.0, start=0.0):
    breaker = Breaker()
    for number in range(count):
        breaker.fail(weight, began=start + number, now=start + number)
    return breaker


def test_five_in_a_row_open_it_for_fifteen_seconds():
    assert failing(4).position is Position.CLOSED
    breaker = failing(5)
    assert breaker.position is Position.OPEN
    assert repr(breaker) == "<Breaker open until 19, trip 1>"
    assert not breaker.admits(18.9)
    assert breaker.admits(19.0)


def test_a_success_in_between_starts_the_row_anew():
    breaker = failing(4)
    breaker.succeed(began=4.0, now=4.0)
    breaker.fail(1.0, began=5.0, now=5.0)
    assert breaker.position is Position.CLOSED
    assert repr(breaker) == "<Breaker closed, 1 failed in a row, 6 in the window>"


def test_half_of_ten_within_a_minute_open_it():
    breaker = Breaker()
    for number in range(10):
        assert breaker.position is Position.CLOSED
        if number % 2:
            breaker.fail(1.0, began=number, now=number)
        else:
            breaker.succeed(began=number, now=number)
    assert breaker.position is Position.OPEN


def test_what_is_older_than_a_minute_does_not_count():
    breaker = Breaker()
    for number in range(4):
        breaker.fail(1.0, began=number, now=number)
    breaker.succeed(began=5.0, now=5.0)
    for number in range(6):
        breaker.succeed(began=70.0, now=70.0 + number)
    breaker.fail(1.0, began=80.0, now=80.0)
    assert breaker.position is Position.CLOSED


def test_answers_cut_in_the_middle_count_half():
    assert failing(9, weight=0.5).position is Position.CLOSED
    assert failing(10, weight=0.5).position is Position.OPEN


def test_while_guarded_it_stays_closed():
    breaker = Breaker()
    for number in range(50):
        assert breaker.fail(1.0, began=number, now=number, guarded=True) is False
    assert breaker.position is Position.CLOSED


def test_two_successes_heal_it():
    breaker = failing(5)
    for now in (19.0, 20.0):
        assert breaker.admits(now)
        assert breaker.enter(now) is True
        assert not breaker.admits(now)
        breaker.succeed(began=now, now=now + 0.1)
    assert breaker.position is Position.CLOSED
    assert breaker.enter(21.0) is False


def test_a_relapse_opens_it_twice_as_long_up_to_five_minutes():
    breaker, spans = failing(5), []
    for _ in range(7):
        now = breaker.until
        breaker.enter(now)
        breaker.fail(1.0, began=now, now=now)
        spans.append(breaker.until - now)
    assert spans == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0, 300.0]


def test_what_began_before_the_half_open_window_decides_nothing():
    breaker = failing(5)
    breaker.enter(19.0)
    assert breaker.fail(1.0, began=3.0, now=19.5) is False
    breaker.succeed(began=3.0, now=19.6)
    assert repr(breaker) == "<Breaker half-open, 0 of 2 healed, trip 1>"


def test_while_open_late_results_change_nothing():
    breaker = failing(5)
    before = repr(breaker)
    breaker.succeed(began=1.0, now=6.0)
    assert breaker.fail(1.0, began=1.0, now=6.0) is False
    assert repr(breaker) == before


def test_a_probe_without_a_verdict_makes_room_for_the_next():
    breaker = failing(5)
    breaker.enter(19.0)
    assert breaker.opens_at(20.0) == 49.0
    breaker.leave()
    assert breaker.admits(20.0)


@pytest.mark.parametrize("position", Position)
@pytest.mark.parametrize("event", Event)
def test_every_transition_is_in_the_table_or_raises(position, event):
    breaker = Breaker()
    breaker.position = position
    if (position, event) in TRANSITIONS:
        breaker._move(event)
        assert breaker.position is TRANSITIONS[position, event]
    else:
        with pytest.raises(IllegalTransitionError, match=f"<Breaker .*> cannot {event}"):
            breaker._move(event)


STEPS = st.lists(
    st.tuples(st.sampled_from(["ok", "fail", "cut", "enter", "leave"]), st.floats(0.0, 20.0), st.floats(0.0, 40.0)),
    max_size=80,
)


@given(STEPS)
def test_whatever_happens_it_neither_raises_nor_lets_two_probes_pass(steps):
    breaker, now = Breaker(), 0.0
    for step, passed, ago in steps:
        now += passed
        match step:
            case "ok":
                breaker.succeed(began=now - ago, now=now)
            case "fail":
                breaker.fail(1.0, began=now - ago, now=now)
            case "cut":
                breaker.fail(0.5, began=now - ago, now=now)
            case "enter" if breaker.admits(now) and breaker.enter(now):
                assert not breaker.admits(now)
            case "leave" if breaker.position is Position.HALF_OPEN:
                breaker.leave()
        assert breaker.admits(now) == (breaker.opens_at(now) == now)
        if breaker.position is Position.OPEN:
            assert breaker.until - now <= 300.0
