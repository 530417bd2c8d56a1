"""The prices in force, loaded in the background: reading the shipped list takes 0.2 s, which no start should wait for.

Knows when prices are there, not what they are. Law: total. Until they are there, and if they cannot be read, everything
costs the dearest there is, flagged as not known; who can wait a moment asks `ready` first.
"""

import asyncio
import concurrent.futures
import logging
import threading

from collections.abc import Callable, Mapping
from typing import Final

from codex_manager.core.errors import type_and_place
from codex_manager.core.pricing import Cost, PriceOverride
from codex_manager.core.usage import Usage
from codex_manager.ledger.prices import DEAREST, Prices


__all__ = ["LatePrices"]

log = logging.getLogger(__name__)

PATIENCE_S: Final = 2.0
"""For a request that comes in the first moments: it would be held to limits, and booked for ever, at the dearest price."""


class LatePrices:
    """Implements `Pricing`. Mutable state: the prices, and the user's own."""

    cost: Callable[[str | None, Usage], Cost]
    """Whose method this is changes once: no look at what is there, at each question."""

    def __init__(self, overrides: Mapping[str, PriceOverride]) -> None:
        self.cost = DEAREST.cost
        self._overrides = overrides
        self._prices: Prices | None = None
        self._loading: concurrent.futures.Future[None] | None = None

    def load(self) -> None:
        """Begin to read the list. Once is enough."""
        if self._loading is None:
            self._loading = concurrent.futures.Future()
            threading.Thread(target=self._load, args=(self._loading,), name="prices", daemon=True).start()

    def follow(self, overrides: Mapping[str, PriceOverride]) -> None:
        """Take over changed prices of the user's own; what was booked stays."""
        if overrides == self._overrides:
            return
        self._overrides = overrides
        if self._prices is not None:
            self._take(self._prices.replaced(overrides))

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing to wait for."""
        return self._loading is None or self._loading.done()

    async def ready(self) -> None:
        """Wait until the prices are there, `PATIENCE_S` at most."""
        if self._loading is not None:
            await asyncio.wait({asyncio.wrap_future(self._loading)}, timeout=PATIENCE_S)

    def _load(self, done: concurrent.futures.Future[None]) -> None:
        try:
            overrides = self._overrides
            self._take(Prices.load(overrides))
            if self._overrides != overrides and self._prices is not None:  # changed meanwhile
                self._take(self._prices.replaced(self._overrides))
        except Exception as error:  # noqa: BLE001 - total
            log.error(  # noqa: TRY400 - a sentence, not a traceback
                "the list of prices cannot be read, so that everything counts at the dearest price there is: %s",
                type_and_place(error),
            )
        finally:
            done.set_result(None)

    def _take(self, prices: Prices) -> None:
        self._prices = prices
        self.cost = prices.cost
