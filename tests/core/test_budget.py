"""Repeats stay under a fifth of the requests of ten seconds, and ten are always allowed."""

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.budget import RetryBudget


def spend(budget, now, times):
    return sum(budget.spend(now) for _ in range(times))


def test_in_quiet_times_ten_repeats_are_allowed():
    assert spend(RetryBudget(), 0.0, 100) == 10


def test_under_load_a_fifth_of_the_requests():
    budget = RetryBudget()
    for number in range(1000):
        budget.request(number / 200)
    assert spend(budget, 5.0, 1000) == 200
    assert repr(budget) == "<RetryBudget 200 repeats of 1000 requests>"


def test_after_ten_seconds_the_budget_is_new():
    budget = RetryBudget()
    assert spend(budget, 0.0, 100) == 10
    assert spend(budget, 9.9, 100) == 0
    assert spend(budget, 10.0, 100) == 10


def test_a_clock_far_ahead_empties_it_once():
    budget = RetryBudget()
    spend(budget, 5.0, 100)
    assert spend(budget, 1e9, 100) == 10


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.7)), max_size=300))
def test_no_window_of_ten_seconds_holds_more_than_its_share(steps):
    budget, now = RetryBudget(), 0.0
    requests, repeats = [], []
    for is_request, passed in steps:
        now += passed
        if is_request:
            budget.request(now)
            requests.append(now)
        elif budget.spend(now):
            repeats.append(now)
            # Slots are of whole seconds, so nine seconds are surely inside the window and eleven surely outside.
            recent = sum(at > now - 9.0 for at in repeats)
            assert recent <= max(10, 0.2 * sum(at > now - 11.0 for at in requests) + 1)
