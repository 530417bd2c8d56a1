"""The prices in force: the user's own, then the shipped list, then ours, then the dearest of the family.

Law: total. Every name has a price, however odd; the same question has the same answer until a price changes. Answers are
kept, because a question that was asked before must cost next to nothing; they are forgotten when a price of the list
begins that it has for a later day.
"""

import time

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Self

from codex_manager.core.pricing import NANO, Cost, PriceOverride, Pricing
from codex_manager.core.rates import Rates, TokenRates, cost_of, dearest, scaled
from codex_manager.core.usage import Usage
from codex_manager.ledger.prices.library import TIERS, Library, Listed
from codex_manager.ledger.prices.names import base_of_fine_tuned, in_family, normal, stems, undated
from codex_manager.ledger.prices.override import complete, overridden
from codex_manager.ledger.prices.own import FINE_TUNED_FACTOR, OWN, TIER_FACTORS, completed, tier_factor


__all__ = ["DEAREST", "YOURS", "Prices", "Quote"]

YOURS: Final = "config.yaml"
"""The source of the user's own prices."""
EVERY_MODEL: Final = "every model"
_MOST_KEPT: Final = 4096
"""Answers; names of models come from clients and may be anything."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a model costs, and how that is known."""

    name: str
    rates: Rates
    known: bool
    source: str
    """Where the price is from; of several sources, the one that counts most."""
    date: str = ""
    """The day on which the source had it, as `2026-10-14`; empty when it does not say."""
    family: str = ""
    """For a model without a price: whose dearest prices are taken; `every model` when it resembles none."""
    overridden: bool = False


