"""What usage costs: the port between who counts and who knows prices.

Money is Decimal, in US dollars, exact to a billionth (`NANO`). Binary floats are for shares and charts only.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from codex_manager.core.usage import Usage


__all__ = ["NANO", "ZERO", "Cost", "Pricing"]

NANO: Final = Decimal("0.000000001")
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
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
