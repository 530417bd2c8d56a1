"""A conversation keeps its home, takes detours, and comes back."""

import tracemalloc

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.core.bindings import CACHE_LIFE_S, DETOUR_TURNS, IDLE_S, LONGEST_S, MOST, Binding, Bindings


def turn(bindings, account, now, session="s"):
    bindings.chosen(session, account, f"org-{account}", now)
    bindings.answered(session, account, f"org-{account}", now)


def home(bindings, now, session="s"):
    found = bindings.get(session, now)
    return found and found.home


def detour(bindings, now):
    return bindings.get("s", now).detour


def test_it_is_bound_before_it_is_answered():
    bindings = Bindings()
    bindings.chosen("s", "a", "org-a", 0.0)
    assert home(bindings, 0.0) == "a"


def test_a_detour_does_not_rebind_and_ends_when_home_answers():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    turn(bindings, "b", 1.0)
    turn(bindings, "b", 2.0)
    assert (home(bindings, 2.0), detour(bindings, 2.0)) == ("a", "b")
    turn(bindings, "a", 3.0)
    assert bindings.get("s", 3.0) == Binding("a", "org-a", 0.0, 3.0)


def test_after_three_turns_the_detour_is_home():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    for n in range(DETOUR_TURNS):
        assert home(bindings, n) == "a"
        turn(bindings, "b", float(n))
    assert bindings.get("s", 5.0) == Binding("b", "org-b", 0.0, 2.0, kept=0.0)


def test_after_a_long_absence_the_detour_is_home():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    turn(bindings, "b", 1.0)
    for n in range(1, 4):
        bindings.chosen("s", "b", "org-b", n * 1500.0)
    bindings.answered("s", "b", "org-b", CACHE_LIFE_S + 1000)
    assert home(bindings, 4600.0) == "b"


def test_a_home_that_never_answered_is_given_up_at_the_first_answer():
    bindings = Bindings()
    bindings.chosen("s", "a", "org-a", 0.0)
    turn(bindings, "b", 1.0)
    assert (home(bindings, 1.0), detour(bindings, 1.0)) == ("b", None)


def test_homes_organization_is_what_its_answers_say():
    bindings = Bindings()
    bindings.chosen("s", "a", "account:a", 0.0)
    list(bindings.drain())
    bindings.answered("s", "a", "org-1", 1.0)
    assert [kept.organization for _, kept in bindings.drain()] == ["org-1"]


def test_attempts_that_fail_do_not_count_as_turns():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    for _ in range(10):
        bindings.chosen("s", "b", "org-b", 1.0)
    assert home(bindings, 1.0) == "a"
    bindings.chosen("s", "a", "org-a", 2.0)
    assert detour(bindings, 2.0) == "b", "home was only asked, it has not answered"


def test_silence_and_age_end_it():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    assert bindings.get("s", IDLE_S) is not None
    assert bindings.get("s", IDLE_S + 1) is None
    for n in range(int(LONGEST_S // 1800) + 1):
        turn(bindings, "a", n * 1800.0, "busy")
    assert bindings.get("busy", LONGEST_S) is not None
    assert bindings.get("busy", LONGEST_S + 1) is None


def test_removed_accounts_are_nobodys_home():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    turn(bindings, "b", 0.0, "t")
    bindings.retain(["b"])
    assert (home(bindings, 0.0), home(bindings, 0.0, "t")) == (None, "b")


def test_changes_are_told_once_and_outlive_the_process():
    bindings = Bindings()
    turn(bindings, "a", 0.0)
    turn(bindings, "a", 1.0)
    rows = list(bindings.drain())
    assert [(session, kept.home) for session, kept in rows] == [("s", "a")]
    assert list(bindings.drain()) == []
    turn(bindings, "a", 10.0)
    assert list(bindings.drain()) == [], "its time of use need not be kept to the second"
    turn(bindings, "a", 100.0)
    assert len(list(bindings.drain())) == 1
    again = Bindings()
    again.load([("s", Binding("a", "org-a", -50.0, 1e9)), ("old", Binding("a", "org-a", -9e9, -9e9))], 0.0)
    assert (home(again, 1.0), home(again, 1.0, "old")) == ("a", None)


@pytest.mark.slow
def test_a_million_conversations_take_bounded_memory():
    bindings = Bindings()
    tracemalloc.start()
    for n in range(120_000):
        bindings.chosen(f"{n:064x}", "a", "org-a", 0.0)
        if n % 1000 == 0:
            list(bindings.drain())
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(bindings) == MOST
    assert size < MOST * 700
    assert bindings.get(f"{119_999:064x}", 0.0) is not None
    assert bindings.get(f"{0:064x}", 0.0) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 100)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_home_moves_only_to_an_account_that_answered(steps):
    bindings, now, last_home = Bindings(), 0.0, None
    answered = set()
    for account, well, pause in steps:
        now += pause
        bindings.chosen("s", account, account, now)
        if well:
            answered.add(account)
            bindings.answered("s", account, account, now)
        found = home(bindings, now)
        assert found is not None
        if last_home is not None and found != last_home:
            assert found == account
            assert account in answered
        last_home = found
