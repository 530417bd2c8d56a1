"""Prices that the shipped list lacks: what is billed by the image, the minute of film, the call, and fine-tuned models.

Each with the page it is from and the day of the copy it was read in. To change one, change its line, its day and the
expectation in tests/ledger/prices/test_own.py.

Law: this adds to the shipped list and never contradicts it. A price here that the list has since got counts no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from codex_manager.core.rates import Rates, TokenRates
from codex_manager.ledger.prices.library import pico


__all__ = ["FINE_TUNED_FACTOR", "OWN", "TIER_FACTORS", "TOOLS_DATE", "TOOLS_SOURCE", "Own", "completed", "tier_factor"]

_PRICING: Final = "https://platform.openai.com/docs/pricing"
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Own:
    """A price of ours."""

    rates: Rates
    source: str
    date: str


def _usd(text: str) -> int:
    return pico(Decimal(text))


def _tokens(
    text_in: str, text_out: str, *, cached: str | None = None, audio_in: str | None = None, audio_out: str | None = None
) -> TokenRates:
    """US dollars per million tokens."""

    def token(text: str) -> int:
        return pico(Decimal(text), _MILLION)

    return TokenRates(
        input=token(text_in),
        cached=token(cached or text_in),
        cache_write=token(text_in),
        input_audio=token(audio_in or text_in),
        cached_audio=token(audio_in or text_in),
        input_image=token(text_in),
        cached_image=token(cached or text_in),
        output=token(text_out),
        output_audio=token(audio_out or text_out),
        output_image=token(text_out),
    )


def _images(prices: Mapping[str, str]) -> Rates:
    return Rates(image={kind: _usd(price) for kind, price in prices.items()})


def _film(prices: Mapping[str, str]) -> Rates:
    """US dollars a second, by size."""
    return Rates(hour={size: _usd(price) * 3600 for size, price in prices.items()})


def _heard(minute: str) -> Rates:
    return Rates(hour={"": _usd(minute) * 60})


OWN: Final[Mapping[str, Own]] = {
    "dall-e-2": Own(
        _images({"standard 256x256": "0.016", "standard 512x512": "0.018", "standard 1024x1024": "0.020"}),
        _PRICING, "2025-12-16",
    ),
    "dall-e-3": Own(
        _images({
            "standard 1024x1024": "0.040", "standard 1024x1792": "0.080", "standard 1792x1024": "0.080",
            "hd 1024x1024": "0.080", "hd 1024x1792": "0.120", "hd 1792x1024": "0.120",
        }),
        _PRICING, "2025-12-16",
    ),
    "sora-2": Own(_film({"720x1280": "0.10", "1280x720": "0.10"}), _PRICING, "2025-10-06"),
    "sora-2-pro": Own(
        _film({"720x1280": "0.30", "1280x720": "0.30", "1024x1792": "0.50", "1792x1024": "0.50"}),
        _PRICING, "2025-10-06",
    ),
    # Their answers report tokens or seconds, as the request asks; seconds at the estimate that OpenAI gives beside its prices.
    "gpt-4o-transcribe": Own(_heard("0.006"), _PRICING, "2025-12-16"),
    "gpt-4o-mini-transcribe": Own(_heard("0.003"), _PRICING, "2025-12-16"),
    # The list has their text alone.
    "gpt-4o-audio-preview": Own(
        Rates(tokens=_tokens("2.5", "10", audio_in="40", audio_out="80")), _PRICING, "2025-05-01"
    ),
    "gpt-4o-mini-audio-preview": Own(
        Rates(tokens=_tokens("0.15", "0.6", audio_in="10", audio_out="20")), _PRICING, "2025-05-01"
    ),
    "ft:gpt-4.1": Own(Rates(tokens=_tokens("3", "12", cached="0.75")), _PRICING, "2025-12-16"),
    "ft:gpt-4.1-mini": Own(Rates(tokens=_tokens("0.8", "3.2", cached="0.2")), _PRICING, "2025-12-16"),
    "ft:gpt-4.1-nano": Own(Rates(tokens=_tokens("0.2", "0.8", cached="0.05")), _PRICING, "2025-12-16"),
    "ft:o4-mini": Own(Rates(tokens=_tokens("4", "16", cached="1")), _PRICING, "2025-12-16"),
    "ft:davinci-002": Own(Rates(tokens=_tokens("12", "12")), _PRICING, "2025-12-16"),
    "ft:babbage-002": Own(Rates(tokens=_tokens("1.6", "1.6")), _PRICING, "2025-12-16"),
}  # fmt: skip
"""By name, without the day of a snapshot."""

FINE_TUNED_FACTOR: Final = Decimal(6)
"""Times its base model's price, for fine-tuned models without one; the most that one has, `davinci-002`. `o4-mini` has 3.64."""

