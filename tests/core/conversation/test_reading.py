"""Which reader reads what; errors; and that nothing whatever raises."""

import copy
import json

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.conversation.bodies import ASKED, CHAT, EVENTS, RESPONSE, chunk, sse

from codex_manager.core.conversation import (
    LARGEST,
    Body,
    Message,
    as_text,
    conversation_of,
    is_conversation,
    message_of,
    message_text,
    socket_of,
)


PATHS = [
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations", "/v1/images/generations",
    "/v1/audio/transcriptions", "/v1/audio/speech", "/v1/chat/completions/c/messages", "/v1/conversations/c/items", "/v1/files", "/x",
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "is_one"),
    [
        ("/v1/chat/completions", True),
        ("/v1/responses?x=1", True),
        ("/v1/responses/resp_1/input_items", True),
        ("/v1/realtime?model=m", True),
        ("/v1/realtime/client_secrets", False),
        ("/v1/files", False),
        ("/v1/models", False),
        ("/health", False),
    ],
)
def test_which_endpoints_are_conversations(target, is_one):
    assert is_conversation(target) is is_one


@pytest.mark.parametrize("path", PATHS[:8])
def test_errors_are_told_with_type_code_and_message(path):
    error = {
        "message": "No account can serve.\nTry again.",
        "type": "server_error",
        "param": None,
        "code": "no_available_accounts",
    }
    body = Body(json.dumps({"error": error}).encode(), "application/json")
    assert as_text(conversation_of(path, None, body, status=503)) == (
        "answer: 503\n\nerror:\n  type: server_error\n  code: no_available_accounts\n  message: No account can serve. Try again."
    )


@pytest.mark.parametrize("error", ["gone", {"message": 7}, {}, [], None, 5])
def test_errors_in_other_shapes(error):
    as_text(conversation_of(PATHS[0], None, Body(json.dumps({"error": error}).encode())))


def test_what_was_not_kept_is_said():
    body = json.dumps(RESPONSE).encode()
    part = Body(body[:700], "application/json", (700, len(body)))
    text = as_text(conversation_of("/v1/responses", None, part))
    assert "note: only the first 700 bytes of" in text
    assert "**Look it up**" not in text or "assistant thinks" in text
    assert "cut off before its end" in text


def test_answers_that_are_no_json():
    html = Body(b"<html>502 Bad Gateway</html>", "text/html")
    assert (
        as_text(conversation_of(PATHS[0], None, html, status=502))
        == "answer: 502\n\nanswer: |\n  [body: text/html, 28 bytes]"
    )
    assert "cut off" not in as_text(conversation_of(PATHS[0], None, Body(b"", ""), status=204))
    asked = as_text(conversation_of(PATHS[0], Body(b"\x80\x81", "application/json")), "request")
    assert asked == "request: chat/completions\nnote: a body of 2 bytes that is no JSON"


GOOD = [CHAT, ASKED, RESPONSE, chunk({"content": "x"}), *EVENTS]
ODD: st.SearchStrategy = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "x",
        [],
        {},
        [None],
        [[]],
        {"type": 1},
        {"type": "text", "text": {}},
        10**400,
        "\ud800",
    ]
)


@st.composite
def bent(draw):
    """A good body with a few members replaced by something else."""
    value = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    for _ in range(draw(st.integers(1, 4))):
        place = value
        while True:
            names = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not names:
                break
            name = draw(st.sampled_from(names))
            if isinstance(place[name], dict | list) and place[name] and draw(st.booleans()):
                place = place[name]
                continue
            place[name] = copy.deepcopy(draw(ODD))
            break
    return value


@settings(max_examples=120, deadline=None)
@given(bent() | ODD, st.sampled_from(PATHS), st.booleans(), st.integers(0, 400))
def test_nothing_raises_whatever_is_in_a_body(value, path, as_stream, cut):
    body = sse(value, value) if as_stream else json.dumps(value).encode()
    for data in (body, body[:cut]):
        kept = Body(data, "text/event-stream" if as_stream else "application/json", (len(data), len(body)))
        for part in ("all", "request", "answer"):
            text = as_text(conversation_of(path, kept, kept), part)
            assert len(text.encode()) <= LARGEST
    messages = [Message(from_client, json.dumps(value).encode()) for from_client in (True, False)]
    as_text(socket_of(path, messages))
    for message in messages:
        message_text(*message_of(path, message))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(PATHS), st.sampled_from(["application/json", "text/event-stream", "multipart/form-data; boundary=a", "", "audio/mpeg"]))  # fmt: skip
def test_nothing_raises_whatever_the_bytes(data, path, kind):
    as_text(conversation_of(path, Body(data, kind), Body(data, kind)))
    as_text(socket_of(path, [Message(True, data), Message(False, data)]))
