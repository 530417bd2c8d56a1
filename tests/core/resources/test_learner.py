"""What answers show to be in an account, however their bytes are cut."""

import json
import random

from typing import Any

import pytest

from codex_manager.core.resources import Learner, deleted, digest
from codex_manager.core.resources.learner import learner_for


def learned(data, learner=None):
    learner = learner or Learner()
    learner.feed(data if isinstance(data, bytes) else json.dumps(data).encode())
    return {(one.family, one.id, one.strong) for one in learner.take()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"id": "file-1", "object": "file"}, {("file", "file-1", True)}),
        ({"object": "list", "data": [{"id": "file-1"}, {"id": "file-2"}], "first_id": "file-1", "last_id": "file-2"},
         {("file", "file-1", True), ("file", "file-2", True)}),
        ({"id": "batch_1", "input_file_id": "file-1", "output_file_id": None},
         {("batch", "batch_1", True), ("file", "file-1", False)}),
        ({"id": "ftjob-1", "fine_tuned_model": "ft:gpt-4o:acme::x", "training_file": "file-1"},
         {("fine_tuning_job", "ftjob-1", True), ("model", "ft:gpt-4o:acme::x", True), ("file", "file-1", False)}),
        ({"id": "run_1", "thread_id": "thread_1", "assistant_id": "asst_1"},
         {("run", "run_1", True), ("thread", "thread_1", False), ("assistant", "asst_1", False)}),
        ({"id": "resp_1", "conversation": {"id": "conv_1"}, "output": [{"id": "msg_1", "content": [
            {"type": "output_text", "text": "x", "annotations": [{"container_id": "cntr_1", "file_id": "cfile_1"}]}]}]},
         {("response", "resp_1", True), ("conversation", "conv_1", True), ("item", "msg_1", True),
          ("container", "cntr_1", False), ("container_file", "cfile_1", False)}),
        ({"text": 'say "id": "file-1" or {"file_id":"file-2"}', "arguments": '{"id":"resp_9"}'}, set()),
        ({"id": "gpt-4o", "object": "model"}, set()),
        ({"id": 7, "file_id": None}, set()),
    ],
)  # fmt: skip
def test_ids_are_read_where_they_stand(answer, expected):
    assert learned(answer) == expected


EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": {"id": "resp_abc", "conversation": {"id": "conv_1"}}},
    *({"type": "response.output_text.delta", "item_id": "msg_1", "delta": f'"id": "file-{n}" \\'} for n in range(5)),
    {
        "type": "response.output_item.done",
        "item": {"id": "rs_1", "type": "reasoning", "encrypted_content": "Zm9v" * 300},
    },
    {
        "type": "response.output_item.done",
        "item": {"id": "rs_2", "type": "reasoning", "encrypted_content": "YmFy" * 5},
    },
    {
        "type": "response.completed",
        "response": {"id": "resp_abc", "output": [{"id": "rs_1", "encrypted_content": "Zm9v" * 300}]},
    },
]
STREAM = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS)
EXPECTED = {
    ("response", "resp_abc"), ("conversation", "conv_1"), ("item", "rs_1"), ("item", "rs_2"),
    ("encrypted", digest(b"Zm9v" * 300)), ("encrypted", digest(b"YmFy" * 5)),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(100))
def test_a_stream_may_be_cut_anywhere(seed):
    cuts = random.Random(seed)
    learner, at, found = Learner(), 0, set()
    while at < len(STREAM):
        size = cuts.choice([1, 2, 3, 10, 100, 1000])
        learner.feed(STREAM[at : at + size])
        at += size
        if cuts.random() < 0.3:
            found |= {(one.family, one.id) for one in learner.take()}
    found |= {(one.family, one.id) for one in learner.take()}
    assert found == EXPECTED


def test_little_is_remembered_of_an_endless_answer():
    learner = Learner()
    for _ in range(200):
        learner.feed(b'"' * 4096)
        learner.feed(b"x" * 4096)
        learner.feed(b'{"id":"file-' + b"y" * 4096)
    assert len(learner._rest) <= 300
    many = json.dumps([{"id": f"file-{n}"} for n in range(5000)]).encode()
    assert len(learned(many)) == 2000


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 100, b'"id":"', b'"encrypted_content":"', b'"id" : "file-\xc3\xa9"', bytes(range(256))]
)
def test_noise_teaches_nothing(data):
    assert learned(data) == set()


def test_what_is_not_stored_is_not_learned():
    answer = {"id": "resp_1", "conversation": {"id": "conv_1"}, "output": [{"id": "msg_1"}]}
    assert learned(answer, Learner(stored=False)) == {("conversation", "conv_1", True)}


@pytest.mark.parametrize(
    ("method", "target", "body", "learns"),
    [
        ("POST", "/v1/chat/completions", b'{"messages":[]}', False),
        ("POST", "/v1/chat/completions", b'{"messages":[], "store": true}', True),
        ("POST", "/v1/responses", b"{}", True),
        ("POST", "/v1/responses", b'{"store":false}', True),  # encrypted reasoning, containers
        ("POST", "/v1/embeddings", b"{}", False),
        ("POST", "/v1/files", b"", True),
        ("GET", "/v1/chat/completions/chatcmpl-1", b"", True),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages", b"", False),
        ("GET", "/v1/threads/thread_1/messages", b"", True),
        ("GET", "/v1/models", b"", False),
        ("GET", "/v1/files/file-1", b"", True),
        ("GET", "/v1/files/file-1/content", b"", False),  # a batch's answers
        ("GET", "/elsewhere", b"", False),
    ],
)
def test_only_answers_that_can_teach_are_read(method, target, body, learns):
    assert (learner_for(method, target, body) is not None) == learns


@pytest.mark.parametrize(
    ("method", "path", "status", "gone"),
    [
        ("DELETE", "/v1/files/file-1", 200, "file-1"), ("DELETE", "/v1/files/file-1", 404, None), ("GET", "/v1/files/file-1", 200, None),
        ("DELETE", "/v1/vector_stores/vs_1/files/file-1", 200, None), ("DELETE", "/v1/vector_stores/vs_1", 200, "vs_1"),
        ("DELETE", "/v1/models/ft:a:b::c", 200, "ft:a:b::c"), ("DELETE", "/v1/conversations/conv_1/items/msg_1", 200, None),
    ],
)  # fmt: skip
def test_a_deleted_thing_is_named(method, path, status, gone):
    assert deleted(method, path, status) == gone
