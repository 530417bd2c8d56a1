"""What was learned survives a restart, and no clock makes it last longer."""

import random

import pytest

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.breaker import Position
from codex_manager.core.cooling import Phase
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Hint
from codex_manager.core.persist import SHORTEST_KEPT_S, Mark, export, restore
from codex_manager.core.secret import Secret
from codex_manager.core.state import State


ACCOUNTS = [Account(id=name, label=name, api_key=Secret(f"sk-{name}"), updated_at="v1") for name in ("a", "b")]
EDITIONS = {"a": "v1", "b": "v1"}
ORIGIN = "https://api.openai.com"
NOW, WALL = 1000.0, 1_800_000_000.0


def fresh():
    state = State()
    for account in ACCOUNTS:
        state.add(account)
    return state


def fail(state, failure, *, seconds=None, account=0, model="gpt-4o", now=NOW, **verdict):
    lease = state.begin(ACCOUNTS[account], ORIGIN, model, 0, now)
    marks.failed(state, lease, Verdict(failure=failure, **verdict), Hint(seconds), model or "", now, random.Random(1))
    state.end(lease)


def reborn(state, *, pause=10.0, clock=0.0, editions=EDITIONS):
    """The state after a restart `pause` seconds later, its clock set by `clock` seconds; and the new process's now."""
    rows = export(state, EDITIONS, NOW, WALL)
    again, now = fresh(), 5.0
    restore(again, rows, editions, now, WALL + pause + clock)
    return again, now


def test_a_rest_goes_on_where_it_was():
    state = fresh()
    fail(state, FailureClass.RATE, seconds=120.0)
    again, now = reborn(state)
    cooling = again.scope("account:a", "gpt-4o").cooling
    assert cooling.phase(now) is Phase.RESTING
    assert cooling.until == pytest.approx(now + 110.0, abs=0.01)
    assert cooling.level == 1
    assert again.scope("account:a", "o3").cooling.phase(now) is Phase.READY
    assert cooling.admits(cooling.until)
    cooling.enter(cooling.until)
    assert not cooling.admits(cooling.until), "one probe"


def test_a_scope_without_a_model_is_not_one_with_an_empty_name():
    state = fresh()
    fail(state, FailureClass.RATE, seconds=120.0, model=None)
    again, now = reborn(state)
    assert again.scope("account:a", None).cooling.phase(now) is Phase.RESTING


def test_purses_breakers_exclusions_and_bad_keys():
    state = fresh()
    fail(state, FailureClass.BILLING)
    fail(state, FailureClass.MODEL_ACCESS, account=1)
    fail(state, FailureClass.AUTH, account=1, code="account_deactivated")
    for _ in range(5):
        fail(state, FailureClass.TRANSIENT)
    fail(state, FailureClass.EGRESS_LIMIT, seconds=30.0)
    again, now = reborn(state)
    assert again.purses["account:a"].phase(now) is Phase.RESTING
    assert again.exclusions["b", "gpt-4o"] == pytest.approx(now + 3590.0, abs=0.01)
    assert again.accounts["b"].auth_failed == "account_deactivated"
    assert again.accounts["b"].recheck_at == pytest.approx(now + 890.0, abs=0.01)
    breaker = again.accounts["a"].breaker
    assert (breaker.position, breaker.trips) == (Position.OPEN, 1)
    assert breaker.until == pytest.approx(now + 5.0, abs=0.01)
    assert again.origins[ORIGIN].cooling.phase(now) is Phase.RESTING


def test_what_ends_by_itself_soon_is_not_kept():
    state = fresh()
    fail(state, FailureClass.RATE, seconds=SHORTEST_KEPT_S - 1)
    assert export(state, EDITIONS, NOW, WALL) == []


def test_what_ended_meanwhile_is_over():
    state = fresh()
    fail(state, FailureClass.RATE, seconds=120.0)
    again, now = reborn(state, pause=121.0)
    assert again.scope("account:a", "gpt-4o").cooling.phase(now) is Phase.READY


@pytest.mark.parametrize("clock", [-86_400.0, -3600.0])
def test_a_clock_set_back_lengthens_nothing(clock):
    state = fresh()
    fail(state, FailureClass.RATE, seconds=120.0)
    again, now = reborn(state, clock=clock)
    assert again.scope("account:a", "gpt-4o").cooling.until == pytest.approx(now + 120.0, abs=0.01)


def test_a_clock_set_forward_ends_it():
    state = fresh()
    fail(state, FailureClass.RATE, seconds=120.0)
    again, now = reborn(state, clock=86_400.0)
    assert again.scope("account:a", "gpt-4o").cooling.phase(now) is Phase.READY


def test_an_edited_account_starts_anew():
    state = fresh()
    fail(state, FailureClass.AUTH)
    fail(state, FailureClass.MODEL_ACCESS)
    again, _ = reborn(state, editions={"a": "v2", "b": "v1"})
    assert again.accounts["a"].auth_failed is None
    assert again.exclusions == {}


def test_rows_of_nobody_and_nonsense_are_left_out():
    rows = [
        Mark("auth", "gone", "401", WALL + 100, 100.0), Mark("breaker", "gone", "", WALL + 100, 100.0), Mark("exclusion", "gone", "m", WALL + 100, 100.0),
        Mark("what", "a", "", WALL + 100, 100.0), Mark("scope", "d", "odd", WALL + 100, 100.0), Mark("purse", "a", "", float("nan"), 100.0),
        Mark("purse", "a", "", WALL + 100, float("inf")), Mark("purse", "a", "", WALL - 1, 100.0),
    ]  # fmt: skip
    state = fresh()
    assert restore(state, rows, EDITIONS, NOW, WALL) == 0
    assert state.purses == {}


def test_nothing_of_this_process_ends_earlier():
    state = fresh()
    fail(state, FailureClass.RATE, seconds=600.0)
    restore(state, [Mark("scope", "account:a", "=gpt-4o", WALL + 60, 60.0, 5)], EDITIONS, NOW, WALL)
    assert state.scope("account:a", "gpt-4o").cooling.until == NOW + 600.0
