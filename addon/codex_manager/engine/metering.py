"""Who counts for an engine: what a request may cost, whether its client may have it, and the tab it is put on.

Knows the prices, the limits and the book; what happens to one request is engine.tab, what its bytes say is engine.tap.
Law: everything here is worked out at once, from what is in memory.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from codex_manager.core import models
from codex_manager.core.account import Account
from codex_manager.core.endpoint import name_of
from codex_manager.core.habits import OutputHabits
from codex_manager.core.metering import NO_UNITS
from codex_manager.core.openai_error import ErrorAnswer
from codex_manager.core.pricing import ZERO, Cost, Pricing
from codex_manager.core.spend import Spending
from codex_manager.core.usage import Usage
from codex_manager.engine import explain
from codex_manager.engine.asking import Asked
from codex_manager.engine.book import Book
from codex_manager.engine.clock import Clock
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.settings import EngineSettings
from codex_manager.engine.tab import NO_TAB, Tab


if TYPE_CHECKING:
    from codex_manager.core.state import State

__all__ = ["Metering"]

type Key = tuple[str, str]

MOST_NEEDS: Final = 4096


class Metering:
    """Mutable state: the settings now in force, and what models mostly say."""

    def __init__(self, book: Book, pricing: Pricing | None, state: "State", clock: Clock) -> None:
        self.book = book
        self.state = state
        self.clock = clock
        self.habits = OutputHabits()
        self.running: dict[Tab, None] = {}
        """The tabs that are open, the oldest first."""
        self.unaided: set[str] = set()
        """Origins that refused to be asked for a stream's usage."""
        self._pricing = pricing
        self._settings = EngineSettings()
        self._limited: set[Key] = set()
        self._needs: dict[tuple[str | None, int, int], Decimal] = {}
        """What was worked out before."""

    @property
    def is_on(self) -> bool:
        """Whether anything is counted."""
        return self._pricing is not None and self._settings.metering

    @property
    def spending(self) -> Spending:
        return self.state.spending

    def follow(self, settings: EngineSettings, accounts: Iterable[Account]) -> None:
        """Take over settings and limits; without metering no limit is held."""
        self._settings = settings
        self._needs.clear()
        spending = self.spending
        spending.zone, spending.warn_at = settings.zone, settings.warn_at
        self.tick()
        limits: dict[Key, tuple[float | None, float | None]] = {}
        if self.is_on:
            for account in accounts:
                limits["account", account.id] = account.daily_limit_usd, account.monthly_limit_usd
            for name, client in settings.clients.items():
                limits["client", name] = client.daily_limit_usd, client.monthly_limit_usd
        for key in self._limited - limits.keys():
            spending.set_limits(key, None, None)
        for key, (daily, monthly) in limits.items():
            spending.set_limits(key, _decimal(daily), _decimal(monthly))
        self._limited = set(limits)
        if not self.is_on:
            spending.clear()

    def tick(self) -> None:
        """Let a window turn whose time has come; called before each decision."""
        if self.is_on:
            self.spending.at(self.clock.time(), self.clock.monotonic())

    # --- one request ---

    def open(self, request: Request, asked: Asked, *, session: str | None = None, number: int = 0) -> Tab:
        """The tab of a request; with a number that of an answer on a WebSocket."""
        return Tab(self, request, asked, session, number) if self.is_on else NO_TAB

    def noted(self, request: Request, answer: Answer) -> Answer:
        """The answer to a request of which nothing is counted but that it came."""
        asked = Asked(endpoint=name_of(request.target.partition("?")[0]))
        self.open(request, asked).answered(answer)
        return answer

    def refusal(self, client: str, model: str | None, need: Decimal, *, free: bool = False) -> ErrorAnswer | None:
        """Why a client may not have this; None when it may. `free`: it certainly costs nothing."""
        limits = self._settings.clients.get(client)
        if limits is None:
            return None
        if not models.allows(limits.models, model):
            return explain.client_model(client, model, limits.models)
        shortage = None if free else self.spending.room(("client", client), need)
        return None if shortage is None else explain.client_spent(client, shortage)

    # --- money ---

    def expected(self, asked: Asked) -> Usage:
        """What a request will probably have used in the end."""
        if not asked.talks:
            return asked.goes_in
        return asked.comes_to(self.habits.expected(asked.model) if asked.most is None else asked.most)

    def need(self, asked: Asked) -> Decimal:
        """US dollars a request may cost; its input rounded up by up to a sixteenth, so that few have to be worked out."""
        if not asked.is_billed:
            return ZERO
        if asked.units is not NO_UNITS:
            return self.cost(asked.model, self.expected(asked)).usd
        output = 0 if not asked.talks else self.habits.expected(asked.model) if asked.most is None else asked.most
        step = max(asked.tokens.bit_length() - 5, 0)
        size = -(-asked.tokens >> step) << step
        key = asked.model, size, output
        need = self._needs.get(key)
        if need is None:
            cost = self.cost(asked.model, replace(asked, tokens=size).comes_to(output))
            need = cost.usd
            if cost.known:  # else the prices may only not be loaded yet
                if len(self._needs) >= MOST_NEEDS:
                    self._needs.clear()
                self._needs[key] = need
        return need

    def cost(self, model: str | None, usage: Usage) -> Cost:
        """US dollars this is."""
        assert self._pricing is not None
        return self._pricing.cost(model, usage)

    def saved(self, model: str | None, usage: Usage, paid: Decimal) -> Decimal:
        """US dollars the prompt cache spared: what the same would have cost with nothing read from it, less what was paid."""
        if usage.input_audio or usage.input_image or usage.calls:
            fresh = replace(usage, cached=0, cached_audio=0, cached_image=0)
        else:  # `replace` takes ten times as long
            fresh = Usage(
                input=usage.input,
                cache_write=usage.cache_write,
                output=usage.output,
                output_audio=usage.output_audio,
                output_image=usage.output_image,
                tier=usage.tier,
                model=usage.model,
            )
        return self.cost(model, fresh).usd - paid


def _decimal(limit: float | None) -> Decimal | None:
    return None if limit is None else Decimal(str(limit))
