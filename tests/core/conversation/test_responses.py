"""The Responses API: whole, streamed, cut at every event."""

import json

import pytest

from tests.core.conversation.bodies import ASKED, BEGUN, EVENTS, RESPONSE, sse

from codex_manager.core.conversation import Bill, Body, as_text, conversation_of


PATH = "/v1/responses"
ANSWER = (
    "assistant thinks: |\n  **Look it up**\n\n"
    "assistant: |\n  [reasoning: encrypted, 675 bytes]\n\n"
    "assistant: |\n  Let me look.\n\n"
    'assistant calls get_weather (call_9): |\n  {"city": "Paris", "unit": "celsius"}\n\n'
)


def told(answer, content_type="application/json", path=PATH, **options):
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return as_text(conversation_of(path, None, Body(data, content_type), **options))


def test_a_request():
    assert as_text(conversation_of(PATH, Body(json.dumps(ASKED).encode(), "application/json")), "request") == (
        "request: responses, gpt-5\n"
        "settings: stream, reasoning effort high, summary auto, store false\n"
        "tools: get_weather, web_search, mcp wiki\n\n"
        "instructions: |\n  You are Codex.\n\n"
        "user: |\n  Weather?\n\n"
        'assistant calls shell (call_0): |\n  {"command": ["ls"]}\n\n'
        "result (call_0): |\n  README.md"
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_reads_the_same_whole_and_streamed(streamed):
    body = sse(*EVENTS, named=True) if streamed else json.dumps(RESPONSE).encode()
    text = told(body, "text/event-stream" if streamed else "application/json", status=200, bill=Bill(usd=0.0061))
    assert text == (
        "answer: 200, gpt-5-2025-08-07, resp_1\n\n" + ANSWER + "ended: completed\n"
        "usage: 1,234 tokens in (1,000 cached), 340 out (120 reasoning)\ncost: $0.0061"
    )


def test_a_stream_cut_after_each_event_shows_what_had_come():
    shown = [told(sse(*EVENTS[:count], named=True), "text/event-stream") for count in range(1, len(EVENTS))]
    assert all("cut off before its end" in text for text in shown)
    assert "assistant thinks: |\n  **Look it up**" in shown[3]
    assert "assistant: |\n  Let me look." in shown[7]
    assert 'assistant calls get_weather (call_9): |\n  {"city":"Paris"\n' in shown[-1]


def test_a_stream_that_fails():
    failed = {**BEGUN, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Try again in 1.9s."}}
    text = told(sse(EVENTS[0], *EVENTS[5:7], {"type": "response.failed", "response": failed}), "text/event-stream")
    assert "assistant: |\n  Let me\n\n" in text
    assert text.endswith("error:\n  code: rate_limit_exceeded\n  message: Try again in 1.9s.\nended: failed")
    bare = told(sse({"type": "error", "code": "server_error", "message": "Sorry", "param": None}), "text/event-stream")
    assert bare == "error:\n  code: server_error\n  message: Sorry"


def test_why_an_answer_is_incomplete():
    body = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert "ended: incomplete (max_output_tokens)" in told(body)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "rain"}}, 'assistant calls web_search (ws_1): |\n  {"type": "search", "query": "rain"}'),
        ({"type": "file_search_call", "id": "fs_1", "queries": ["rain"], "results": [{"filename": "a.md", "score": 0.5, "text": "It rains."}]}, 'assistant calls file_search (fs_1): |\n  ["rain"]\n\nresult (fs_1): |\n  a.md (score 0.5): It rains.'),
        ({"type": "code_interpreter_call", "id": "ci_1", "code": "print(1)", "outputs": [{"type": "logs", "logs": "1\n"}]}, "assistant calls code_interpreter (ci_1): |\n  print(1)\n\nresult (ci_1): |\n  1"),
        ({"type": "image_generation_call", "id": "ig_1", "result": "iVBO" * 1000, "output_format": "png", "revised_prompt": "A cat"}, "assistant calls image_generation (ig_1): |\n  A cat\n\nassistant: |\n  [image: png, 3.0 kB]"),
        ({"type": "mcp_call", "id": "mcp_1", "server_label": "wiki", "name": "ask", "arguments": "{}", "output": "Yes."}, "assistant calls wiki.ask (mcp_1): |\n  {}\n\nresult (mcp_1): |\n  Yes."),
        ({"type": "mcp_call", "id": "mcp_1", "name": "ask", "arguments": "{}", "error": "gone"}, "result (mcp_1): |\n  error: gone"),
        ({"type": "mcp_list_tools", "server_label": "wiki", "tools": [{"name": "ask"}, {"name": "read"}]}, "tool: |\n  [tools of wiki: ask, read]"),
        ({"type": "mcp_approval_response", "approval_request_id": "apr_1", "approve": True}, "result (apr_1): |\n  approved"),
        ({"type": "custom_tool_call", "call_id": "c_1", "name": "apply_patch", "input": "*** Begin Patch"}, "assistant calls apply_patch (c_1): |\n  *** Begin Patch"),
        ({"type": "shell_call_output", "call_id": "c_2", "output": [{"stdout": "ok\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]}, "result (c_2): |\n  ok"),
        ({"type": "computer_call_output", "call_id": "c_3", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}}, "result (c_3): |\n  [image: image/png, 3 bytes]"),
        ({"type": "compaction", "encrypted_content": "AAAA"}, "[what was said before, made short: encrypted, 3 bytes]"),
        ({"type": "item_reference", "id": "msg_7"}, "item: |\n  [msg_7, which OpenAI has kept]"),
        ({"type": "reasoning", "summary": []}, "[reasoning, of which nothing is told]"),
        ({"type": "something_new", "what": {"it": "says"}}, 'something_new: |\n  {"what": {"it": "says"}}'),
    ],
)  # fmt: skip
def test_items_of_all_kinds(item, said):
    body = {"object": "list", "data": [item]}
    assert said in told(body, path="/v1/responses/resp_1/input_items")


def test_what_is_asked_about_a_response_besides():
    assert "answer: |\n  1,042 tokens of input" in told(
        {"object": "response.input_tokens", "input_tokens": 1042}, path="/v1/responses/input_tokens"
    )
    assert "note: deleted" in told({"id": "resp_1", "object": "response.deleted", "deleted": True})
