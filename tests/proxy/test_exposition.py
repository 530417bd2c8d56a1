"""The page as Prometheus reads it."""

import pytest

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from tests.proxy.test_metrics import attempt, record

from codex_manager.core.usage import Usage
from codex_manager.proxy.exposition import page
from codex_manager.proxy.metrics import Metrics, Sums
from codex_manager.proxy.moment import AccountMoment, Moment


OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
QUIET = Moment(started_at=1000.0, cooldowns={}, clients={})
BUSY = Moment(
    started_at=1000.0,
    accounts=(
        AccountMoment("work", "limited", False, 3, 12.5, "closed", 0.8),
        AccountMoment('o"d\nd\\', "failing", True, 0, None, "open", None),
    ),
    cooldowns={("work", "gpt-4o"): 12.5},
    clients={"ci": 0.25},
    in_flight=3,
    waiting=2,
    locked=False,
    incident="OpenAI",
    dropped=7,
    queued=1,
)


def sums() -> Sums:
    metrics = Metrics()
    metrics.count(record(usage=Usage(input=3), cost=2, streamed=True, first_byte_s=0.3))
    metrics.count(record(status=429, failure="rate", attempts=(attempt("home", "rate"), attempt("work", "rate"))))
    return metrics.sums


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_what_was_counted_is_on_the_page():
    text, content_type = page(sums(), BUSY, "")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(text)

    def value(name, **labels):
        return found["codex_manager_" + name, tuple(sorted(labels.items()))]

    where = {"account": "work", "endpoint": "chat/completions"}
    assert value("requests_total", model="gpt-4o", **where) == 2
    assert value("errors_total", **where, **{"class": "rate"}) == 1
    assert value("failovers_total", account="home", **{"class": "rate"}) == 1
    assert value("tokens_total", account="work", model="gpt-4o", kind="input") == 3
    assert value("spent_usd_total", account="work", model="gpt-4o", basis="reported") == 2
    assert value("client_spent_usd_total", client="default") == 2
    assert value("request_duration_seconds_bucket", endpoint="chat/completions", le="1.0") == 0
    assert value("request_duration_seconds_bucket", endpoint="chat/completions", le="2.5") == 1
    assert value("request_duration_seconds_bucket", endpoint="chat/completions", le="+Inf") == 1
    assert value("request_duration_seconds_count", endpoint="chat/completions") == 1
    assert value("time_to_first_token_seconds_sum", model="gpt-4o") == 0.3
    assert value("account_state", account="work", state="limited") == 1
    assert value("account_state", account="work", state="ready") == 0
    assert value("account_available", account='o"d\nd\\') == 1
    assert value("breaker_state", account='o"d\nd\\', state="open") == 1
    assert value("cooldown_seconds", account="work", model="gpt-4o") == 12.5
    assert value("account_limit_used_ratio", account="work") == 0.8
    assert value("client_limit_used_ratio", client="ci") == 0.25
    assert value("requests_in_flight") == 3
    assert value("requests_waiting") == 2
    assert value("incident", state="OpenAI") == 1
    assert value("ledger_dropped_rows_total") == 7
    assert value("start_time_seconds") == 1000


@pytest.mark.parametrize("moment", [QUIET, BUSY], ids=["quiet", "busy"])
def test_both_formats_are_well_formed(moment):
    """Read by the strict parser of the library itself: types, suffixes, order, no series twice."""
    text, content_type = page(sums(), moment, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(text.decode()))
    assert len({family.name for family in families}) == len(families)
    plain, _ = page(sums(), moment, "*/*")
    lines = [line.rpartition(" ")[0] for line in plain.decode().splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))
    assert all(family.documentation for family in families if family.name.startswith("codex_manager_"))


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "text/html",
        "*/*;q=0",
        "text/plain;version=x",
        "application/openmetrics-text;version=x;escaping=y",
        ",;,",
        "a" * 9000,
    ],
)
def test_any_accept_header_gets_a_page(accept):
    assert b"codex_manager_build_info" in page(Sums(), QUIET, accept)[0]
