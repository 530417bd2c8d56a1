"""Members are found where they stand in the bytes."""

import json

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.core.json_bytes import members, name_of


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just('"]}\\'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_each_member_is_where_a_parse_says(document, ascii_only, indent):
    body = b" \n" + json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode() + b" "
    found = members(body, 2)
    assert found is not None
    assert {name: json.loads(body[begin:end]) for name, (_, begin, end) in found.items()} == document
    assert all(body[quote : quote + 1] == b'"' for quote, _, _ in found.values())


@pytest.mark.parametrize("depth", [3, 4, 5, 9, 3000])
def test_values_may_be_deep(depth):
    value = b'[{"a":' * depth + b'"]"' + b"}]" * depth
    assert members(b'{"x":' + value + b',"y":1}', 0) == {
        "x": (1, 5, 5 + len(value)),
        "y": (6 + len(value), 10 + len(value), 11 + len(value)),
    }


def test_of_a_name_given_twice_the_last_counts():
    assert members(b'{"a":1,"a":2}', 0) == {"a": (7, 11, 12)}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"{",
        b'{"a',
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":"',
        b'{"a":"\\"',
        b'{"a":[',
        b'{"a":["]',
        b'{"a":[}',
        b"{1}",
    ],
)
def test_what_has_no_end_has_no_members(body):
    assert members(body, 0) is None


def test_names_are_read_as_json():
    assert name_of(rb"\u0061\n\"") == 'a\n"'
    assert name_of("é".encode()) == "é"
    assert name_of(rb"\x") == ""