TOOLS_SOURCE: Final = _PRICING
TOOLS_DATE: Final = "2025-12-16"
_TOOL_CALLS: Final[Mapping[str, int]] = {
    "web_search": _usd("0.010"),
    "web_search_preview": _usd("0.025"),  # without reasoning; with it, it costs the same as the other
    "file_search": _usd("0.0025"),
    "image_generation": _usd("0.25"),  # an image of high quality by gpt-image-1; the answer does not say which it was
}
_TOOL_SESSIONS: Final[Mapping[str, int]] = {
    # A container of 1 GB, for 20 minutes. Answers do not say whether it was opened for them.
    "code_interpreter": _usd("0.03"),
    "shell": _usd("0.03"),
}

TIER_FACTORS: Final[Mapping[str, Decimal]] = {
    # OpenAI gives half off for batches, and prices flex like batches.
    "batch": Decimal("0.5"),
    "flex": Decimal("0.5"),
    # The dearest in the list, gpt-5.5's; most are twice the default tier or less.
    "priority": Decimal("2.5"),
    "fast": Decimal("2.5"),
}
"""Times the default tier, for models that the list has no price for in another tier."""
_LIKE: Final[Mapping[str, tuple[str, ...]]] = {
    # Where the tier itself is not listed for a model, the tiers whose price it has.
    "batch": ("batch", "flex"),
    "flex": ("flex", "batch"),
    "priority": ("priority", "fast"),
    "fast": ("fast", "priority"),
    "default": ("default",),
}
_NEVER_HALF: Final = frozenset({"ft:gpt-4o"})
"""OpenAI's page does not give these half off for batches (genai-prices' note on it, 2026-10-14)."""


def tier_factor(tier: str, name: str, listed: frozenset[str]) -> tuple[str, Decimal]:
    """The tier to take from the list, and the factor on it, given the tiers that the list has for the model."""
    for near in _LIKE[tier]:
        if near in listed:
            return near, Decimal(1)
    if name in _NEVER_HALF:
        return "default", max(Decimal(1), TIER_FACTORS.get(tier, Decimal(1)))
    return "default", TIER_FACTORS.get(tier, Decimal(1))


def completed(rates: Rates, own: Rates | None) -> Rates:
    """A list's rates with what it lacks: units and kinds of tokens from `own`, and the tools that everybody may call."""
    call = {**_TOOL_CALLS, **rates.call}
    session = {**_TOOL_SESSIONS, **rates.session}
    if own is None:
        return replace(rates, call=call, session=session)
    tokens = rates.tokens if own.tokens is None else _more_kinds(rates.tokens, own.tokens)
    return replace(
        rates,
        tokens=tokens,
        hour=rates.hour or own.hour,
        image=rates.image or own.image,
        character=rates.character or own.character,
        call=call,
        session=session,
    )


def _more_kinds(listed: TokenRates | None, own: TokenRates) -> TokenRates:
    """Audio that the list charges as text costs what ours says."""
    if listed is None:
        return own
    return replace(
        listed,
        input_audio=own.input_audio if listed.input_audio == listed.input else listed.input_audio,
        cached_audio=own.cached_audio if listed.input_audio == listed.input else listed.cached_audio,
        output_audio=own.output_audio if listed.output_audio == listed.output else listed.output_audio,
    )
