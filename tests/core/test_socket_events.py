"""What frames say: what asks for an answer, what ties it to an account, what reports a failure."""

import json

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.failure import FailureClass
from codex_manager.core.socket_events import Event, create_of, event_of, model_in, verdict_of_close, with_previous


def create(**fields):
    return create_of(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hi", **fields}))


def test_a_create_says_its_model_and_what_it_continues():
    found = create(previous_response_id="resp_1", generate=False, max_output_tokens=100)
    assert (found.model, found.previous, found.warms_up, found.tied) == ("gpt-5", "resp_1", True, False)
    assert found.tokens > 100


def test_the_nested_form_is_read_too():
    nested = {"type": "response.create", "response": {"model": "gpt-5", "previous_response_id": "resp_1"}}
    found = create_of(json.dumps(nested))
    assert found is not None
    assert (found.model, found.previous) == ("gpt-5", "resp_1")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"response.create"', '{"type":"response.cancel"}', '{"x":"response.create"}']
)
def test_other_frames_ask_for_nothing(text):
    assert create_of(text) is None


@pytest.mark.parametrize(
    ("fields", "tied"),
    [
        ({}, False),
        ({"previous_response_id": None, "conversation": None, "prompt": None}, False),
        ({"conversation": "conv_1"}, True),
        ({"conversation": {"id": "conv_1"}}, True),
        ({"prompt": {"id": "pmpt_1"}}, True),
        ({"input": [{"type": "reasoning", "encrypted_content": "gAAA"}]}, True),
        ({"input": [{"type": "reasoning", "encrypted_content": None}]}, False),
        ({"input": [{"type": "reasoning", "encrypted_content": ""}]}, False),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, True),
        ({"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}, True),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, True),
        ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, False),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, True),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, False),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]}, True),
        ({"input": 'say "file_id": "x" and {"conversation":"y"}'}, False),
        ({"include": ["reasoning.encrypted_content"]}, False),
    ],
)
def test_only_things_of_one_account_tie(fields, tied):
    assert create(**fields).tied is tied


def test_a_warm_ups_id_is_exchanged_in_its_place_alone():
    text = json.dumps({"type": "response.create", "input": "resp_1", "previous_response_id": "resp_1", "x": "resp_1"})
    changed = json.loads(with_previous(text, "resp_1", "resp_2"))
    assert changed == {"type": "response.create", "input": "resp_1", "previous_response_id": "resp_2", "x": "resp_1"}


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        ({"type": "error", "status": 429, "error": {"code": "rate_limit_exceeded", "message": "x"}}, FailureClass.RATE),
        ({"type": "error", "status": 429, "error": {"code": "insufficient_quota"}}, FailureClass.BILLING),
        ({"type": "error", "status": 401, "error": {"code": "invalid_api_key"}}, FailureClass.AUTH),
        ({"type": "error", "status": 400, "error": {"code": "websocket_connection_limit_reached"}}, FailureClass.CALLER),
        ({"type": "error", "error": {"type": "server_error", "message": "x"}}, FailureClass.TRANSIENT),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, FailureClass.RATE),
        ({"type": "response.failed", "response": {"error": {"code": "server_is_overloaded"}}}, FailureClass.OVERLOAD),
        (
            {"type": "response.done", "response": {"status": "failed", "status_details": {"error": {"code": "insufficient_quota"}}}},
            FailureClass.BILLING,
        ),
        ({"type": "response.done", "response": {"status": "completed"}}, None),
        ({"type": "response.done", "response": {"status": "failed", "status_details": None}}, None),
        ({"type": "response.output_text.delta", "delta": "error"}, None),
        ({"type": "error"}, None),
    ],
)  # fmt: skip
def test_failures_are_what_the_same_error_is_over_http(event, failure):
    verdict = event_of(json.dumps(event)).verdict
    assert (verdict.failure if verdict else None) == failure


def test_an_error_frame_brings_its_headers():
    frame = {"type": "error", "status": 429, "error": {"code": "x"}, "headers": {"Retry-After": 7, "a": None}}
    assert event_of(json.dumps(frame)).hints == {"retry-after": "7"}


def test_a_frame_too_long_to_read_whole_still_has_a_type():
    text = json.dumps({"type": "response.completed", "response": {"id": "resp_1", "output": "x" * 2_000_000}})
    assert event_of(text) == Event("response.completed")


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("invalid_request_error.invalid_api_key", FailureClass.AUTH),
        ("insufficient_quota", FailureClass.BILLING),
        ("invalid_request_error.session_expired", FailureClass.CALLER),
        ("", None),
        ("Going away, good-bye", None),
    ],
)
def test_a_close_frames_reason_may_be_an_error(reason, failure):
    verdict = verdict_of_close(reason)
    assert (verdict.failure if verdict else None) == failure


def test_the_model_of_a_realtime_socket_is_in_its_query():
    assert model_in("/v1/realtime?model=gpt-realtime&x=1") == "gpt-realtime"
    assert model_in("/v1/realtime") is None


@given(st.text(max_size=300) | st.recursive(st.none() | st.text(max_size=8), lambda c: st.lists(c, max_size=3) | st.dictionaries(st.sampled_from(["type", "error", "response", "status", "headers", "model", "x"]), c, max_size=4)).map(json.dumps))  # fmt: skip
def test_no_frame_raises(text):
    create_of(text)
    event_of(text)
    create_of(f'{{"type":"response.create","x":{text}}}')
    verdict_of_close(text)
    model_in(text)
