"""Chats and completions, whole, streamed and cut."""

import json

import pytest

from tests.core.conversation.bodies import CHAT, chunk, sse

from codex_manager.core.conversation import Bill, Body, as_text, conversation_of


PATH = "/v1/chat/completions"
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 8},
}


def told(answer, content_type="application/json", path=PATH, **options):
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return as_text(conversation_of(path, None, Body(data, content_type), **options))


def test_a_request_with_everything():
    asked = as_text(conversation_of(PATH, Body(json.dumps(CHAT).encode(), "application/json")))
    assert asked == (
        "request: chat/completions, gpt-4o-mini\n"
        "settings: stream, temperature 0.2\n"
        "tools: get_weather, run\n\n"
        "system: |\n  You are terse.\n\n  Be kind.\n\n"
        "user: |\n  What is this?\n  [image: image/png, 3.0 kB, detail low]\n  [image: https://example.com/cat.png?…]\n"
        "  [audio: wav, 12.0 kB]\n  [file: a.pdf, application/pdf, 30 bytes]\n\n"
        'assistant calls get_weather (call_1): |\n  {"city": "Paris"}\n\n'
        "result (call_1): |\n  22 °C\n\n"
        "answer: none yet"
    )


def test_an_answer_with_structured_output_tools_and_a_refusal():
    message = {
        "role": "assistant",
        "content": '{"name":"Ada","born":1815}',
        "refusal": "Not that.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}},
            {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "print(1)"}},
        ],
        "annotations": [{"type": "url_citation", "url_citation": {"title": "Ada", "url": "https://x.org/ada?utm=1"}}],
    }
    body = {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "model": "gpt-5",
        "usage": USAGE,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    assert told(body, status=200, bill=Bill(usd=0.0061)) == (
        "answer: 200, gpt-5, chatcmpl-9\n\n"
        'assistant: |\n  {"name": "Ada", "born": 1815}\n\n'
        "assistant refuses: |\n  Not that.\n\n"
        'assistant calls f (c1): |\n  {"a":\n\n'
        "assistant calls run (c2): |\n  print(1)\n\n"
        "assistant: |\n  [source: Ada, https://x.org/ada?…]\n\n"
        "ended: tool_calls\nusage: 12 tokens in (8 cached), 5 out\ncost: $0.0061"
    )


def test_a_stream_is_put_together():
    calls = [
        chunk({"tool_calls": [{"index": 0, "id": "call_7", "type": "function", "function": {"name": "get_weather", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]}),
    ]  # fmt: skip
    last = chunk({}, "tool_calls")
    figures = {**chunk({}), "choices": [], "usage": USAGE}
    stream = sse(chunk({"role": "assistant", "content": ""}), chunk({"content": "Let me "}), chunk({"content": "look."}), *calls, last, figures, done=True)  # fmt: skip
    assert told(stream, "text/event-stream; charset=utf-8") == (
        "answer: gpt-4o-mini-2024-07-18, chatcmpl-1\n\n"
        "assistant: |\n  Let me look.\n\n"
        'assistant calls get_weather (call_7): |\n  {"city": "Paris"}\n\n'
        "ended: tool_calls\nusage: 12 tokens in (8 cached), 5 out"
    )


@pytest.mark.parametrize(
    ("running", "said"), [(False, "cut off before its end"), (True, "still running")], ids=["cut", "running"]
)
def test_a_stream_that_has_not_ended_says_so(running, said):
    stream = sse(chunk({"role": "assistant"}), chunk({"content": "It is 22 °C in "}), chunk({"content": "Paris"}))
    text = told(stream[:-30], "text/event-stream", running=running, bill=Bill(0.002, estimated=True, output_tokens=5))
    assert text.startswith(
        f"answer: gpt-4o-mini-2024-07-18, chatcmpl-1, {said}\n\nassistant: |\n  It is 22 °C in\n\n…: "
    )
    assert text.endswith("usage: about 0 tokens in, 5 out, as codex-manager counted\ncost: $0.002, estimated")


def test_several_choices_are_told_apart():
    deltas = [(0, "red"), (1, "blue"), (0, "dish")]
    events = [
        {**chunk({}), "choices": [{"index": index, "delta": {"content": piece}, "finish_reason": None}]}
        for index, piece in deltas
    ]
    text = told(sse(*events), "text/event-stream")
    assert "message, choice 0: |\n  reddish" not in text
    assert "assistant, choice 0: |\n  reddish" in text
    assert "assistant, choice 1: |\n  blue" in text


def test_an_error_in_the_middle_of_a_stream():
    error = {"error": {"message": "The server had an error", "type": "server_error", "param": None, "code": None}}
    text = told(sse(chunk({"content": "It "}), error), "text/event-stream")
    assert "assistant: |\n  It\n\n" in text
    assert text.endswith("error:\n  type: server_error\n  message: The server had an error")


def test_speech_in_an_answer_is_named_and_its_words_are_shown():
    events = [
        chunk({"audio": {"id": "audio_1", "data": "AAAA" * 1000}}),
        chunk({"audio": {"transcript": "Good "}}),
        chunk({"audio": {"transcript": "day."}}, "stop"),
    ]
    assert "assistant: |\n  [audio: 3.0 kB]\n  Good day.\n" in told(sse(*events), "text/event-stream")


def test_completions_whole_and_streamed():
    path = "/v1/completions"
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": ["Once", [1, 2, 3]], "max_tokens": 9}
    text = as_text(conversation_of(path, Body(json.dumps(asked).encode(), "application/json")), "request")
    assert text == (
        "request: completions, gpt-3.5-turbo-instruct\nsettings: max_tokens 9\n\n"
        "prompt: |\n  Once\n\nprompt: |\n  [3 tokens, given by number]"
    )
    pieces = [{"object": "text_completion", "choices": [{"text": t, "index": 0, "finish_reason": f}]} for t, f in ((" upon", None), (" a time", "stop"))]  # fmt: skip
    assert "completion: |\n   upon a time\n\nended: stop" in told(
        sse(*pieces, done=True), "text/event-stream", path=path
    )
    assert told(pieces[0], path=path) == "completion: |\n   upon"


def test_kept_chats_are_listed():
    body = {
        "object": "list",
        "data": [{"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5", "choices": []}],
    }
    assert "[chatcmpl-1, gpt-5]" in told(body)
    messages = {"object": "list", "data": [{"id": "m-0", "role": "user", "content": "hi"}]}
    assert "user: |\n  hi" in told(messages, path="/v1/chat/completions/chatcmpl-1/messages")
