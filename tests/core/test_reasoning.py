"""Encrypted reasoning is left out of a request, and nothing else of it changes."""

import json

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.reasoning import without_reasoning
from codex_manager.core.resources import digest, references


def thought(content: str = "gAAAAA-one-content-more", **fields: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content} | fields


HI = {"role": "user", "content": 'he said "encrypted_content": "x" [,] {'}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": [1, 2]}'}


def body_of(*items: Any, **fields: Any) -> bytes:
    return json.dumps({"model": "gpt-5", "n": 1e400, "input": list(items), "store": False} | fields).encode()


@pytest.mark.parametrize(
    ("items", "left"),
    [
        ([HI, thought(), HI], [HI, HI]),
        ([thought(), HI], [HI]),
        ([HI, thought()], [HI]),
        ([thought(), thought("gAAAAA-another-content"), CALL], [CALL]),
        ([thought()], []),
    ],
)
def test_items_go_as_a_whole_wherever_they_are(items, left):
    stripped = without_reasoning(body_of(*items))
    assert stripped is not None
    assert json.loads(stripped.body) == json.loads(body_of(*left))
    assert stripped.digests == set(references("", body_of(*items), "application/json").encrypted)


def test_what_can_be_read_stays():
    mine, foreign = thought("gAAAAA-mine-content-long"), thought("gAAAAA-foreign-content")
    stripped = without_reasoning(body_of(HI, mine, foreign), {digest(b"gAAAAA-foreign-content")})
    assert stripped is not None
    assert json.loads(stripped.body)["input"] == [HI, mine]


def test_a_frame_s_input_may_be_in_its_response():
    frame = json.dumps({"type": "response.create", "response": {"input": [HI, thought()]}}).encode()
    stripped = without_reasoning(frame)
    assert stripped is not None
    assert json.loads(stripped.body) == {"type": "response.create", "response": {"input": [HI]}}


@pytest.mark.parametrize(
    "body",
    [
        body_of(HI),
        body_of(HI, {"type": "compaction", "encrypted_content": "gAAAAA-the-conversation"}, thought()),
        body_of(HI, thought(encrypted_content=None)),
        b'{"input": "text"}',
        b'{"input": [',
        b'{"input": [{"type": "reasoning", "encrypted_content": "x"',
        b"[]",
        b"",
        b"no JSON",
    ],
)
def test_nothing_to_leave_out_or_nothing_that_may_be(body):
    assert without_reasoning(body) is None


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8
)  # fmt: skip


@given(st.lists(st.just(thought()) | VALUES, max_size=6), st.booleans())
def test_every_other_byte_stays(items, spaced):
    text = json.dumps({"a": [1], "input": items, "z": {"input": 1}}, separators=None if spaced else (",", ":")).encode()
    stripped = without_reasoning(text)
    left = [item for item in items if item != thought()]
    if len(left) == len(items):
        assert stripped is None
    else:
        assert stripped is not None
        assert json.loads(stripped.body) == {"a": [1], "input": left, "z": {"input": 1}}


@given(st.binary(max_size=60))
def test_it_never_raises(data):
    without_reasoning(b'{"input":[' + data)
    without_reasoning(data)
