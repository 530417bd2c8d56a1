"""The shipped price list: OpenAI's part of `genai-prices`, turned into rates of ours.

The only place that knows the library. Its data are part of the package: nothing is fetched, ever. Importing it takes
0.2 s and one calculation 0.1 ms, so its prices are read off once for a model and tier, and calculated here.

Law: what the library has a price for costs what the library says (tests/ledger/prices/test_library.py holds both
against each other); where it contradicts itself, the dearer reading counts.
"""

import importlib.metadata
import math
import re

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.rates import PICO, Rates, TokenRates


__all__ = ["TIERS", "Library", "Listed", "pico"]

PACKAGE: Final = "genai-prices"
PROVIDER: Final = "openai"
TIERS: Final[Mapping[str, Mapping[str, str]]] = {
    # Ours, as answers say it, and the library's context for it.
    "default": {"service_tier": "default"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
    "batch": {"processing": "batch"},
}
_MILLION: Final = 1_000_000
_THOUSAND: Final = 1_000
_LOOK_AGAIN_S: Final = 60.0
_DAY = re.compile(r"\b20\d\d-[01]\d-[0-3]\d\b")


@dataclass(frozen=True, slots=True)
class Listed:
    """A model of the list."""

    name: str
    """The list's own name for it; several names of the API can be one model."""
    date: str
    """The day its prices were last compared with OpenAI's page, as far as the list says; empty otherwise."""
    _model: Any

    def has_tier(self, tier: str) -> bool:
        """Whether it has prices of its own for a service tier."""
        context = TIERS[tier]
        return any(variant.when.items() <= context.items() for variant in self._model.price_variants or ())

    def rates(self, tier: str, when: float) -> Rates:
        """Its prices at a Unix time; those of the default tier where the list has none for this one."""
        prices = self._model.get_prices(datetime.fromtimestamp(when, tz=UTC), TIERS[tier])
        return _rates({key: value for key, value in vars(prices).items() if value is not None})


class Library:
    """The list, loaded."""

    def __init__(self) -> None:
        """Import it; takes 0.2 s, in any thread.

        Raises:
            ImportError: the package is missing or is not one that we know.
        """
        from genai_prices.data import providers

        found = next((provider for provider in providers if provider.id == PROVIDER), None)
        if found is None:
            raise ImportError("genai-prices has no prices of OpenAI")
        self._provider = found
        self.source = f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
        self._listed = {model.id: Listed(model.id, _day_of(model), model) for model in found.models}
        self.date = max((listed.date for listed in self._listed.values()), default="")
        """The youngest of its days."""

    def find(self, name: str) -> Listed | None:
        """The model that a name of the API means, or that the list itself calls so."""
        model = self._provider.find_model(name)
        return self._listed.get(name) if model is None else self._listed[model.id]

    def all(self) -> list[Listed]:
        """All of them, by name."""
        return [self._listed[name] for name in sorted(self._listed)]

    def next_change(self, when: float) -> float:
        """The Unix time after `when` at which a listed price begins or may begin; infinity when none will."""
        starts = [_start(constraint, when) for model in self._provider.models for constraint in _constraints(model)]
        return min((start for start in starts if start > when), default=math.inf)


def pico(usd: Decimal, per: int = 1) -> int:
    """Picodollars for one of what costs so many dollars per so many; what cannot be held exactly is rounded up."""
    return math.ceil(usd * PICO / per)


def _day_of(model: Any) -> str:
    """The last day named in the notes on a model, which say when its prices were verified; not one to come."""
    today = datetime.now(tz=UTC).date().isoformat()
    days = [day for day in _DAY.findall(model.price_comments or "") if day <= today]
    return max(days, default="")


def _constraints(model: Any) -> list[Any]:
    conditional = model.prices if isinstance(model.prices, list) else []
    parts = [*conditional, *(model.price_variants or ())]
    return [part.constraint for part in parts if part.constraint is not None]


def _start(constraint: Any, when: float) -> float:
    day = getattr(constraint, "start_date", None)
    if day is None:  # hours of the day, which OpenAI has not: look again soon
        return when + _LOOK_AGAIN_S
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _rates(prices: Mapping[str, Any]) -> Rates:
    starts = sorted({tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}, reverse=True)
    hour = prices.get("input_audio_hours", prices.get("audio_hours"))
    characters = prices.get("input_mchars")
    calls = {
        "web_search": prices.get("web_searches_kcount"),
        "file_search": prices.get("storage_searches_kcount"),
    }
    return Rates(
        tokens=_token_rates(lambda key: _at(prices.get(key), 0)),
        longer=tuple(
            (start, rates)
            for start in starts
            if (rates := _token_rates(lambda key, start=start: _at(prices.get(key), start + 1))) is not None  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        ),
        hour={"": pico(_at(hour, 0) or Decimal(0))} if hour is not None else {},
        character=pico(_at(characters, 0) or Decimal(0), _MILLION),
        call={
            name: pico(usd, _THOUSAND) for name, price in calls.items() if (usd := _at(price, 0)) is not None
        },
    )  # fmt: skip


def _at(price: Any, input_tokens: int) -> Decimal | None:
    """A price as it is for so many input tokens."""
    if price is None or isinstance(price, Decimal):
        return price
    above = [tier.price for tier in price.tiers if input_tokens > tier.start]
    chosen: Decimal = above[-1] if above else price.base  # the library keeps them in ascending order
    return chosen


def _token_rates(price: Callable[[str], Decimal | None]) -> TokenRates | None:
    """Every kind of token at its price; one that has none costs what its whole costs."""
    own: dict[str, int | None] = {
        kind: None if (usd := price(key)) is None else pico(usd, _MILLION) for kind, key in _TOKEN_KEYS.items()
    }
    if all(value is None for value in own.values()):
        return None

    def first(*kinds: str) -> int:
        return next((value for kind in kinds if (value := own[kind]) is not None), 0)

    return TokenRates(
        input=first("input"),
        cached=first("cached", "input"),
        cache_write=first("cache_write", "input"),
        input_audio=first("input_audio", "input"),
        cached_audio=first("cached_audio", "input_audio", "cached", "input"),
        input_image=first("input_image", "input"),
        cached_image=first("cached_image", "input_image", "cached", "input"),
        output=first("output"),
        output_audio=first("output_audio", "output"),
        output_image=first("output_image", "output"),
    )


_TOKEN_KEYS: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "input_audio": "input_audio_mtok",
    "cached_audio": "cache_audio_read_mtok",
    "input_image": "input_image_mtok",
    "cached_image": "cache_image_read_mtok",
    "output": "output_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
}
