"""The requests of some time, replayed over the accounts as they are now.

Knows the ledger's reader, given, and how a state of that time is put together: whose accounts are whose, their limits, and
what had been spent when it began. What rested then is found in the records themselves (core.hindsight).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from codex_manager.core.account import Account
from codex_manager.core.picture import Replayed
from codex_manager.core.pricing import ZERO
from codex_manager.core.record import Record
from codex_manager.core.replay import Bounds, replay
from codex_manager.core.state import State
from codex_manager.core.window import day_of, month_of
from codex_manager_cli.known_state import Kept, accounts_of, candidates_of, policy_of, with_limits


if TYPE_CHECKING:
    from codex_manager.config.schema import Config
    from codex_manager.ledger import Reader

__all__ = ["Shown", "replayed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A replay with what is needed to tell of it."""

    result: Replayed
    since: float
    until: float
    were: tuple[str, ...]
    """Strategies that decided then."""
    strategy: str
    labels: dict[str, str]
    gone: int
    """Accounts of that time that are not there now."""


def replayed(config: "Config", kept: Kept, reader: "Reader", records: Sequence[Record], strategy: str | None) -> Shown:
    """Replay them under the strategy; without one under that which is configured."""
    from codex_manager.ledger.prices import Prices

    since, until = min(r.time for r in records), max(r.time for r in records)
    state = accounts_of(State(), kept.accounts, reader)
    with_limits(state, config, kept, since, since)
    state.spending.load(_spent(reader, state, since), 0)
    policy = policy_of(config, None, strategy)
    prices = Prices.load(config.prices.overrides())

    def uncached(record: Record) -> Decimal:
        usage = record.usage
        if usage is None:
            return ZERO
        whole = replace(usage, cached=0, cached_audio=0, cached_image=0)
        return max(prices.cost(record.model, whole).usd - prices.cost(record.model, usage).usd, ZERO)

    bounds = Bounds(config.routing.max_attempts, config.routing.max_inline_wait_s)
    result = replay(records, candidates_of(config, kept.accounts), state, policy, bounds=bounds, uncached=uncached)
    there = {account.id for account in kept.accounts}
    return Shown(
        result=result,
        since=since,
        until=until,
        were=tuple(sorted({record.strategy for record in records if record.strategy})),
        strategy=policy.strategy,
        labels={**reader.labels(), **_labels(kept.accounts)},
        gone=len({record.account_id for record in records if record.account_id is not None} - there),
    )


def _labels(accounts: Sequence[Account]) -> dict[str, str]:
    return {account.id: account.label for account in accounts}


def _spent(reader: "Reader", state: State, since: float) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    """What had been spent in the day and the month before a moment; its own hour is left out."""
    zone = state.spending.zone
    day, month = day_of(since, zone).start, month_of(since, zone).start
    hour = since - since % 3600
    found: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for kind, by in (("account", "account"), ("client", "client")):
        of_day = {str(row.key[0]): row.usd for row in reader.usage(by, since=day, until=hour)}  # type: ignore[arg-type]  # a word of the type
        for row in reader.usage(by, since=month, until=hour):  # type: ignore[arg-type]  # as above
            name = str(row.key[0])
            found[kind, name] = of_day.get(name, ZERO), row.usd
    return found
