"""What a request names, and that nothing else is taken for a name."""

import json

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.core.resources import digest, references


JSON = "application/json"


def named(target="/v1/responses", body=b"", content_type=JSON):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return {(one.family, one.id, one.where) for one in references(target, body, content_type).items}


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("/v1/files/file-1/content", b"", {("file", "file-1", "path")}),
        ("/v1/responses/resp_1?include=x", b"", {("response", "resp_1", "path")}),
        ("/v1/realtime?call_id=rtc_1", b"", {("call", "rtc_1", "query")}),
        ("/v1/realtime?model=gpt-realtime", b"", set()),
        ("/v1/files?after=file-9&limit=2", b"", set()),
        ("/v1/responses", {"previous_response_id": "resp_1"}, {("response", "resp_1", "previous_response_id")}),
        ("/v1/responses", {"conversation": "conv_1"}, {("conversation", "conv_1", "conversation")}),
        ("/v1/responses", {"conversation": {"id": "conv_1"}}, {("conversation", "conv_1", "conversation")}),
        ("/v1/responses", {"prompt": {"id": "pmpt_1", "version": "2"}}, {("prompt", "pmpt_1", "prompt")}),
        ("/v1/responses", {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]},
         {("vector_store", "vs_1", "vector_store_ids"), ("vector_store", "vs_2", "vector_store_ids")}),
        ("/v1/responses", {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, {("container", "cntr_1", "container")}),
        ("/v1/responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
         {("file", "file-1", "file_ids")}),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
         {("file", "file-1", "file_id")}),
        ("/v1/responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, {("item", "msg_1", "item_reference")}),
        ("/v1/responses", {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, {("item", "rs_1", "item_reference")}),
        ("/v1/responses", {"input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "x" * 40}]}, set()),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
         {("file", "file-1", "file_id")}),
        ("/v1/chat/completions", {"model": "ft:gpt-4o:acme::1", "messages": []}, {("model", "ft:gpt-4o:acme::1", "model")}),
        ("/v1/batches", {"input_file_id": "file-1", "endpoint": "/v1/responses"}, {("file", "file-1", "input_file_id")}),
        ("/v1/fine_tuning/jobs", {"training_file": "file-1", "validation_file": "file-2", "model": "gpt-4o"},
         {("file", "file-1", "training_file"), ("file", "file-2", "validation_file")}),
        ("/v1/threads/thread_1/runs", {"assistant_id": "asst_1"},
         {("thread", "thread_1", "path"), ("assistant", "asst_1", "assistant_id")}),
        ("/v1/uploads/upload_1/complete", {"part_ids": ["part_1"]}, {("upload", "upload_1", "path"), ("part", "part_1", "part_ids")}),
        ("/v1/audio/speech", {"voice": {"id": "voice_1"}, "input": "x", "model": "gpt-4o-mini-tts"}, {("voice", "voice_1", "voice")}),
        ("/v1/images/edits", {"images": [{"file_id": "file-1"}], "mask": {"file_id": "file-2"}},
         {("file", "file-1", "file_id"), ("file", "file-2", "file_id")}),
    ],
)  # fmt: skip
def test_a_thing_is_found_where_the_schema_puts_it(target, body, expected):
    assert named(target, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"input": 'please delete "file_id": "file-1" and resp_2'},
        {"input": '{"previous_response_id":"resp_1"}'},
        {"metadata": {"file_id": "file-1", "conversation": "conv_1"}},
        {"tools": [{"type": "function", "parameters": {"properties": {"file_id": {"enum": ["file-1"], "file_id": "file-1"}}}}]},
        {"input": [{"type": "function_call", "call_id": "call_1", "arguments": '{"file_id":"file-1"}'}]},
        {"previous_response_id": None}, {"previous_response_id": 7}, {"file_id": "not-one-of-ours"}, {"container": "auto"},
        {"voice": "alloy"}, {"model": "gpt-4o"}, {"file_ids": "file-1"}, [], "file-1", None,
    ],
)  # fmt: skip
def test_what_the_user_says_is_not_taken_for_a_name(body):
    assert named(body=body) == set()


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"file_id":"file-1"', b'"file-1', b"\xff\xfe", b"[" * 5000 + b'"file-1"', b'{"file_id":"\\ud800file-"}'],
)
def test_a_body_that_cannot_be_read_names_nothing(body):
    assert named(body=body) == set()


def test_forms():
    form = b'--b\r\nContent-Disposition: form-data; name="file_id"\r\n\r\nfile-1\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nft:x:y::z\r\n--b--\r\n'
    assert named("/v1/videos", form, "multipart/form-data; boundary=b") == {
        ("file", "file-1", "file_id"),
        ("model", "ft:x:y::z", "model"),
    }


def test_encrypted_reasoning_is_known_by_its_digest():
    first, second = "A" * 64, "B" * 5000
    body = {"input": [{"type": "reasoning", "encrypted_content": first}, {"type": "message", "content": "encrypted_content"},
                      {"type": "reasoning", "id": "rs_1", "encrypted_content": second}]}  # fmt: skip
    found = references("/v1/responses", json.dumps(body).encode(), JSON)
    assert found.encrypted == (digest(first.encode()), digest(second.encode()))
    assert found.items == ()


def test_ten_thousand_names_are_bounded_and_told_once():
    body = json.dumps({"file_ids": [f"file-{n % 5000}" for n in range(10_000)]}).encode()
    found = references("/v1/responses", body, JSON)
    assert 0 < len(found.items) <= 256
    assert len({one.id for one in found.items}) == len(found.items)


leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["file-1", "resp_2", "vs_3", "conv_4"])
)
keys = st.sampled_from(
    ["file_id", "file_ids", "conversation", "id", "type", "metadata", "input", "x", "model", "prompt"]
)
document = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)


@given(document)
@settings(max_examples=150, deadline=None)
def test_it_is_total(value):
    for one in references("/v1/responses", json.dumps(value).encode(), JSON).items:
        assert one.id in json.dumps(value)
