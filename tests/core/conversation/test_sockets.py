"""Conversations on WebSockets: single messages, and all of them together."""

import json

from typing import Any

from tests.core.conversation.bodies import ASKED, EVENTS, RESPONSE

from codex_manager.core.conversation import Bill, Message, as_text, message_of, message_text, socket_of


SOUND = "UklG" * 2000
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime",
    "instructions": "Be kind.",
    "tools": [{"type": "function", "name": "f"}],
}
DONE: dict[str, Any] = {
    "type": "response.done",
    "response": {
        "id": "resp_r",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "transcript": "Good day to you."}],
            }
        ],
        "usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30},
    },
}


def client(**event):
    return Message(True, json.dumps(event).encode())


def server(**event):
    return Message(False, json.dumps(event).encode())


def told(*messages, path="/v1/realtime?model=gpt-realtime", **options):
    return as_text(socket_of(path, messages, **options))


def one(message):
    return message_text(*message_of("/v1/responses", message))


CALL = [
    server(type="session.created", session=SESSION),
    client(type="input_audio_buffer.append", audio=SOUND),
    client(type="input_audio_buffer.append", audio=SOUND),
    client(type="input_audio_buffer.commit"),
    server(type="conversation.item.input_audio_transcription.completed", transcript="Hello?", usage={"type": "tokens", "input_tokens": 3, "output_tokens": 1}),
    server(type="response.created", response={"id": "resp_r", "status": "in_progress"}),
    server(type="response.output_audio.delta", output_index=0, delta=SOUND),
    server(type="response.output_audio_transcript.delta", output_index=0, delta="Good day "),
    server(**DONE),
]  # fmt: skip


def test_a_voice_call():
    text = told(*CALL, bill=Bill(usd=0.01))
    assert text == (
        "request: realtime, gpt-realtime, on a WebSocket\ntools: f\n\n"
        "instructions: |\n  Be kind.\n\n"
        "answer: gpt-realtime, resp_r\n\n".replace("gpt-realtime, resp_r", "resp_r")
        + "user: |\n  [audio: 12.1 kB]\n\n"
        "user: |\n  Hello?\n\n"
        "assistant: |\n  [audio: 6.1 kB]\n  [audio]\n  Good day to you.\n\n"
        "ended: completed\nusage: 13 tokens in (3 of sound), 21 out\ncost: $0.01"
    )


def test_a_voice_call_that_is_still_running():
    text = told(*CALL[:-1], running=True)
    assert text.startswith("request: realtime, gpt-realtime, on a WebSocket")
    assert "still running" in text
    assert "  Good day" in text


def test_turns_of_responses_one_after_the_other():
    first = client(type="response.create", **ASKED)
    second = client(type="response.create", model="gpt-5", previous_response_id="resp_1", input="And tomorrow?")
    answer = [server(**event) for event in EVENTS]
    text = told(first, *answer, second, *answer, path="/v1/responses")
    roles = [line.partition(":")[0] for line in text.splitlines() if line and not line.startswith(" ")]
    once = ["assistant thinks", "assistant", "assistant", "assistant calls get_weather (call_9)"]
    assert roles == [
        "request", "settings", "tools", "answer", "instructions", "user", "assistant calls shell (call_0)", "result (call_0)",
        *once, "user", *once, "ended", "usage",
    ]  # fmt: skip
    assert "usage: 2,468 tokens in (2,000 cached), 680 out (240 reasoning)" in text


def test_an_error_stands_where_it_came():
    error = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow down"}
    text = told(
        client(type="response.create", input="Hi"), server(type="error", status=429, error=error), path="/v1/responses"
    )
    assert "user: |\n  Hi\n\nerror: |\n  rate_limit_exceeded, Slow down" in text


def test_single_messages():
    assert one(server(type="response.output_text.delta", item_id="msg_1", delta="Hel")) == (
        "event: response.output_text.delta\n\nmsg_1: |\n  Hel"
    )
    assert one(CALL[1]) == "event: input_audio_buffer.append\n\nevent: |\n  [audio: 6.0 kB]"
    assert one(CALL[6]) == "event: response.output_audio.delta\n\nevent: |\n  [audio: 6.0 kB]"
    assert one(CALL[3]) == "event: input_audio_buffer.commit\n\nevent: |\n  [input_audio_buffer.commit]"
    assert one(CALL[0]) == ("event: session.created\nmodel: gpt-realtime\ntools: f\n\ninstructions: |\n  Be kind.")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    assert one(client(type="conversation.item.create", item=item)) == "event: conversation.item.create\n\nuser: |\n  Hi"
    assert one(server(type="response.rate_limits", limits=[{"name": "requests"}])) == (
        'event: response.rate_limits\n\nevent: |\n  {"limits": [{"name": "requests"}]}'
    )
    asked = one(client(type="response.create", **ASKED))
    assert asked.startswith("event: response.create\nmodel: gpt-5\nsettings: stream, reasoning effort high")
    whole = one(server(type="response.completed", response=RESPONSE))
    assert "assistant: |\n  Let me look." in whole
    assert whole.endswith("ended: completed\nusage: 1,234 tokens in (1,000 cached), 340 out (120 reasoning)")
    assert one(Message(False, b"\x00\x01")) == "message: |\n  [message: no JSON, 2 bytes]"
    assert (
        one(server(type="error", error={"code": "c", "message": "m"}))
        == "event: error\n\nerror:\n  code: c\n  message: m"
    )


def test_of_very_much_the_newest_is_read():
    """A day of talk: what cannot be looked at is said, not read."""
    messages = [
        client(type="conversation.item.create", item={"role": "user", "content": "x" * 50_000}) for _ in range(100)
    ]
    text = told(*messages, client(type="conversation.item.create", item={"role": "user", "content": "last"}))
    assert "messages are left out" in text
    assert text.rstrip().endswith("user: |\n  last")