@dataclass
class Prices:
    """`Pricing` over the shipped list. Safe to ask from several threads."""

    library: Library
    overrides: Mapping[str, PriceOverride] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._own_prices = {normal(name): override for name, override in self.overrides.items()}
        self._answers: dict[tuple[str, str | None, str], Quote] = {}
        self._lists: dict[str, dict[str, Rates]] = {}
        self._families: dict[tuple[str, str], Rates] = {}
        self._until = self.library.next_change(self.clock())

    @classmethod
    def load(
        cls, overrides: Mapping[str, PriceOverride] | None = None, *, clock: Callable[[], float] = time.time
    ) -> Self:
        """Load the shipped list; takes 0.2 s and may run in a thread.

        Raises:
            ImportError: the list is missing.
        """
        prices = cls(Library(), overrides or {}, clock)
        prices._list("default")  # milliseconds that the first unknown name would take otherwise
        return prices

    def replaced(self, overrides: Mapping[str, PriceOverride]) -> "Prices":
        """The same list with other prices of the user's own; takes no time."""
        prices = Prices(self.library, overrides, self.clock)
        prices._lists, prices._families = self._lists, self._families  # do not depend on the user's own
        return prices

    def cost(self, model: str | None, usage: Usage) -> Cost:
        """What an answer costs; `usage.model` and `usage.tier` count before `model`."""
        if self.clock() >= self._until:
            self._forget()
        key = (usage.model, model, usage.tier)
        quote = self._answers.get(key)
        if quote is None:
            quote = self._answer(*key)
            if len(self._answers) >= _MOST_KEPT:
                self._answers = {}
            self._answers[key] = quote
        return Cost(quote.rates.nanodollars(usage) * NANO, quote.known)

    def quote(self, model: str, tier: str = "") -> Quote:
        """What a model costs at a service tier."""
        return self._answer(model, None, tier)

    def tiers(self, model: str) -> tuple[str, ...]:
        """The service tiers, the default one first, that the list has prices of its own for."""
        listed = self.library.find(normal(model)) or self.library.find(undated(normal(model)))
        more = () if listed is None else tuple(tier for tier in TIERS if tier != "default" and listed.has_tier(tier))
        return ("default", *more)

    def names(self) -> list[str]:
        """All models that have a price."""
        return sorted({*(listed.name for listed in self.library.all()), *OWN, *self._own_prices})

    def _forget(self) -> None:
        self._answers, self._lists, self._families = {}, {}, {}
        self._until = self.library.next_change(self.clock())

    def _answer(self, served: str, asked: str | None, tier: str) -> Quote:
        tier = tier.lower() if tier.lower() in TIERS else "default"
        names = [normal(name) for name in (served, asked) if name]
        quote = self._listed_or_dearest(names, tier)
        override = next((own for name in names if (own := self._own_price(name)) is not None), None)
        if override is None:
            return quote
        factor = TIER_FACTORS.get(tier, Decimal(1))
        rates = overridden(quote.rates, override, factor, listed=quote.known)
        known = quote.known or complete(override)
        return replace(
            quote,
            rates=rates,
            known=known,
            source=YOURS,
            date="",
            overridden=True,
            family="" if known else quote.family,
        )

    def _listed_or_dearest(self, names: list[str], tier: str) -> Quote:
        if not names:
            return self._unpriced("", tier)
        served = self._priced(names[0], tier)
        if served is not None:
            return served
        guess = self._unpriced(names[0], tier)
        if guess.family == EVERY_MODEL and (asked := self._priced(names[-1], tier)) is not None:
            # Answers under a name that says nothing: what was asked for says more.
            return replace(asked, name=names[0], known=False, family=asked.name)
        return guess

    def _own_price(self, name: str) -> PriceOverride | None:
        """The user's price for a model; that for `gpt-4o` counts for its snapshots, too."""
        base = base_of_fine_tuned(name)
        for known_as in (name, undated(name), *((f"ft:{base}", f"ft:{undated(base)}") if base else ())):
            if (override := self._own_prices.get(known_as)) is not None:
                return override
        return None

    def _priced(self, name: str, tier: str) -> Quote | None:
        """A model that is listed, in the library or here; a snapshot that is not listed costs what its model does."""
        listed = self.library.find(name) or self.library.find(undated(name))
        own_name = _own_name(name)
        own = OWN.get(own_name)
        if listed is not None:
            rates = self._list(tier)[listed.name]
            if own is not None and own_name != listed.name:
                rates = completed(rates, own.rates)
            return Quote(name, rates, known=True, source=self.library.source, date=listed.date)
        if own is not None:
            return Quote(name, self._list(tier)[own_name], known=True, source=own.source, date=own.date)
        return None

    def _list(self, tier: str) -> dict[str, Rates]:
        """The rates of all models that are listed, by the list's name."""
        rates = self._lists.get(tier)
        if rates is None:
            now = self.clock()
            own = {
                name: completed(scaled(own.rates, TIER_FACTORS.get(tier, Decimal(1))), None)
                for name, own in OWN.items()
            }
            rates = self._lists[tier] = own | {
                listed.name: completed(
                    _at_tier(listed, tier, now), OWN[listed.name].rates if listed.name in OWN else None
                )
                for listed in self.library.all()
            }
        return rates

    def _unpriced(self, name: str, tier: str) -> Quote:
        base = base_of_fine_tuned(name)
        if base:
            of_base = self._priced(base, tier) or self._unpriced(base, tier)
            rates = scaled(of_base.rates, FINE_TUNED_FACTOR)
            return Quote(name, rates, known=False, source=of_base.source, date=of_base.date, family=of_base.name)
        listed = self._list(tier)
        family = next((stem for stem in stems(name) if any(in_family(one, stem) for one in listed)), "")
        highest = self._families.get((family, tier))
        if highest is None:
            highest = dearest(rates for one, rates in listed.items() if not family or in_family(one, family))
            self._families[family, tier] = highest
        return Quote(
            name, highest, known=False, source=self.library.source, date=self.library.date, family=family or EVERY_MODEL
        )


def _at_tier(listed: Listed, tier: str, when: float) -> Rates:
    near, factor = tier_factor(tier, listed.name, frozenset(name for name in TIERS if listed.has_tier(name)))
    rates = listed.rates(near, when)
    return rates if factor == 1 else scaled(rates, factor)


def _own_name(name: str) -> str:
    base = base_of_fine_tuned(name)
    if base:
        return f"ft:{undated(base)}"
    return name if name in OWN else undated(name)


class _Dearest:
    """For the moment before prices are loaded: nothing costs more, and nothing counts as known."""

    _RATES: Final = Rates(
        # o1-pro's tokens, sora-2-pro's seconds, tts-1-hd's characters, the dearest image
        tokens=TokenRates(
            **dict.fromkeys(
                ("input", "cached", "cache_write", "input_audio", "cached_audio", "input_image", "cached_image"),
                150_000_000,
            ),
            **dict.fromkeys(("output", "output_audio", "output_image"), 600_000_000),
        ),
        hour={"": 1800 * 10**12},
        character=30_000_000,
        image={"": 250_000_000_000},
    )

    def cost(self, model: str | None, usage: Usage) -> Cost:  # noqa: ARG002 - the port's signature
        return Cost(cost_of(self._RATES, usage), known=False)


DEAREST: Final[Pricing] = _Dearest()
