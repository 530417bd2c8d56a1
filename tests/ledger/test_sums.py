"""Sums by hour, and the days and months made of them."""

import datetime as dt

from tests.ledger.samples import DAY, HOUR, NOON, WORK, record

from codex_manager.core.usage import Usage
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.rows import to_nano
from codex_manager.ledger.sums import DISTINCT, MEASURES, OTHER, Sums


def sums_of(*records):
    sums = Sums(Calendar(dt.UTC))
    for one in records:
        sums.add(one, one.usage, to_nano(one.cost))
    return sums


def line(sums, span="month", **wanted):
    """The one row of a span, by the names of its numbers."""
    rows = [row for row in sums.rollups() if row[0] == span]
    assert len(rows) == 1
    return dict(zip(MEASURES, rows[0][6:], strict=True))


def test_an_hour_sums_what_requests_had():
    found = line(sums_of(
        record(1), record(2, status=500, failure="transient"), record(3, failure="gone", estimated=True),
        record(4, usage=None, usd="0", priced=False), record(5, usage=Usage(characters=7, images=2, seconds=1.5)),
    ))  # fmt: skip
    assert found == {
        "requests": 5, "errors": 1, "attempts": 5, "input": 300, "cached": 120, "cache_write": 0, "output": 60, "reasoning": 15,
        "characters": 7, "images": 2, "seconds": 1.5, "nano": 40_000_000, "estimated": 1, "estimated_nano": 10_000_000,
        "unpriced": 1, "duration_ms": 7500,
    }  # fmt: skip


def test_each_request_is_in_its_hour_its_day_and_its_month():
    rows = sums_of(record(1), record(2, time=NOON + HOUR), record(3, time=NOON + DAY)).rollups()
    starts = {span: sorted(row[1] for row in rows if row[0] == span) for span in ("hour", "day", "month")}
    midnight = NOON - 12 * HOUR
    assert starts == {
        "hour": [NOON, NOON + HOUR, NOON + DAY], "day": [midnight, midnight + DAY], "month": [midnight - 17 * DAY],
    }  # fmt: skip


def test_what_was_spent_is_kept_by_account_and_by_client():
    spent = sums_of(record(1), record(2, account_id=None, client="ci"), record(3, usd="0")).spent()
    by_holder = {(span, holder, key): nano for (span, _, holder, key), nano in spent.items()}
    assert by_holder == {
        (span, holder, key): 10_000_000
        for span in ("day", "month")
        for holder, key in (("account", WORK), ("client", "default"), ("client", "ci"))
    }


def test_a_settlement_puts_the_real_figures_in_the_estimates_place():
    before = record(1, usd="0.50", estimated=True, usage=Usage(input=1000, output=500, estimated=True))
    sums = sums_of(before)
    sums.settle(before, Usage(input=10, output=5), 1_000_000, old_nano=500_000_000, priced=True)
    found = line(sums)
    assert (found["requests"], found["input"], found["output"], found["nano"]) == (1, 10, 5, 1_000_000)
    assert (found["estimated"], found["estimated_nano"]) == (0, 0)


def test_an_estimate_may_be_settled_by_a_better_estimate():
    before = record(1, usd="0.50", estimated=True)
    sums = sums_of(before)
    sums.settle(before, Usage(input=10, estimated=True), 7, old_nano=500_000_000, priced=False)
    found = line(sums)
    assert (found["estimated"], found["estimated_nano"], found["unpriced"], found["nano"]) == (1, 7, 1, 7)


def test_merging_adds_and_changes_no_line_of_others():
    one, other = sums_of(record(1)), sums_of(record(2))
    before = other.rollups()
    one.merge(other)
    one.merge(sums_of(record(3, client="ci")))
    assert other.rollups() == before
    assert sum(row[6] for row in one.rollups() if row[0] == "hour") == 3


def test_a_client_that_makes_up_models_does_not_make_sums_without_end():
    sums = sums_of(*(record(n, model=f"made-up-{n}", endpoint=f"what/{n}") for n in range(3 * DISTINCT)))
    assert len(sums.lines) <= DISTINCT + 1
    assert sum(entry[0] for entry in sums.lines.values()) == 3 * DISTINCT
    assert any(key[3] == OTHER for key in sums.lines)


def test_a_record_that_cannot_be_counted_changes_nothing():
    sums = sums_of(record(1))
    before = sums.rollups()
    for odd in (record(2, duration_s="x"), record(3, attempts=None), record(4, client=[])):
        try:
            sums.add(odd, odd.usage, 1)
        except TypeError:
            continue
    assert [row for row in sums.rollups() if row[0] == "month"] == [row for row in before if row[0] == "month"]
