"""Whatever OpenAI, or somebody who says to be it, writes: an exact amount or none, a plain word or none."""

import contextlib

from decimal import Decimal

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.provider.words import MONEY_MAX, amount, count, document, error_of


@pytest.mark.parametrize(
    ("body", "usd"),
    [
        (b'{"x": 0.1}', "0.1"), (b'{"x": 3}', "3"), (b'{"x": "0.06"}', "0.06"), (b'{"x": 1e-12}', "0"), (b'{"x": -2.5}', "-2.5"),
        (b'{"x": 0.0600000000000000001}', "0.06"), (b'{"x": 1000000000}', "1000000000"),
    ],
)  # fmt: skip
def test_an_amount_is_exact_to_a_billionth(body, usd):
    assert amount(document(body)["x"]) == Decimal(usd)


@pytest.mark.parametrize(
    "value", [None, True, [], {}, "", "NaN", "Infinity", "1e30", "x" * 100, Decimal("1e999999999"), Decimal("NaN"), 0.5]
)
def test_what_is_no_amount_is_none(value):
    assert amount(value) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [(Decimal(7), 7), (Decimal("7.9"), 7), (Decimal(-1), 0), ("7", 0), (None, 0), (Decimal("1e400"), 0)],
)
def test_a_count_is_a_number_or_nothing(value, number):
    assert count(value) == number


@pytest.mark.parametrize("code", ["sk-0123456789abcdef", "a b", "x" * 65, 5, None, "Q"])
def test_a_code_that_is_no_plain_word_is_not_repeated(code):
    import json

    assert error_of(json.dumps({"error": {"code": code, "message": "Text"}}).encode()) == ("", "text")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_an_object_or_a_refusal(body):
    assert isinstance(error_of(body), tuple)
    with contextlib.suppress(ValueError):
        assert isinstance(document(body), dict)


@settings(max_examples=100, deadline=None)
@given(st.decimals() | st.text(max_size=70))
def test_an_amount_is_within_reason(value):
    found = amount(value)
    assert found is None or abs(found) <= MONEY_MAX
