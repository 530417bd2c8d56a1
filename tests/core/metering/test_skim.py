"""A skimmer finds what a whole parse finds, wherever the document is cut."""

import json

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.metering.shapes import split

from codex_manager.core.metering.skim import EACH, HELD, ITEMS, KEEP, Skimmer


WANTED = {"a": KEEP, "b": [{"a": KEEP, "c": {"a": KEEP}}], "c": [EACH], 'd"\\': {"é": KEEP}}
NAMES = st.sampled_from(["a", "b", "c", 'd"\\', "é", "", "usage"])
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just('\\"{[]}\\')
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)
MISSING = object()


def wanted_of(wanted, value):
    """What is wanted of a parsed value."""
    if wanted == KEEP:
        return value
    if isinstance(wanted, dict) and isinstance(value, dict):
        parts = {name: wanted_of(wanted[name], part) for name, part in value.items() if name in wanted}
        return {name: part for name, part in parts.items() if part is not MISSING}
    if isinstance(wanted, list) and isinstance(value, list):
        return [
            part for item in value if (part := None if wanted[0] == EACH else wanted_of(wanted[0], item)) is not MISSING
        ]
    return MISSING


def skimmed(wanted, pieces):
    skimmer = Skimmer(wanted)
    for piece in pieces:
        skimmer.feed(piece)
    return skimmer


@settings(max_examples=60)
@given(
    st.dictionaries(NAMES, VALUES, max_size=6),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_it_finds_what_a_parse_finds(document, ascii_only, indent, cuts):
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    skimmer = skimmed(WANTED, split(body, [min(cut, len(body)) for cut in cuts]))
    assert skimmer.found == wanted_of(WANTED, document)
    assert skimmer.is_whole


@settings(max_examples=40)
@given(st.dictionaries(NAMES, VALUES, max_size=4), st.data())
def test_a_document_without_an_end_is_not_whole(document, data):
    body = json.dumps(document).encode()
    end = data.draw(st.integers(0, len(body) - 1))
    assert not skimmed(WANTED, [body[:end]]).is_whole


@given(
    st.lists(
        st.binary(max_size=20) | st.sampled_from([b'{"a":', b'"', b"{", b"[", b"}", b"]", b",", b":", b"\\", b"1"])
    )
)
def test_no_bytes_make_it_fail(pieces):
    skimmed(WANTED, pieces)
    skimmed(WANTED, [b"{", *pieces])
    skimmed(WANTED, [b'{"b":[', *pieces])


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'\xef\xbb\xbf {"a":1}', {"a": 1}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":1,"a":}', {}),
        (b'{"\\u0061":1}', {"a": 1}),
        (b'{"b":3,"c":{}}', {}),
        (b'{"c":[1,[2,3],{},"]"]}', {"c": [None] * 4}),
        (b'{"a":1} {"a":2}', {"a": 1}),
        (b'[{"a":1}]', {}),
        (b'{"a":"\xff"}', {}),
        ('{"a":1}'.encode("utf-16"), {}),
        (b'{"a":nonsense,"b":[]}', {"b": []}),
    ],
)
def test_odd_documents(body, found):
    for pieces in ([body], split(body, range(1, len(body)))):
        assert skimmed(WANTED, pieces).found == found


def test_no_more_is_kept_than_is_allowed():
    assert skimmed({"a": KEEP}, [b'{"a":"' + b"x" * (HELD + 1) + b'"}']).found == {}
    assert len(skimmed({"c": [EACH]}, [b'{"c":[' + b"1," * 5000 + b"1]}"]).found["c"]) == ITEMS
