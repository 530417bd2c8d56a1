"""What mitmproxy shows of a flow with our views, by mitmproxy's own way of asking."""

import asyncio
import gzip
import json

from typing import Any

import openai
import pytest

from mitmproxy import contentviews
from mitmproxy.contentviews import Metadata
from mitmproxy.contentviews._registry import ContentviewRegistry
from mitmproxy.test import taddons, tflow, tutils
from mitmproxy.websocket import WebSocketMessage
from tests.core.conversation.bodies import ASKED, CHAT, EVENTS, chunk, sse
from tests.proxy.rig import serving
from tests.proxy.runtime_rig import new_home, running
from tests.support import LOCAL_KEY
from wsproto.frame_protocol import Opcode

from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.inspect.content_views import ConversationView, DecisionView, add_views
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.inspect.running import Running
from codex_manager.testing import answers


CONVERSATION = "OpenAI conversation"


class Unknown(CodexManagerError):
    """As `Running.explain` raises."""


def explain(request_id):
    if request_id == "known":
        return "request  known"
    raise Unknown("it is not over yet")


@pytest.fixture
def registry(monkeypatch):
    """mitmproxy's views and ours, in no other test."""
    registry = ContentviewRegistry()
    for view in contentviews.registry.values():
        registry.register(view)
    monkeypatch.setattr(contentviews, "registry", registry)
    add_views(explain)
    with taddons.context():
        yield registry


def a_flow(path="/v1/chat/completions", asked: Any = CHAT, answer=b"", kind="application/json", **facts):
    request = tutils.treq(method=b"POST", path=path.encode(), content=json.dumps(asked).encode())
    request.headers["content-type"] = "application/json"
    flow = tflow.tflow(req=request, resp=tutils.tresp(content=answer))
    assert flow.response is not None
    flow.response.headers["content-type"] = kind
    flow.live = False
    if facts:
        flow.metadata["codex_manager"] = facts
    return flow


def shown(registry, flow, message=None, view="auto"):
    return contentviews.prettify_message(message or flow.response, flow, view, registry)


def test_a_conversation_is_chosen_by_itself(registry):
    flow = a_flow(answer=sse(chunk({"content": "Hi"}, "stop"), done=True), kind="text/event-stream", usd=0.0061)
    asked = shown(registry, flow, flow.request)
    assert (asked.view_name, asked.syntax_highlight) == (CONVERSATION, "yaml")
    assert asked.text.startswith("request: chat/completions, gpt-4o-mini\n")
    answer = shown(registry, flow)
    assert answer.view_name == CONVERSATION
    assert answer.text == (
        "answer: 200, gpt-4o-mini-2024-07-18, chatcmpl-1\n\nassistant: |\n  Hi\n\nended: stop\ncost: $0.0061"
    )


@pytest.mark.parametrize(
    ("path", "view"),
    [
        ("/v1/files", "JSON"),
        ("/v1/realtime/client_secrets", "JSON"),
        ("/graphql", "JSON"),
        ("/v1/embeddings?x", CONVERSATION),
    ],
)
def test_what_is_no_conversation_is_left_to_others(registry, path, view):
    assert shown(registry, a_flow(path, answer=b'{"data": []}')).view_name == view


def test_an_answer_that_is_running_or_was_not_kept_says_so(registry):
    flow = a_flow(answer=sse(chunk({"content": "Hi"}))[:-20], kind="text/event-stream")
    assert "cut off before its end" in shown(registry, flow).text
    flow.live, flow.response.timestamp_end = True, None
    assert "still running" in shown(registry, flow).text
    flow.metadata["codex_manager"] = {"kept": "524288 of 3000000 bytes"}
    assert "note: only the first 524.3 kB of 3.0 MB were kept" in shown(registry, flow).text


def test_the_beginning_of_a_compressed_answer_is_read(registry):
    whole = gzip.compress(
        json.dumps({"choices": [{"message": {"role": "assistant", "content": "w" * 99}}]}).encode() + b" " * 99
    )
    flow = a_flow(answer=b"", kept=f"{len(whole) - 12} of {len(whole)} bytes")
    flow.response.raw_content = whole[:-12]
    flow.response.headers["content-encoding"] = "gzip"
    assert "assistant: |\n  www" in shown(registry, flow).text


