"""The user's own prices over what is listed."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from codex_manager.core.pricing import PriceOverride
from codex_manager.core.rates import Rates, TokenRates
from codex_manager.ledger.prices.library import pico


__all__ = ["complete", "overridden"]

_PER_MILLION: Final[Mapping[str, str]] = {
    # kind of token: field of the override
    "input": "input",
    "cached": "cached_input",
    "cache_write": "cache_write",
    "input_audio": "audio_input",
    "cached_audio": "cached_audio_input",
    "input_image": "image_input",
    "cached_image": "cached_image_input",
    "output": "output",
    "output_audio": "audio_output",
    "output_image": "image_output",
}
_INPUT_KINDS: Final = ("input", "cached", "cache_write", "input_audio", "cached_audio", "input_image", "cached_image")
_OUTPUT_KINDS: Final = ("output", "output_audio", "output_image")


def complete(override: PriceOverride) -> bool:
    """Whether it says enough of a model that is not listed: input and output, or a unit that it is billed by."""
    if override.input is not None and override.output is not None:
        return True
    return any(price is not None for price in (override.minute, override.characters, override.image))


def overridden(rates: Rates, override: PriceOverride, factor: Decimal, *, listed: bool) -> Rates:
    """Rates with the user's prices in place of the listed ones.

    `factor` is what another service tier than the default one costs of it. For a model that is not listed, kinds of
    tokens that the override does not name cost what its input and its output cost.
    """
    own: dict[str, int] = {}
    if not listed:
        for usd, kinds in ((override.input, _INPUT_KINDS), (override.output, _OUTPUT_KINDS)):
            if usd is not None:
                own |= dict.fromkeys(kinds, pico(usd * factor, 1_000_000))
    for kind, name in _PER_MILLION.items():
        usd = getattr(override, name)
        if usd is not None:
            own[kind] = pico(usd * factor, 1_000_000)
    call = dict(rates.call)
    if override.web_search is not None:
        call |= dict.fromkeys(("web_search", "web_search_preview"), pico(override.web_search, 1000))
    if override.file_search is not None:
        call["file_search"] = pico(override.file_search, 1000)
    if not listed and complete(override):  # says all there is to be known, so that the family says nothing more
        rates = Rates(session=rates.session)
    return Rates(
        tokens=replace(rates.tokens or TokenRates(), **own) if own else rates.tokens,
        longer=tuple((above, replace(tokens, **own)) for above, tokens in rates.longer),
        hour=rates.hour if override.minute is None else {"": pico(override.minute * factor) * 60},
        character=rates.character if override.characters is None else pico(override.characters * factor, 1_000_000),
        image=rates.image if override.image is None else {"": pico(override.image * factor)},
        call=call,
        session=rates.session,
    )
