"""Documents that are cut, huge, or none."""

import json
import time

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.core.conversation.documents import LOOKED_AT, base64_size, lean, read_json, read_stream


DOCUMENT = {
    "a": [1, {"b": 'c\\"d\u00e9\U0001f600', "e": [True, None, -1.5e3]}],
    "f": {"g": {}, "h": [], "i": "j,]}"},
    "k": 12345,
}


def read(body):
    document = read_json(body)
    assert document is not None
    return document


def within(part, whole):
    """Whether `part` is a beginning of `whole`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            name in whole and within(each, whole[name]) for name, each in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) <= len(whole) and all(map(within, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part.rstrip("\ufffd").encode("utf-8", "ignore").decode())
    return part == whole


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_document_cut_anywhere_yields_a_beginning_of_it(ascii_only):
    body = json.dumps(DOCUMENT, ensure_ascii=ascii_only).encode()
    for end in range(1, len(body)):
        document = read_json(body[:end])
        assert document is not None, body[:end]
        assert not document.whole
        assert within(document.value, DOCUMENT), (body[:end], document.value)


def test_a_number_that_is_cut_is_left_out():
    assert read(b'{"tokens": 12').value == {}
    assert read(b'{"a": 1, "tokens": 12').value == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\x00\xff", b"]", b'{"a":1]', b"[" * 100_000, b'"text"x'])
def test_what_is_no_json(body):
    assert read_json(body) is None


def test_json_with_liberties():
    assert read(b'\xef\xbb\xbf{"a": "\xff", "b": ' + b"9" * 5000 + b"}").value == {
        "a": "\ufffd",
        "b": float("inf"),
    }


def test_pictures_push_nothing_out():
    """Three photographs of 3 MB, and what stands behind them is still read; their sizes stay known."""
    photo = "iVBO" * 1_000_000
    document = {"a": f"data:image/png;base64,{photo}", "b": photo, "c": "data:image/png;base64," + photo, "d": "end"}
    body = json.dumps(document).encode()
    assert len(lean(body)) < 1000
    found = read(body)
    assert found.whole
    assert found.value["d"] == "end"
    assert base64_size(found.value["b"]) == base64_size(photo) == 3_000_000
    assert found.value["a"] == "data:image/png;base64,~4000000"


def test_never_more_than_the_limit_is_parsed():
    body = json.dumps({"messages": [{"content": "word " * 20} for _ in range(60_000)]}).encode()
    assert len(body) > 3 * LOOKED_AT
    document = read(body)
    assert not document.whole
    assert len(document.value["messages"]) < 20_000


def test_a_stream_in_its_varieties():
    stream = read_stream(b'\xef\xbb\xbf: hi\r\nevent: x\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:[1]\n\ndata: [DONE]\n\n')
    assert (stream.events, stream.done, stream.torn) == ([{"a": 1}], True, False)
    torn = read_stream(b'data: {"a":1}\n\ndata: {"b":')
    assert (torn.events, torn.done, torn.torn) == ([{"a": 1}], False, True)
    assert read_stream(b'data: {"a":1}\n\neve').torn
    assert not read_stream(b'data: {"a":1}').torn  # whole, but for its empty line


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u01e-n \n', max_size=120).map(str.encode))
def test_nothing_raises(body):
    read_json(body)
    read_stream(body)
    lean(body * 2000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [b"[]", b"{", b'{"a":[', b'"', b'\\"', b'["', b",", b"[[[[[[]]]]]]", b'"a",', b"data: {}\n\n", b"data:\n", b"~1"],
)
def test_hostile_bodies_take_little_time(unit):
    body = b"[" + unit * (4 * LOOKED_AT // len(unit))
    began = time.process_time()
    read_json(body)
    read_stream(body)
    assert time.process_time() - began < 10.0  # seconds; a machine that is busy, and far from quadratic
