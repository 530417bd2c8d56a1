"""A WebSocket's flow adds up what its answers used, while it is open and for those that come last."""

import gc

from decimal import Decimal
from typing import Any

import pytest

from mitmproxy.test import taddons, tflow

from codex_manager.core.record import Record
from codex_manager.core.usage import Usage
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.inspect.sockets import Sockets


def answer(name, **fields: Any):
    told: dict[str, Any] = {
        "websocket": True,
        "model": "gpt-5",
        "usage": Usage(input=1000, output=100),
        "cost": Decimal("0.0031"),
    }
    return Record(id=name, time=1.0, client="default", method="GET", endpoint="responses", **(told | fields))


class Viewer:
    def __init__(self):
        self.updates = []

    def update(self, flows):
        self.updates += flows


@pytest.fixture
def page():
    recent, viewer = Recent(10), Viewer()
    sockets = Sockets(recent)
    with taddons.context(sockets, viewer):
        yield recent, sockets, viewer


def opened(sockets, name="r"):
    flow = tflow.twebsocketflow()
    flow.metadata["codex_manager"] = {"request_id": name, "account": "Work"}
    flow.comment = "Work · sticky"
    sockets.websocket_start(flow)
    return flow


def test_answers_add_up(page):
    recent, sockets, viewer = page
    flow, other = opened(sockets), opened(sockets, "other")
    recent.record(answer("r.1"))
    assert flow.comment == "Work · sticky · gpt-5 · 1.0k→100 tok · $0.0031"
    recent.record(answer("r.2", estimated=True))
    assert flow.comment == "Work · sticky · gpt-5 · 2.0k→200 tok · ~$0.0062"
    assert flow.marked == ":grey_question:"
    facts = flow.metadata["codex_manager"]
    assert (facts["answers"], facts["input_tokens"], facts["usd"]) == (2, 2000, pytest.approx(0.0062))
    assert viewer.updates == [flow, flow]
    assert other.comment == "Work · sticky"


def test_what_was_added_to_the_comment_meanwhile_stays(page):
    recent, sockets, _ = page
    flow = opened(sockets)
    recent.record(answer("r.1"))
    flow.comment += " · then Home"
    recent.record(answer("r.2"))
    assert flow.comment == "Work · sticky · gpt-5 · 2.0k→200 tok · $0.0062 · then Home"


def test_a_comment_of_the_users_own_stays(page):
    recent, sockets, _ = page
    flow = opened(sockets)
    flow.comment, flow.marked = "mine", ":pushpin:"
    recent.record(answer("r.1", estimated=True))
    assert (flow.comment, flow.marked) == ("mine", ":pushpin:")
    assert flow.metadata["codex_manager"]["answers"] == 1


@pytest.mark.parametrize("record", [answer("r"), answer("x.1"), answer("r.1", websocket=False)])
def test_other_records_are_nobodys_business(page, record):
    recent, sockets, viewer = page
    flow = opened(sockets)
    recent.record(record)
    assert flow.comment == "Work · sticky"
    assert viewer.updates == []


def test_an_answer_without_usage_counts_as_one(page):
    recent, sockets, _ = page
    flow = opened(sockets)
    recent.record(answer("r.1", usage=None, cost=Decimal(0)))
    assert flow.comment == "Work · sticky · gpt-5"


def test_no_flow_is_kept_alive(page):
    _, sockets, _ = page
    opened(sockets)
    gc.collect()
    assert len(sockets._flows) == len(sockets._comments) == 0
