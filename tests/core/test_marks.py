"""What each class of failure is held against, and for how long."""

import random

import pytest

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.breaker import Position
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Headroom, Hint
from codex_manager.core.incident import Cause
from codex_manager.core.secret import Secret
from codex_manager.core.state import State


PLACE = "https://api.openai.com:443"
C = FailureClass


def world(*names):
    state = State()
    for name in names or ("a",):
        state.add(Account(id=name, label=name, api_key=Secret("sk-" + name)))
    return state


def begin(state, name="a", now=0.0):
    return state.begin(Account(id=name, label=name, api_key=Secret("sk")), PLACE, "gpt-4o", 0, now)


def fail(state, failure, name="a", now=1.0, hint=None, **verdict):
    lease = begin(state, name, now - 0.1)
    marks.failed(state, lease, Verdict(failure=failure, **verdict), Hint(hint), "gpt-4o", now, random.Random(1))
    state.end(lease)
    return lease


def marked(state):
    """Everything that is not as it was, by name."""
    found = {f"scope {key[1]}" for key, scope in state.scopes.items() if scope.cooling.width}
    found |= {f"cloud {key[1]}" for key, scope in state.scopes.items() if not scope.weather.is_clear(1.0)}
    found |= {f"purse {name}" for name, purse in state.purses.items() if purse.width}
    found |= {"egress" for origin in state.origins.values() if origin.cooling.width}
    found |= {"place" for origin in state.origins.values() if not origin.weather.is_clear(1.0)}
    found |= {"key" for standing in state.accounts.values() if standing.auth_failed}
    found |= {"account cloud" for standing in state.accounts.values() if not standing.weather.is_clear(1.0)}
    return found | {f"excluded {access}" for _, access in state.exclusions}


@pytest.mark.parametrize(
    ("failure", "verdict", "expected"),
    [
        (C.RATE, {}, {"scope gpt-4o"}),
        (C.RATE, {"oversized": True}, set()),
        (C.BILLING, {}, {"purse org"}),
        (C.BILLING, {"project_only": True}, {"purse org/proj"}),
        (C.AUTH, {}, {"key"}),
        (C.MODEL_ACCESS, {}, {"excluded gpt-4o"}),
        (C.CALLER, {}, set()),
        (C.OWNER_MISS, {}, set()),
        (C.ORIGIN_MISS, {}, set()),
        (C.OVERLOAD, {}, {"cloud gpt-4o"}),
        (C.TRANSIENT, {}, {"account cloud"}),
        (C.AMBIGUOUS, {}, {"account cloud"}),
        (C.MID_STREAM, {}, {"account cloud"}),
        (C.PRE_DISPATCH, {}, {"place"}),
        (C.EGRESS_LIMIT, {}, {"egress"}),
        (C.NEUTRAL, {}, set()),
    ],
)
def test_each_class_marks_what_the_table_says(failure, verdict, expected):
    state = world()
    state.learn_domain(state.accounts["a"], "org", "proj")
    fail(state, failure, **verdict)
    assert marked(state) == expected


@pytest.mark.parametrize("failure", [c for c in C if c not in {C.TRANSIENT, C.AMBIGUOUS, C.MID_STREAM}])
def test_nothing_but_failures_of_the_account_opens_its_breaker(failure):
    state = world()
    for number in range(30):
        fail(state, failure, now=1.0 + number)
    assert state.accounts["a"].breaker.position is Position.CLOSED


@pytest.mark.parametrize(("failure", "needed"), [(C.TRANSIENT, 5), (C.AMBIGUOUS, 5), (C.MID_STREAM, 10)])
def test_how_many_failures_in_a_row_open_the_breaker(failure, needed):
    state = world()
    for number in range(needed):
        assert state.accounts["a"].breaker.position is Position.CLOSED
        fail(state, failure, now=1.0 + number)
    assert state.accounts["a"].breaker.position is Position.OPEN


def test_when_two_domains_fail_alike_no_breaker_opens_and_openai_is_named():
    state = world("a", "b")
    for number in range(60):
        fail(state, C.TRANSIENT, "ab"[number % 2], now=1.0 + number * 0.1)
    assert all(standing.breaker.position is Position.CLOSED for standing in state.accounts.values())
    assert state.incidents.current(7.0) is Cause.OPENAI


def test_connections_that_fail_name_the_network():
    state = world("a", "b")
    fail(state, C.PRE_DISPATCH, "a")
    fail(state, C.PRE_DISPATCH, "b", now=1.1)
    assert state.incidents.current(1.2) is Cause.NETWORK


def test_the_largest_hint_is_the_rest_and_the_organization_is_learned_with_it():
    state = world()
    lease = begin(state)
    marks.arrived(state, lease, {"openai-organization": "org", "openai-project": "proj"}, 1.0)
    marks.failed(state, lease, Verdict(failure=C.RATE), Hint(7.0), "gpt-4o", 1.0, random.Random(1))
    assert state.scopes["org/proj", "gpt-4o"].cooling.until == 8.0


def test_a_good_answer_reopens_what_rested_and_tells_the_room():
    state = world()
    fail(state, C.RATE, hint=1.0)
    for now in (2.5, 3.0, 3.5):
        lease = begin(state, now=now)
        marks.answered(state, lease, Headroom(limit_requests=10, remaining_requests=4, reset_requests_s=60.0), now)
        state.end(lease)
    scope = state.scopes["account:a", "gpt-4o"]
    assert scope.cooling.width == 0
    assert scope.capacity.used(4.0) == 0.6


def test_an_empty_purse_is_tried_again_later_and_later():
    state, spans = world(), []
    now = 0.0
    for _ in range(4):
        fail(state, C.BILLING, now=now + 0.1)
        purse = state.purses["account:a"]
        spans.append(round(purse.until - now))
        now = purse.until + 0.2
    assert spans == [300, 900, 3600, 3600]
