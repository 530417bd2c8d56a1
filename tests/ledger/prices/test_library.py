"""What the shipped list has a price for costs what its own library says, to the billionth of a dollar."""

import math
import random

from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest

from genai_prices.types import ModelPrice

from codex_manager.core.pricing import NANO
from codex_manager.core.rates import cost_of
from codex_manager.core.usage import Usage
from codex_manager.ledger.prices import library as module
from codex_manager.ledger.prices.library import TIERS, Library, pico


WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
KNOWN_KEYS = {*module._TOKEN_KEYS.values(), "audio_hours", "input_audio_hours", "input_mchars"} | {
    "web_searches_kcount", "storage_searches_kcount"
}  # fmt: skip


@pytest.fixture(scope="module")
def library():
    return Library()


def some_usage(choice: random.Random) -> Usage:
    """Parts within their wholes, from nothing to beyond the longest context."""
    whole = choice.choice([0, 1, 7, 1000, 271_999, 272_000, 272_001, choice.randrange(10**7)])
    cached = choice.randrange(whole + 1)
    written = choice.randrange(whole - cached + 1)
    audio = choice.randrange(whole - cached - written + 1)
    image = choice.randrange(whole - cached - written - audio + 1)
    heard_again = choice.randrange(cached + 1)
    seen_again = choice.randrange(cached - heard_again + 1)
    output = choice.choice([0, 1, 500, choice.randrange(10**6)])
    spoken = choice.randrange(output + 1)
    drawn = choice.randrange(output - spoken + 1)
    return Usage(
        input=whole, cached=cached, cache_write=written, input_audio=audio + heard_again, cached_audio=heard_again,
        input_image=image + seen_again, cached_image=seen_again, output=output, output_audio=spoken, output_image=drawn,
        calls=(("web_search", choice.randrange(4)), ("file_search", choice.randrange(4))),
    )  # fmt: skip


def theirs(model: str, usage: Usage, tier: str, **units: float | Decimal) -> Decimal:
    """What the library makes of it."""
    calls = dict(usage.calls)
    counted = genai_prices.Usage(
        input_tokens=usage.input, cache_read_tokens=usage.cached, cache_write_tokens=usage.cache_write,
        input_audio_tokens=usage.input_audio, cache_audio_read_tokens=usage.cached_audio,
        input_image_tokens=usage.input_image, cache_image_read_tokens=usage.cached_image,
        output_tokens=usage.output, output_audio_tokens=usage.output_audio, output_image_tokens=usage.output_image,
        web_searches=calls.get("web_search", 0), storage_searches=calls.get("file_search", 0), **units,
    )  # fmt: skip
    return genai_prices.calc_price(
        counted, model, provider_id="openai", genai_request_timestamp=WHEN, price_context=dict(TIERS[tier])
    ).total_price


@pytest.mark.parametrize("tier", TIERS)
def test_every_model_costs_what_the_library_says(library, tier):
    choice = random.Random(20261101)
    compared = 0
    for listed in library.all():
        if tier != "default" and not listed.has_tier(tier):
            continue
        rates = listed.rates(tier, WHEN.timestamp())
        for _ in range(4):
            usage = some_usage(choice)
            exact = theirs(_called(listed.name), usage, tier)
            ours = cost_of(rates, usage)
            assert exact <= ours < exact + NANO, (listed.name, tier, usage)
            compared += 1
    assert compared > 80


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
def test_every_model_costs_what_the_library_says_many_times(library, tier):
    choice = random.Random(tier)
    for listed in library.all():
        rates = listed.rates(tier, WHEN.timestamp())
        for _ in range(100):
            usage = some_usage(choice)
            exact = theirs(_called(listed.name), usage, tier)
            assert exact <= cost_of(rates, usage) < exact + NANO, (listed.name, tier, usage)


def _called(name: str) -> str:
    """A name by which the API knows a model whose list name is the beginning of many."""
    return {
        "ft:gpt-4o": "ft:gpt-4o-2024-08-06:acme::x",
        "ft:gpt-4o-mini": "ft:gpt-4o-mini-2024-07-18:acme::x",
    }.get(name, name)


def test_every_name_means_the_same_model_to_the_library(library):
    for listed in library.all():
        assert library.find(_called(listed.name)) is listed
    assert library.find("gpt-4o-2024-08-06").name == "gpt-4o"
    assert library.find("no-such-model") is None


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 59.999, 60, 3600, 86_399.25])
@pytest.mark.parametrize("model", ["whisper-1", "gpt-transcribe", "gpt-live-1", "gpt-realtime-whisper"])
def test_audio_by_time_costs_what_the_library_says(library, model, seconds):
    usage = Usage(seconds=seconds)
    units = {"audio_seconds": Decimal(str(seconds)), "input_audio_seconds": Decimal(str(seconds))}
    exact = theirs(model, Usage(), "default", **units)
    assert abs(cost_of(library.find(model).rates("default", WHEN.timestamp()), usage) - exact) <= NANO


@pytest.mark.parametrize("characters", [0, 1, 4096, 999_999])
@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd"])
def test_speech_by_characters_costs_what_the_library_says(library, model, characters):
    exact = theirs(model, Usage(), "default", input_characters=characters)
    rates = library.find(model).rates("default", WHEN.timestamp())
    assert cost_of(rates, Usage(characters=characters)) == exact


def test_nothing_of_openais_prices_is_left_out(library):
    """A new kind of price in a later version of the library must not count as nothing."""
    found = set()
    for model in library._provider.models:
        lists = [model.prices] if isinstance(model.prices, ModelPrice) else [part.prices for part in model.prices]
        lists += [variant.prices for variant in model.price_variants or ()]
        found |= {key for prices in lists for key, value in vars(prices).items() if value is not None}
    assert found <= KNOWN_KEYS
    contexts = {
        tuple(variant.when.items()) for model in library._provider.models for variant in model.price_variants or ()
    }
    assert contexts <= {tuple(context.items()) for context in TIERS.values()}


def test_a_price_that_begins_on_a_day_begins_then(library):
    """o3 became cheaper on 2025-06-10 UTC."""
    o3 = library.find("o3")
    change = datetime(2025, 6, 10, tzinfo=UTC).timestamp()
    before, after = o3.rates("default", change - 1), o3.rates("default", change)
    assert (before.tokens.input, after.tokens.input) == (pico(Decimal(10), 10**6), pico(Decimal(2), 10**6))
    assert library.next_change(change - 1) == change
    assert library.next_change(change) > change
    assert library.next_change(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) == math.inf


def test_the_list_says_what_it_is_and_how_old(library):
    assert library.source.startswith("genai-prices ")
    assert "2026-10-01" <= library.date <= datetime.now(tz=UTC).date().isoformat()
    assert library.find("gpt-5.4").date == "2026-10-14"
    assert library.find("ada").date == ""


def test_what_picodollars_cannot_hold_is_rounded_up():
    assert pico(Decimal("0.0000001"), 10**6) == 1
    assert pico(Decimal("1.25"), 10**6) == 1_250_000
    assert pico(Decimal(0)) == 0