def test_messages_of_a_websocket_one_by_one_and_all_of_them(registry):
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    assert flow.response is not None
    flow.request.path = "/v1/responses"
    said = [(True, {"type": "response.create", **ASKED}), *((False, event) for event in EVENTS)]
    flow.websocket.messages = [
        WebSocketMessage(Opcode.TEXT, from_client, json.dumps(event).encode()) for from_client, event in said
    ]
    flow.live = False
    messages = flow.websocket.messages
    delta = shown(registry, flow, messages[7])
    assert delta.view_name == CONVERSATION
    assert delta.text == "event: response.output_text.delta\n\nevent: |\n  Let me"
    flow.response.content = b""
    whole = shown(registry, flow)
    assert whole.view_name == CONVERSATION
    assert "instructions: |\n  You are Codex." in whole.text
    assert "assistant: |\n  Let me look." in whole.text


def test_the_decision_of_a_flow(registry):
    view = "codex-manager decision"
    assert shown(registry, a_flow(request_id="known"), view=view).text == "request  known"
    running = shown(registry, a_flow(request_id="other", strategy="priority", account="Work"), view=view).text
    assert running == "request id  other\nstrategy    priority\naccount     Work\n\nit is not over yet."
    by_header = a_flow()
    by_header.response.headers["X-Codex-Manager-Request-Id"] = "known"
    assert shown(registry, by_header, view=view).text == "request  known"
    assert shown(registry, a_flow(), view=view).text == "codex-manager had no part in this flow."
    assert shown(registry, a_flow("/v1/files", request_id="known", answer=b"x"), view="auto").view_name != view


@pytest.mark.parametrize(
    "facts", [7, {"usd": "x", "kept": [], "request_id": 5, "input_tokens": "\x1b"}, {"usd": float("nan")}]
)
def test_flows_from_a_file_may_say_anything(registry, facts):
    flow = a_flow(answer=b"{}")
    flow.metadata["codex_manager"] = facts
    for view in ("auto", CONVERSATION, "codex-manager decision"):
        assert shown(registry, flow, view=view).syntax_highlight != "error"


def test_nothing_is_taken_for_granted():
    """mitmproxy: do not rely on any given attribute to be present."""
    conversation, decision = ConversationView(), DecisionView(explain)
    assert conversation.render_priority(b"x", Metadata()) < 0
    assert decision.render_priority(b"x", Metadata()) < 0
    assert decision.prettify(b"x", Metadata()) == "codex-manager had no part in this flow."
    with pytest.raises(ValueError, match="no request of HTTP"):
        conversation.prettify(b"x", Metadata())
    flow = tflow.tflow()
    flow.request.path = "/v1/responses"
    assert conversation.prettify(b"", Metadata(flow=flow)) == "answer: still running\n\n…: still running"


class Viewer:
    """Keeps flows, as a list of flows does."""

    def __init__(self):
        self.flows = []

    def requestheaders(self, flow):
        self.flows.append(flow)

    def response(self, flow):
        pass

    def update(self, flows):
        pass


def use_the_sdk(base_url):
    """In a thread, because the rig's loop starts tasks as anyio does not expect it."""
    with openai.OpenAI(base_url=base_url, api_key=LOCAL_KEY, max_retries=0) as client:
        for _ in client.responses.create(model="gpt-5", input="Hello", stream=True):
            pass
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])


async def test_real_answers_over_real_sockets(tmp_path, registry):
    """The SDK, our listener, the engine and a fake OpenAI: what the views show of it."""
    async with new_home(tmp_path, "sk-work") as home:
        home.create("sk-work")
        home.fake.always("sk-work", answers.ok("Good day to you.", chunks=4))
        recent, viewer = Recent(10), Viewer()
        async with running(home) as runtime:
            runtime.tell_records(recent.record)
            inside = Running(runtime, None, recent)  # type: ignore[arg-type]
            add_views(inside.explain)
            door: Any = runtime
            async with serving(door, viewer, capture=lambda: 512 * 1024) as rig:
                await asyncio.to_thread(use_the_sdk, f"http://127.0.0.1:{rig.port}/v1")
        views = [contentviews.registry.get_view(b"x", Metadata(flow=flow)) for flow in viewer.flows]
        assert [view.name for view in views] == [CONVERSATION] * 3
        told = [
            view.prettify(flow.response.content, Metadata(flow=flow, http_message=flow.response))
            for view, flow in zip(views, viewer.flows, strict=True)
        ]
        assert "assistant: |\n  Good day to you.\n\nended: completed\nusage: " in told[0]
        assert "cost: " in told[0]
        assert "assistant: |\n  Good day to you.\n\nended: stop" in told[1]
        assert "0: dimension 1,536, norm " in told[2]
        decision = contentviews.registry["codex-manager decision"]
        page = decision.prettify(b"", Metadata(flow=viewer.flows[0]))
        assert "asked    POST responses, gpt-5, streamed; by client default" in page
        assert "1. Work, " in page
        assert "sk-" not in "".join([*told, page])
