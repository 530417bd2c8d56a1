"""Records become rows and records again; no record is so odd that its row cannot be written."""

import math
import sqlite3

from dataclasses import replace
from decimal import Decimal

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.samples import HOME, WORK, record

from codex_manager.core.record import Attempt
from codex_manager.core.usage import Usage
from codex_manager.ledger.rows import COLUMNS, LONGEST, MOST, Scribe, from_nano, record_of, to_nano, within


def there_and_back(one):
    usage = None if one.usage is None else within(one.usage)
    return record_of(Scribe().row(one, usage, to_nano(one.cost)))


FULL = record(
    streamed=True,
    websocket=True,
    session="s" * 64,
    object_id="resp_1",
    open=True,
    priced=False,
    detail={"saved": 3, "why": ["a", None]},
    usage=Usage(
        input=9, cached=8, cache_write=7, input_audio=6, cached_audio=5, input_image=4, cached_image=3, output=2, reasoning=1,
        output_audio=1, output_image=2, seconds=1.5, characters=12, images=3, image_kind="hd 1024x1792",
        calls=(("web_search", 2), ("file_search", 1)), tier="flex", model="gpt-5-2025-08-07",
    ),
    attempts=(
        Attempt(HOME, "home", 0.0, 0.25, 429, "rate", "rate_limit_exceeded", "sticky", ((WORK, "cooling", "429", 12.5),)),
        Attempt(WORK, "work", 0.3, 0.5, 200, by="least_utilized", out=((HOME, "cooling", 'said "no"', None),)),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "one",
    [
        record(),
        FULL,
        record(
            usage=None, cost=Decimal(0), account_id=None, account=None, domain=None, model=None, attempts=(), status=429
        ),
        record(usage=Usage(), first_byte_s=None, failure="gone"),
        record(usage=Usage(input=5, estimated=True), estimated=True),
    ],
)
def test_a_record_comes_back_as_it_was(one):
    assert there_and_back(one) == one


def test_every_field_has_a_column():
    """A field that is added to Record must not be forgotten."""
    fields = set(record().__dataclass_fields__)
    assert fields - set(COLUMNS) == {"usage", "cost"}
    assert set(Usage.__dataclass_fields__) - {"estimated"} <= set(there_and_back(FULL).usage.__dataclass_fields__)


@pytest.mark.parametrize(
    ("usd", "nano"),
    [
        ("0", 0), ("0.000000001", 1), ("1", 10**9), ("0.0000000015", 2), ("123456.789", 123_456_789_000_000),
        ("-5", 0), ("NaN", 0), ("Infinity", 0), ("1e30", 10**15),
    ],
)  # fmt: skip
def test_money_is_whole_billionths_of_a_dollar(usd, nano):
    assert to_nano(Decimal(usd)) == nano
    assert from_nano(nano) == Decimal(nano) / 10**9


@pytest.mark.parametrize("value", [-1, 10**30, 1.5, math.nan, math.inf, "7", None])
def test_a_count_that_is_none_is_held_within_bounds(value):
    held = within(Usage(input=value, seconds=value if isinstance(value, float) else 0.0))
    assert isinstance(held.input, int)
    assert 0 <= held.input <= MOST
    assert 0 <= held.seconds <= MOST


def test_a_good_usage_is_not_even_copied():
    usage = Usage(input=1, output=2, seconds=3.5)
    assert within(usage) is usage


TEXT = st.text(st.characters(), max_size=600)  # with lone surrogates and NULs


@given(model=TEXT, code=TEXT, object_id=TEXT, client=TEXT, note=TEXT)
def test_any_text_can_be_written(model, code, object_id, client, note):
    """Models and ids are chosen by clients and upstreams."""
    attempts = (Attempt(HOME, note, 0.0, 0.1, 400, "caller", code, "only"),)
    one = record(model=model, client=client, object_id=object_id, attempts=attempts, detail={"note": note})
    row = Scribe().row(one, one.usage, 1)
    with sqlite3.connect(":memory:") as connection:
        back = connection.execute(f"SELECT {','.join('?' * len(row))}", row).fetchone()
    connection.close()
    again = record_of(back)
    assert again.attempts[0].label == again.detail["note"][:LONGEST].encode("utf-8", "replace").decode()
    assert len(again.model or "") <= LONGEST


def test_what_is_absurdly_long_is_left_out():
    many = tuple((WORK, "cooling", "x" * 200, None) for _ in range(500))
    one = record(detail={"much": "x" * 100_000}, attempts=(Attempt(WORK, "work", 0, 0, 0, out=many),))
    back = there_and_back(one)
    assert (back.attempts, back.detail) == ((), {})


def test_a_time_that_is_no_number_costs_its_attempts_only():
    one = record(attempts=(Attempt(WORK, "work", math.nan, math.inf, 200),))
    assert there_and_back(one) == replace(one, attempts=())


def test_what_is_remembered_is_bounded():
    scribe = Scribe()
    for number in range(4_500):
        one = record(number, client=f"client {number}", usage=Usage(input=1, seconds=float(number)))
        scribe.row(one, one.usage, 1)
    assert len(scribe.texts) <= 4096
    assert len(scribe._quoted) <= 4096
    assert len(scribe._rare) <= 4096
