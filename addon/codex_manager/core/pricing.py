"""What usage costs: the port between who counts and who knows prices.

Money is Decimal, in US dollars, exact to a billionth (`NANO`). Binary floats are for shares and charts only. How a price
list becomes an amount is in core.rates, where the lists come from in ledger.prices.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from codex_manager.core.usage import Usage
from codex_manager.core.value import value


__all__ = ["NANO", "ZERO", "Cost", "PriceOverride", "Pricing"]

NANO: Final = Decimal("0.000000001")
ZERO: Final = Decimal(0)


@value(frozen=True, slots=True)
class Cost:
    """US dollars for one answer."""

    usd: Decimal
    known: bool = True
    """False: the model has no price, so the dearest of its family was taken."""


class Pricing(Protocol):
    """Who knows prices. Total and quick (microseconds after the first question about a model): safe on the hot path."""

    def cost(self, model: str | None, usage: Usage) -> Cost:
        """What an answer costs; `usage.model` and `usage.tier` count before `model`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverride:
    """Prices of the user's own for one model, in US dollars, 0 or more. What is None stays as it is listed."""

    input: Decimal | None = None
    """Per million tokens, as everything whose name does not say otherwise."""
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    output: Decimal | None = None
    audio_input: Decimal | None = None
    cached_audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    image_input: Decimal | None = None
    cached_image_input: Decimal | None = None
    image_output: Decimal | None = None
    minute: Decimal | None = None
    """Per minute of audio or video, for models billed by time."""
    characters: Decimal | None = None
    """Per million characters to be spoken."""
    image: Decimal | None = None
    """Per image, for models billed by the image."""
    web_search: Decimal | None = None
    """Per thousand calls of the tool."""
    file_search: Decimal | None = None
    """Per thousand calls of the tool."""
