"""What a proxy says is believed as far as it makes sense: another version may say more, less, or something else."""

from decimal import Decimal

import pytest

from codex_manager.core.record import Attempt, Record
from codex_manager.core.telling.record_line import as_line
from codex_manager.core.usage import Usage
from codex_manager_cli.tui import lines


RECORD = Record(
    id="01a1", time=1_795_270_000.5, client="default", method="POST", endpoint="responses", model="gpt-5", account_id="2", account="work",
    status=200, attempts=(Attempt("1", "home", 0.0, 0.2, 429, "rate", "rate_limit_exceeded", "least_utilized"),
                          Attempt("2", "work", 0.2, 1.0, 200, by="least_utilized")),
    duration_s=1.25, usage=Usage(input=1000, output=20), cost=Decimal("0.0123"), streamed=True,
)  # fmt: skip


def test_a_request_reads_the_same_from_the_ledger_and_from_the_proxy():
    assert lines.request_of(RECORD) == lines.request_of_data(as_line(RECORD))


def test_a_request_holds_what_the_table_shows():
    line = lines.request_of(RECORD)
    assert (line.account, line.tries, line.tried, line.by) == ("work", 2, (("home", "rate"),), "least_utilized")
    assert (line.tokens_in, line.tokens_out, line.usd, line.duration_s, line.running) == (1000, 20, 0.0123, 1.25, False)


def test_an_attempt_that_came_to_nothing_is_no_request():
    assert lines.request_of_data({**as_line(RECORD), "attempt_of": "01a0"}) is None


@pytest.mark.parametrize(
    "data", [{}, {"id": 5, "time": 1}, {"id": "x"}, {"id": "x", "time": "yesterday"}, {"id": "x", "time": True}]
)
def test_what_is_no_request_is_left_out(data):
    assert lines.request_of_data(data) is None
    assert lines.running_of_data(data) is None


def test_nonsense_in_a_field_is_not_believed():
    line = lines.request_of_data(
        {"id": "x\x1b[2J", "time": 5, "model": ["a"], "status": "ok", "cost_usd": "much", "attempts": [3, None]}
    )
    assert line is not None
    assert (line.id, line.model, line.status, line.usd, line.tries) == ("x�[2J", "", 0, None, 0)


def test_a_request_on_its_way_has_no_end():
    told = {
        "id": "x",
        "since": "2026-11-21T14:00:00.000+00:00",
        "stage": "answering",
        "attempts": 2,
        "bytes": 300,
        "streamed": True,
    }
    line = lines.running_of_data({**told, "client": "laptop", "account": "work"})
    assert line is not None
    assert line.running
    assert (line.by, line.tries, line.bytes, line.client, line.account) == ("answering", 2, 300, "laptop", "work")


@pytest.mark.parametrize(
    ("blame", "said"),
    [
        (None, ""),
        ({"who": "nobody", "why": None, "accounts": []}, ""),
        ({"who": "network", "why": "no connection", "accounts": []}, "your network; no connection"),
        ({"who": "account", "why": "home: rate limited", "accounts": ["home"]}, "this account; home: rate limited"),
        ({"who": "account", "why": "", "accounts": ["a", "b"]}, "these accounts"),
        ("OpenAI", ""),
    ],
)
def test_whose_fault_it_is(blame, said):
    assert lines.blame_of({"blame": blame}) == said


def test_an_account_of_a_newer_proxy_is_shown_as_far_as_it_is_understood():
    line = lines.account_of(
        {"id": "1", "label": "work", "state": "meditating", "limits": [{"window": "day"}, 7], "models": "all"}, None
    )
    assert (line.label, line.state, line.limits, line.models, line.in_flight) == ("work", "meditating", (), (), None)
