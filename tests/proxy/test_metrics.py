"""What is counted of a record, and that no client can make the counting grow."""

from decimal import Decimal
from typing import Any

import pytest

from codex_manager.core.record import Attempt, Record
from codex_manager.core.usage import Usage
from codex_manager.proxy import metrics
from codex_manager.proxy.metrics import Histogram, Metrics


def record(**fields) -> Record:
    """A chat that went well, but for what the test says."""
    good: dict[str, Any] = {
        "id": "1",
        "time": 0.0,
        "client": "default",
        "method": "POST",
        "endpoint": "chat/completions",
        "model": "gpt-4o-2024-08-06",
        "account_id": "id-work",
        "account": "work",
        "status": 200,
        "duration_s": 1.5,
    }
    return Record(**good | fields)


def attempt(account: str, failure: str = "") -> Attempt:
    return Attempt(account_id=f"id-{account}", label=account, began_s=0, took_s=0.1, status=200, failure=failure)


def counted(*records: Record) -> metrics.Sums:
    found = Metrics()
    for each in records:
        found.count(each)
    return found.sums


def test_a_good_request():
    usage = Usage(input=100, cached=30, cache_write=10, output=50, reasoning=20)
    sums = counted(record(usage=usage, cost=Decimal("0.25"), streamed=True, first_byte_s=0.3))
    assert sums.requests == {("work", "chat/completions", "gpt-4o"): 1}
    assert sums.errors == sums.failovers == sums.retries == sums.unpriced == {}
    assert sums.tokens == {
        ("work", "gpt-4o", "input"): 60,
        ("work", "gpt-4o", "cached_input"): 30,
        ("work", "gpt-4o", "cache_write"): 10,
        ("work", "gpt-4o", "output"): 30,
        ("work", "gpt-4o", "reasoning"): 20,
    }
    assert sum(sums.tokens.values()) == usage.total
    assert sums.spent == {("work", "gpt-4o", "reported"): 0.25}
    assert (sums.client_requests, sums.client_spent) == ({("default",): 1}, {("default",): 0.25})
    assert sums.durations["chat/completions"].total == 1.5
    assert sums.first_bytes["gpt-4o"].total == 0.3


def test_what_failed_has_a_class_and_no_time():
    sums = counted(
        record(status=429, failure="rate"),
        record(status=403, failure="model_not_allowed", account_id=None, account=None),
        record(failure="gone", usage=Usage(output=5, estimated=True), cost=Decimal(1), estimated=True, priced=False),
        record(failure="something a later version says"),
    )
    chat = "chat/completions"
    assert sums.errors == {
        ("work", chat, "rate"): 1,
        ("", chat, "model_not_allowed"): 1,
        ("work", chat, "gone"): 1,
        ("work", chat, "other"): 1,
    }
    assert sums.durations == {}
    assert sums.spent == {("work", "gpt-4o", "estimated"): 1}
    assert sums.unpriced == {("gpt-4o",): 1}


def test_attempts_before_the_last_are_failovers_or_retries():
    tried = (attempt("home", "overload"), attempt("home", "rate"), attempt("work"))
    sums = counted(record(attempts=tried))
    assert sums.retries == {("home", "overload"): 1}
    assert sums.failovers == {("home", "rate"): 1}


def test_what_a_lost_attempt_cost_is_money_and_no_request():
    sums = counted(record(detail={"attempt_of": "1"}, usage=Usage(input=7, estimated=True), cost=Decimal(2)))
    assert (len(sums.requests), len(sums.client_requests), len(sums.durations)) == (0, 0, 0)
    assert sum(sums.spent.values()) == 2
    assert sum(sums.tokens.values()) == 7


def test_an_answer_on_a_socket_is_a_request_without_a_time():
    sums = counted(record(websocket=True, endpoint="realtime"))
    assert sums.requests == {("work", "realtime", "gpt-4o"): 1}
    assert sums.durations == {}


def test_a_model_nobody_served_has_no_label():
    sums = counted(*(record(model=f"made-up-{i}", status=404, failure="model_access") for i in range(500)))
    assert sums.requests == {("work", "chat/completions", "other"): 500}
    sums = counted(*(record(model=f"real-model-{i:03d}x") for i in range(500)))
    assert len(sums.requests) == metrics.MODELS + 1
    assert sums.requests["work", "chat/completions", "other"] == 500 - metrics.MODELS


def test_an_endpoint_nobody_served_goes_by_its_family():
    sums = counted(
        record(endpoint="files/accept/runs", status=404, failure="caller"),
        record(endpoint="nonsense", status=404, failure="caller"),
        record(endpoint="files/content"),
        record(model=None, endpoint="files/content", status=404, failure="caller"),
    )
    assert {endpoint for _, endpoint, _ in sums.requests} == {"files", "other", "files/content"}
    assert ("work", "files/content", "") in sums.requests


def test_a_table_has_an_end(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_SERIES", 10)
    sums = counted(*(record(account=f"account {i}") for i in range(50)))
    assert len(sums.requests) == 11
    assert sums.requests["other", "other", "other"] == 40


@pytest.mark.parametrize(("seconds", "place"), [(0.0, 0), (1.0, 0), (1.1, 1), (2.0, 1), (9.9, 2)])
def test_a_bound_belongs_to_what_is_below_it(seconds, place):
    """Prometheus' `le` is less or equal."""
    histogram = Histogram((1.0, 2.0))
    histogram.observe(seconds)
    assert histogram.counts.index(1) == place


def test_a_copy_counts_no_further():
    found = Metrics()
    found.count(record())
    copy = found.sums.copy()
    found.count(record())
    assert copy.requests == {("work", "chat/completions", "gpt-4o"): 1}
    assert sum(copy.durations["chat/completions"].counts) == 1


def test_ordinary_records_are_in_the_sums_whenever_these_are_read():
    found = Metrics()
    usage = Usage(input=10, cached=4, output=6, reasoning=1)
    for count in (1, 2, 3):
        found.count(record(usage=usage, cost=Decimal("0.5")))
        assert list(found.sums.requests.values()) == [count]
        assert list(found.sums.client_requests.values()) == [count]
        assert list(found.sums.spent.values()) == [count * 0.5]
        tokens = {labels[2]: amount for labels, amount in found.sums.tokens.items()}
        assert tokens == {"input": 6 * count, "cached_input": 4 * count, "output": 5 * count, "reasoning": count}
    found.count(record(usage=usage, cost=Decimal("0.5"), estimated=True))
    assert sum(found.sums.requests.values()) == 4
    assert sum(found.sums.spent.values()) == 2.0
    assert [sum(histogram.counts) for histogram in found.sums.durations.values()] == [4]
