"""What a flow says of its answer: it grows, it is plain, and a user's own words stay."""

import pytest

from mitmproxy.test import tflow
from tests.proxy.rig import plain

from codex_manager.proxy.inspect.telling import Telling


@pytest.fixture
def flow():
    made = tflow.tflow()
    made.request.path = "/v1/chat/completions?x=1"
    return made


def answer_of(**fields):
    return plain(account_id="id", account_label="Work", strategy="sticky", request_id="0af3", **fields)


def test_what_is_known_is_there_when_the_answer_begins_and_the_rest_at_its_end(flow):
    answer = answer_of(upstream_address=("1.2.3.4", 443), facts={"by": "sticky", "model": "gpt-5", "attempts": 1})
    telling = Telling(flow, answer, "alice")
    telling.begin(5.0)
    begun = {
        "strategy": "sticky", "retries": 0, "account_id": "id", "account": "Work", "request_id": "0af3", "client": "alice",
        "endpoint": "chat/completions", "by": "sticky", "model": "gpt-5", "attempts": 1,
    }  # fmt: skip
    assert flow.metadata["codex_manager"] == begun
    assert (flow.comment, flow.marked) == ("Work · sticky · gpt-5", "")
    assert flow.server_conn.address == ("1.2.3.4", 443)
    assert flow.server_conn.timestamp_start == 5.0
    answer.facts |= {"input_tokens": 9, "output_tokens": 13, "usd": 0.0001525}
    telling.end()
    assert flow.comment == "Work · sticky · gpt-5 · 9→13 tok · $0.0002"
    assert flow.metadata["codex_manager"] == begun | {"input_tokens": 9, "output_tokens": 13, "usd": 0.0001525}
    flow.get_state()  # plain: it can be saved


def test_another_account_may_have_gone_on_with_the_answer(flow):
    """Headers go out early; the stream then fails and moves."""
    answer = answer_of()
    telling = Telling(flow, answer, "default")
    telling.begin(1.0)
    answer.account_id, answer.account_label, answer.retries = "other", "Home", 1
    answer.facts |= {"tried": "Work, Home", "failed": "Work server"}
    telling.end()
    assert flow.comment == "Home · sticky · 2nd try (Work server)"
    assert flow.marked == ":twisted_rightwards_arrows:"
    assert flow.metadata["codex_manager"]["account"] == "Home"


def test_a_comment_and_a_mark_of_the_users_own_stay(flow):
    answer = answer_of()
    telling = Telling(flow, answer, "default")
    telling.begin(1.0)
    flow.comment, flow.marked = "mine", ":pushpin:"
    answer.facts |= {"input_tokens": 1, "output_tokens": 1, "usd": 1.0, "estimated": 1}
    telling.end()
    assert (flow.comment, flow.marked) == ("mine", ":pushpin:")
    assert flow.metadata["codex_manager"]["usd"] == 1.0


def test_an_addon_may_put_other_facts_there(flow):
    telling = Telling(flow, answer_of(), "default")
    telling.begin(1.0)
    flow.metadata["codex_manager"] = "something else"
    telling.end()
    assert flow.metadata["codex_manager"] == "something else"


def test_an_answer_of_our_own_names_no_account(flow):
    Telling(flow, plain(strategy="sticky"), None).begin(1.0)
    assert flow.comment == flow.marked == ""
    assert flow.metadata["codex_manager"] == {"strategy": "sticky", "retries": 0}
