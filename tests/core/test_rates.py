"""Usage times rates: every token once, nothing free by rounding, nothing negative whatever the upstream claims."""

from decimal import Decimal

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.rates import HIGHEST, Rates, TokenRates, cost_of, dearest, scaled
from codex_manager.core.usage import Usage


DOLLAR = 1_000_000  # picodollars a token: a dollar for a million
TOKENS = TokenRates(
    input=10 * DOLLAR, cached=DOLLAR, cache_write=12 * DOLLAR, input_audio=40 * DOLLAR, cached_audio=4 * DOLLAR,
    input_image=20 * DOLLAR, cached_image=2 * DOLLAR, output=30 * DOLLAR, output_audio=80 * DOLLAR, output_image=60 * DOLLAR,
)  # fmt: skip
LIST = Rates(
    tokens=TOKENS,
    longer=((200, TokenRates(input=100 * DOLLAR)), (100, TokenRates(input=50 * DOLLAR))),
    hour={"": 3600 * 10**9},
    character=15 * DOLLAR,
    image={"hd": 5 * 10**10, "standard": 10**10},
    call={"web_search": 10**10},
    session={"code_interpreter": 3 * 10**10},
)
MICRO = Decimal("0.000001")


@pytest.mark.parametrize(
    ("usage", "micros"),
    [
        (Usage(), 0),
        (Usage(input=5, output=2), 50 + 60),
        (Usage(input=5, cached=3), 20 + 3),
        (Usage(input=5, cached=2, cache_write=2), 10 + 2 + 24),
        (Usage(output=5, reasoning=4), 150),
        (Usage(input=10, input_audio=4), 60 + 160),
        (Usage(input=10, cached=4, input_audio=6, cached_audio=3), 3 * 10 + 1 + 3 * 40 + 3 * 4),
        (Usage(input=10, input_image=10), 200),
        (Usage(input=10, cached=10, input_image=10, cached_image=10), 20),
        (Usage(output=10, output_audio=3, output_image=5), 2 * 30 + 3 * 80 + 5 * 60),
        (Usage(input=100), 1000),
        (Usage(input=101), 5050),
        (Usage(input=201, output=9), 20100),
    ],
)
def test_every_token_has_one_price(usage, micros):
    assert cost_of(LIST, usage) == micros * MICRO


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(seconds=2.5), "0.0025"),
        (Usage(characters=1000), "0.015"),
        (Usage(images=3, image_kind="standard"), "0.03"),
        (Usage(images=3, image_kind="never heard of"), "0.15"),
        (Usage(images=1, seconds=1.0), "0.051"),
        (Usage(input=1, seconds=1000.0, images=9), "0.00001"),  # tokens are said, so it is billed by them
        (Usage(calls=(("web_search", 2), ("mcp", 9))), "0.02"),
        (Usage(calls=(("code_interpreter", 7),)), "0.03"),
        (Usage(input=1, calls=(("web_search", 1), ("code_interpreter", 0))), "0.01001"),
    ],
)
def test_other_units_have_theirs(usage, usd):
    assert cost_of(LIST, usage) == Decimal(usd)


def test_a_model_without_tokens_is_billed_by_its_units_alone():
    whisper = Rates(hour={"": 36 * 10**10})
    assert cost_of(whisper, Usage(input=50, output=900, seconds=60.0)) == Decimal("0.006")


def test_no_usage_is_free_by_rounding():
    cheap = Rates(tokens=TokenRates(input=1), hour={"": 1})
    assert cost_of(cheap, Usage(input=1)) == Decimal("0.000000001")
    assert cost_of(cheap, Usage(seconds=0.001)) == Decimal("0.000000001")


counts = st.integers(-(10**30), 10**30)
durations = st.floats()
usages = st.builds(
    Usage, input=counts, cached=counts, cache_write=counts, input_audio=counts, cached_audio=counts, input_image=counts,
    cached_image=counts, output=counts, reasoning=counts, output_audio=counts, output_image=counts, seconds=durations,
    characters=counts, images=counts, image_kind=st.sampled_from(["", "hd", "x"]),
    calls=st.lists(st.tuples(st.sampled_from(["web_search", "code_interpreter", "?"]), counts), max_size=3).map(tuple),
)  # fmt: skip


@given(usages)
def test_nonsense_has_a_price_that_is_neither_negative_nor_endless(usage):
    for rates in (LIST, Rates(), Rates(hour={"": 1}, character=1, image={"": 1})):
        assert 0 <= rates.nanodollars(usage) <= HIGHEST


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_is_never_cheaper(first, second, more):
    assert cost_of(LIST, Usage(input=first, output=second)) <= cost_of(
        LIST, Usage(input=first + more, output=second + more)
    ) or (
        first <= 200  # a longer context has prices of its own
    )


def test_a_tier_scales_what_the_model_does_and_not_its_tools():
    half = scaled(LIST, Decimal("0.5"))
    assert cost_of(half, Usage(input=4, output=2)) == Decimal("0.00005")
    assert cost_of(half, Usage(input=201)) == Decimal("0.01005")
    assert cost_of(half, Usage(images=1, image_kind="hd")) == Decimal("0.025")
    assert half.call == LIST.call
    assert half.session == LIST.session
    assert scaled(Rates(tokens=TokenRates(input=1)), Decimal("0.5")).tokens == TokenRates(input=1)  # up, not to nothing


def test_the_dearest_is_the_highest_of_each_kind():
    text = Rates(tokens=TokenRates(input=5, cached=1, output=9), longer=((100, TokenRates(input=50, output=1)),))
    sound = Rates(tokens=TokenRates(input=1, cached=3, output=2, output_audio=80), hour={"": 7}, call={"web_search": 2})
    film = Rates(hour={"720p": 6, "1080p": 9}, image={"x": 3}, character=4, call={"web_search": 1, "file_search": 1})
    highest = dearest([text, sound, film])
    assert highest.tokens == TokenRates(input=5, cached=3, output=9, output_audio=80)
    assert highest.longer == ((100, TokenRates(input=50, cached=3, output=2, output_audio=80)),)
    assert (dict(highest.hour), dict(highest.image), highest.character) == ({"": 9}, {"": 3}, 4)
    assert dict(highest.call) == {"web_search": 2, "file_search": 1}
    assert dearest([]) == Rates()


@given(usages)
def test_nothing_costs_more_than_the_dearest(usage):
    one = Rates(tokens=TOKENS, longer=((1000, TokenRates(input=100 * DOLLAR)),))
    other = Rates(tokens=TokenRates(input=5 * DOLLAR, output=90 * DOLLAR), longer=((50, TokenRates(output=1)),))
    highest = dearest([one, other]).nanodollars(usage)
    assert highest >= max(one.nanodollars(usage), other.nanodollars(usage))
