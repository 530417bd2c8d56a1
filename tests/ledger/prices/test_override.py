from decimal import Decimal

import pytest

from codex_manager.core.pricing import PriceOverride
from codex_manager.core.rates import Rates, TokenRates
from codex_manager.ledger.prices.override import complete, overridden


D = Decimal
TOKENS = TokenRates(input=5, cached=1, output=9, output_audio=80)
LISTED = Rates(tokens=TOKENS, longer=((100, TokenRates(input=50)),), hour={"": 7, "x": 8}, call={"web_search": 2})


@pytest.mark.parametrize(
    ("override", "says_all"),
    [
        (PriceOverride(), False),
        (PriceOverride(input=D(1)), False),
        (PriceOverride(output=D(1)), False),
        (PriceOverride(input=D(0), output=D(0)), True),
        (PriceOverride(minute=D(0)), True),
        (PriceOverride(characters=D(1)), True),
        (PriceOverride(image=D(1)), True),
        (PriceOverride(web_search=D(1)), False),
    ],
)
def test_what_makes_a_model_known(override, says_all):
    assert complete(override) is says_all


def test_what_is_not_named_stays():
    rates = overridden(LISTED, PriceOverride(cached_input=D(3), minute=D(60), web_search=D(10)), D(1), listed=True)
    assert rates.tokens == TokenRates(input=5, cached=3_000_000, output=9, output_audio=80)
    assert rates.longer == ((100, TokenRates(input=50, cached=3_000_000)),)
    assert dict(rates.hour) == {"": 3600 * 10**12}
    assert rates.call["web_search"] == 10**10
    assert overridden(LISTED, PriceOverride(), D(1), listed=True) == LISTED


def test_every_price_has_its_place():
    override = PriceOverride(
        input=D(1), cached_input=D(2), cache_write=D(3), output=D(4), audio_input=D(5), cached_audio_input=D(6),
        audio_output=D(7), image_input=D(8), cached_image_input=D(9), image_output=D(10), minute=D(11), characters=D(12),
        image=D(13), web_search=D(14), file_search=D(15),
    )  # fmt: skip
    rates = overridden(Rates(), override, D("0.5"), listed=False)
    million = 500_000
    assert rates.tokens == TokenRates(
        input=million, cached=2 * million, cache_write=3 * million, output=4 * million, input_audio=5 * million,
        cached_audio=6 * million, output_audio=7 * million, input_image=8 * million, cached_image=9 * million,
        output_image=10 * million,
    )  # fmt: skip
    assert rates.hour[""] == 330 * 10**12
    assert rates.character == 6_000_000
    assert rates.image[""] == 6_500_000_000_000
    assert dict(rates.call) == {
        "web_search": 14 * 10**9, "web_search_preview": 14 * 10**9, "file_search": 15 * 10**9
    }  # fmt: skip


def test_kinds_of_tokens_of_an_unlisted_model_cost_what_its_input_and_output_cost():
    rates = overridden(LISTED, PriceOverride(input=D(1), output=D(2)), D(1), listed=False)
    assert rates.tokens is not None
    assert (rates.tokens.cached, rates.tokens.input_image, rates.tokens.output_audio) == (
        1_000_000,
        1_000_000,
        2_000_000,
    )
    assert rates.longer == ()
    assert rates.hour == {}
