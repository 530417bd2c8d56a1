"""A price list for one model and service tier, and what usage costs by it.

Amounts are whole picodollars (a millionth of a millionth of a dollar), because that is what a token costs at one dollar a
million tokens times 10⁻⁶: integers are exact where binary floats are not, and several times quicker than Decimal. Knows
no model and no price.

Law: total and never negative. A figure that makes no sense counts as nothing, a part larger than its whole is charged as
it stands, and what is left of a billionth of a dollar is rounded up, so that usage is never free by rounding.
"""

import math

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from codex_manager.core.pricing import NANO
from codex_manager.core.usage import Usage


__all__ = ["HIGHEST", "NOTHING", "PICO", "Rates", "TokenRates", "cost_of", "dearest", "scaled"]

PICO: Final = 10**12
"""Picodollars of a dollar."""
HIGHEST: Final = 10**18
"""Nanodollars, a billion dollars: no answer costs more, and a 64-bit integer holds the sum of nine."""
_LONGEST: Final = 1e9
"""Seconds, thirty years: what is longer is no duration."""
_HOUR_US: Final = 3_600_000_000
NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRates:
    """Picodollars for one token of each kind; every kind has its price, if only its parent's."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    input_audio: int = 0
    cached_audio: int = 0
    input_image: int = 0
    cached_image: int = 0
    output: int = 0
    output_audio: int = 0
    output_image: int = 0

    def of(self, usage: Usage) -> int:
        """Picodollars for the tokens of an answer."""
        cached, image_in, image_out = usage.cached, usage.input_image, usage.output_image
        audio_in, audio_out = usage.input_audio, usage.output_audio
        if not (audio_in or audio_out or image_in or image_out or usage.cached_audio or usage.cached_image):
            # The way of nearly all answers.
            text = usage.input - cached - usage.cache_write
            return (
                (text * self.input if text > 0 else 0)
                + _positive(cached) * self.cached
                + _positive(usage.cache_write) * self.cache_write
                + _positive(usage.output) * self.output
            )
        cached_audio, cached_image = _positive(usage.cached_audio), _positive(usage.cached_image)
        audio_in, image_in = _positive(audio_in), _positive(image_in)
        audio_out, image_out = _positive(audio_out), _positive(image_out)
        # Each token has one price: parts are taken out of their wholes, as (cached (cached audio)) and (audio (cached audio)).
        fresh_audio = _positive(audio_in - cached_audio)
        fresh_image = _positive(image_in - cached_image)
        cached_text = _positive(cached - cached_audio - cached_image)
        rest = usage.input - cached_text - cached_audio - cached_image - usage.cache_write - fresh_audio - fresh_image
        return (
            _positive(rest) * self.input
            + cached_text * self.cached
            + _positive(usage.cache_write) * self.cache_write
            + fresh_audio * self.input_audio
            + cached_audio * self.cached_audio
            + fresh_image * self.input_image
            + cached_image * self.cached_image
            + _positive(usage.output - audio_out - image_out) * self.output
            + audio_out * self.output_audio
            + image_out * self.output_image
        )


_TOKEN_KINDS: Final = tuple(kind.name for kind in fields(TokenRates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What everything a model does costs. Tokens count before the units they would be billed by otherwise."""

    tokens: TokenRates | None = None
    """None for models that are billed by other units alone."""
    longer: tuple[tuple[int, TokenRates], ...] = ()
    """For requests with more input tokens than this, all their tokens cost that; largest first."""
    hour: Mapping[str, int] = field(default=NOTHING)
    """Picodollars for an hour of audio or video, by `Usage.image_kind`; the dearest counts for kinds not listed."""
    character: int = 0
    """Picodollars."""
    image: Mapping[str, int] = field(default=NOTHING)
    """Picodollars by `Usage.image_kind`; the dearest counts for kinds not listed."""
    call: Mapping[str, int] = field(default=NOTHING)
    """Picodollars for a call of a built-in tool."""
    session: Mapping[str, int] = field(default=NOTHING)
    """Picodollars for built-in tools that are charged once an answer, however often they are called."""

    def nanodollars(self, usage: Usage) -> int:
        """What an answer costs, from 0 to `HIGHEST`."""
        pico = 0
        by_token = False
        tokens = self.tokens
        if tokens is not None and (usage.input > 0 or usage.output > 0):
            by_token = True
            for above, rates in self.longer:
                if usage.input > above:
                    tokens = rates
                    break
            pico = tokens.of(usage)
        if not by_token and (usage.seconds or usage.characters or usage.images):
            pico += self._units(usage)
        if usage.calls:
            pico += self._calls(usage)
        return min(-(-pico // 1000), HIGHEST)

    def _units(self, usage: Usage) -> int:
        pico = 0
        if self.hour and usage.seconds > 0:  # not for NaN
            micros = round(min(usage.seconds, _LONGEST) * 1e6)
            pico -= -micros * _by_kind(self.hour, usage.image_kind) // _HOUR_US
        if self.image:
            pico += _positive(usage.images) * _by_kind(self.image, usage.image_kind)
        return pico + _positive(usage.characters) * self.character

    def _calls(self, usage: Usage) -> int:
        pico = 0
        for name, count in usage.calls:
            if count > 0:
                pico += count * self.call.get(name, 0) + self.session.get(name, 0)
        return pico


def cost_of(rates: Rates, usage: Usage) -> Decimal:
    """US dollars."""
    return rates.nanodollars(usage) * NANO


def scaled(rates: Rates, factor: Decimal) -> Rates:
    """The same at another service tier; calls of tools cost the same in all of them."""

    def times(price: int) -> int:
        return math.ceil(price * factor)

    def tokens(of: TokenRates) -> TokenRates:
        return TokenRates(**{kind: times(getattr(of, kind)) for kind in _TOKEN_KINDS})

    return Rates(
        tokens=None if rates.tokens is None else tokens(rates.tokens),
        longer=tuple((above, tokens(of)) for above, of in rates.longer),
        hour={kind: times(price) for kind, price in rates.hour.items()},
        character=times(rates.character),
        image={kind: times(price) for kind, price in rates.image.items()},
        call=rates.call,
        session=rates.session,
    )


def dearest(lists: Iterable[Rates]) -> Rates:
    """The highest price of each kind in any of the lists: what usage costs at most."""
    found = tuple(lists)
    by_token = [rates for rates in found if rates.tokens is not None]
    steps = sorted({above for rates in by_token for above, _ in rates.longer}, reverse=True)
    return Rates(
        tokens=_highest(rates.tokens for rates in by_token if rates.tokens is not None) if by_token else None,
        longer=tuple((above, _highest(_tokens_above(rates, above) for rates in by_token)) for above in steps),
        hour=_one(rates.hour for rates in found),
        character=max((rates.character for rates in found), default=0),
        image=_one(rates.image for rates in found),
        call=_union(rates.call for rates in found),
        session=_union(rates.session for rates in found),
    )


def _positive(count: int) -> int:
    return max(0, count)


def _by_kind(prices: Mapping[str, int], kind: str) -> int:
    price = prices.get(kind)
    return max(prices.values()) if price is None else price


def _highest(of: Iterable[TokenRates]) -> TokenRates:
    all_of = tuple(of)
    return TokenRates(**{kind: max(getattr(rates, kind) for rates in all_of) for kind in _TOKEN_KINDS})


def _tokens_above(rates: Rates, input_tokens: int) -> TokenRates:
    assert rates.tokens is not None
    return next((of for above, of in rates.longer if above <= input_tokens), rates.tokens)


def _one(maps: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    highest = max((price for prices in maps for price in prices.values()), default=None)
    return NOTHING if highest is None else {"": highest}


def _union(maps: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    union: dict[str, int] = {}
    for prices in maps:
        for name, price in prices.items():
            union[name] = max(price, union.get(name, 0))
    return union
