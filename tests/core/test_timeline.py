"""Minutes of a day: what is counted, in which step it stands, and that nothing grows."""

import random

from decimal import Decimal

import pytest

from codex_manager.core.record import Attempt, Record
from codex_manager.core.timeline import DAY_S, Sum, Timeline, moved


NOW = 1_790_000_000.0 // 3600 * 3600 + 1800  # half past an hour


def record(ago=0.0, *, account="a", tries=("a",), usd="0", **fields):
    attempts = tuple(Attempt(each, each.title(), 0.0, 0.1, 200) for each in tries)
    return Record(
        id="r", time=NOW - ago, client="default", method="POST", endpoint="chat/completions", account_id=account,
        attempts=attempts, cost=Decimal(usd), **fields,
    )  # fmt: skip


def timeline(*records):
    filled = Timeline()
    filled.extend(records, NOW)
    return filled


def total(*records, span=3600):
    return timeline(*records).series(NOW, span, 60).total


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ({}, (1, 0, 0, 0)),
        ({"tries": ("a", "b"), "account": "b"}, (1, 1, 0, 0)),
        ({"tries": ("a", "a")}, (1, 0, 0, 0)),  # the same account once more is no failover
        ({"tries": ("a", "b", "a")}, (1, 1, 0, 0)),
        ({"failure": "transient", "status": 500}, (1, 0, 1, 0)),
        ({"failure": "gone"}, (1, 0, 0, 0)),
        ({"failure": "no_usable_account", "account": None, "tries": ()}, (1, 0, 0, 1)),
        ({"account": None, "tries": ()}, (1, 0, 0, 0)),
        ({"detail": {"attempt_of": "x"}}, (0, 0, 0, 0)),
    ],
)
def test_what_a_request_counts_as(given, counted):
    found = total(record(**given))
    assert (found.requests, found.failovers, found.errors, found.refusals) == counted
    assert found.failed == found.errors + found.refusals


def test_money_of_lost_attempts_counts():
    found = total(record(usd="0.5"), record(usd="0.25", detail={"attempt_of": "x"}))
    assert (found.requests, found.usd) == (1, 0.75)


def test_steps_are_even_and_begin_at_multiples():
    filled = timeline(record(0), record(59), record(61), record(3599), record(3700))
    hour = filled.series(NOW, 3600, 60)
    assert len(hour.starts) == len(hour.sums) == 60
    assert hour.starts[-1] == NOW
    assert {b - a for a, b in zip(hour.starts, hour.starts[1:], strict=False)} == {60}
    assert [each.requests for each in hour.sums][-3:] == [1, 1, 1]
    assert hour.total.requests == 3  # the first minute of the hour is not whole, so it is not shown
    day = filled.series(NOW, DAY_S, 900)
    assert len(day.starts) == 96
    assert all(start % 900 == 0 for start in day.starts)
    assert day.total.requests == 5


@pytest.mark.parametrize("ago", [DAY_S + 61, 10**12, -600.0, -(10**12)])
def test_what_is_too_old_or_ahead_of_the_clock_changes_nothing(ago):
    filled = timeline(record(ago))
    assert len(filled) == 0
    assert filled.series(NOW, DAY_S, 60).total == Sum()


def test_it_never_holds_more_than_a_day():
    filled = Timeline()
    for hour in range(24 * 5):
        for minute in range(0, 60, 7):
            at = NOW + hour * 3600 + minute * 60
            filled.add(record(NOW - at, usd="0.01"), at)
    assert len(filled) <= 24 * 9 + 1


def test_percentiles_are_right_to_six_percent():
    times = sorted(random.Random(5).lognormvariate(-1, 1) for _ in range(500))
    found = total(*(record(each % 60, first_byte_s=each) for each in times), span=7200)
    assert found.percentile(0.5) == pytest.approx(times[249], rel=0.07)
    assert found.percentile(0.95) == pytest.approx(times[474], rel=0.07)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, 0.001), (-1.0, 0.001), (1e9, 1000), (float("inf"), 1000), (1.0, 1.0)]
)
def test_times_out_of_all_bounds_are_counted_at_the_ends(seconds, shown):
    assert total(record(first_byte_s=seconds)).percentile(0.5) == pytest.approx(shown, rel=0.07)


def test_without_a_measured_time_there_is_no_percentile():
    assert total(record()).percentile(0.5) is None
    refused = record(first_byte_s=0.001, account=None, failure="no_usable_account")
    assert total(refused).percentile(0.95) is None  # our own refusals are quick and say nothing of accounts


def test_moved():
    assert not moved(record())
    assert not moved(record(tries=()))
    assert moved(record(tries=("a", "b")))
