"""Prices of our own, written down twice: who changes one has to mean it."""

import re

from decimal import Decimal

import pytest

from codex_manager.core.rates import cost_of
from codex_manager.core.usage import Usage
from codex_manager.ledger.prices import Prices
from codex_manager.ledger.prices.own import OWN


@pytest.fixture(scope="module")
def prices():
    return Prices.load()


M = 1_000_000


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("dall-e-2", Usage(images=1, image_kind="standard 256x256"), "0.016"),
        ("dall-e-2", Usage(images=2, image_kind="standard 1024x1024"), "0.04"),
        ("dall-e-3", Usage(images=1, image_kind="standard 1024x1024"), "0.04"),
        ("dall-e-3", Usage(images=1, image_kind="hd 1792x1024"), "0.12"),
        ("dall-e-3", Usage(images=1, image_kind="gigantic"), "0.12"),
        ("sora-2", Usage(seconds=8, image_kind="1280x720"), "0.8"),
        ("sora-2-pro", Usage(seconds=8, image_kind="720x1280"), "2.4"),
        ("sora-2-pro-2025-10-06", Usage(seconds=8, image_kind="1792x1024"), "4"),
        ("gpt-4o-transcribe", Usage(seconds=60), "0.006"),
        ("gpt-4o-mini-transcribe", Usage(seconds=60), "0.003"),
        ("gpt-4o-transcribe", Usage(input=M, input_audio=M, output=M, seconds=60), "16"),
        ("gpt-4o-audio-preview-2025-06-03", Usage(input=2 * M, input_audio=M, output=2 * M, output_audio=M), "132.5"),
        ("gpt-4o-mini-audio-preview", Usage(input_audio=M, input=M, output=M, output_audio=M), "30"),
        ("ft:gpt-4.1-2025-04-14:acme::B1x", Usage(input=2 * M, cached=M, output=M), "15.75"),
        ("ft:gpt-4.1-mini-2025-04-14:acme:name:B1x", Usage(input=2 * M, cached=M, output=M), "4.2"),
        ("ft:gpt-4.1-nano-2025-04-14:acme::B1x", Usage(input=2 * M, cached=M, output=M), "1.05"),
        ("ft:o4-mini-2025-04-16:acme::B1x", Usage(input=2 * M, cached=M, output=M), "21"),
        ("ft:davinci-002:acme::B1x", Usage(input=M, output=M), "24"),
        ("ft:babbage-002:acme::B1x", Usage(input=M, output=M), "3.2"),
        ("gpt-5", Usage(calls=(("web_search", 1000),)), "10"),
        ("gpt-5.3", Usage(calls=(("web_search", 1000),)), "10"),
        ("gpt-4o", Usage(calls=(("web_search_preview", 1000),)), "25"),
        ("gpt-5", Usage(calls=(("file_search", 1000),)), "2.5"),
        ("gpt-5", Usage(calls=(("code_interpreter", 5),)), "0.03"),
        ("gpt-5", Usage(calls=(("shell", 5),)), "0.03"),
        ("gpt-5", Usage(calls=(("image_generation", 2),)), "0.5"),
        ("gpt-5", Usage(calls=(("mcp", 2), ("computer", 1))), "0"),
    ],
)
def test_what_the_shipped_list_lacks(prices, model, usage, usd):
    cost = prices.cost(model, usage)
    assert cost.known
    assert cost.usd == Decimal(usd)


def test_each_says_where_and_when(prices):
    for name, own in OWN.items():
        assert own.source.startswith("https://"), name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", own.date), name
        assert prices.quote(name).known, name


def test_the_shipped_list_goes_before_ours(prices):
    """Only what it charges as text, or not at all, is ours."""
    for listed in prices.library.all():
        theirs = listed.rates("default", prices.clock())
        ours = prices.quote(listed.name).rates
        for field in ("input", "cached", "cache_write", "input_image", "cached_image", "output", "output_image"):
            if theirs.tokens is not None:
                assert getattr(ours.tokens, field) == getattr(theirs.tokens, field), (listed.name, field)
        assert not theirs.hour or ours.hour == theirs.hour
        assert theirs.call.items() >= {k: v for k, v in theirs.call.items() if ours.call[k] == v}.items()
        assert all(ours.call[name] == price for name, price in theirs.call.items())


@pytest.mark.parametrize(
    ("model", "tier", "usd"),
    [
        ("text-embedding-3-small", "", "0.02"),
        ("text-embedding-3-small", "batch", "0.01"),
        ("dall-e-3", "batch", "0"),
        ("o3-pro", "flex", "10"),  # as a batch, which the list has
        ("gpt-5-nano", "priority", "0.125"),
        ("gpt-5.4", "fast", "5"),
        ("gpt-5.4", "PRIORITY", "5"),
        ("gpt-4o", "scale", "2.5"),
        ("gpt-4o", "auto", "2.5"),
        ("gpt-4o", "no such tier", "2.5"),
        ("ft:gpt-4o-2024-08-06:acme::x", "batch", "3.75"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "batch", "0.15"),
    ],
)
def test_tiers_that_the_list_lacks(prices, model, tier, usd):
    """A million input tokens."""
    assert prices.cost(model, Usage(input=100_000, tier=tier)).usd * 10 == Decimal(usd)


def test_images_in_a_batch_cost_half(prices):
    usage = Usage(images=1, image_kind="hd 1024x1024", tier="batch")
    assert prices.cost("dall-e-3", usage).usd == Decimal("0.04")
    assert cost_of(prices.quote("dall-e-3").rates, usage) == Decimal("0.08")
