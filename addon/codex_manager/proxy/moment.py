"""What the engine and the ledger are doing at one moment, in plain values for `/metrics`.

Read on the event loop, where the state is at rest between two steps; written down elsewhere (exposition).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from codex_manager.core.breaker import Position
from codex_manager.engine.engine import Engine
from codex_manager.engine.report import Doing
from codex_manager.ledger import Health


__all__ = ["BREAKER_STATES", "INCIDENTS", "STATES", "AccountMoment", "Moment", "moment_of"]

STATES: Final[tuple[str, ...]] = get_args(Doing.__value__)
BREAKER_STATES: Final = tuple(str(position) for position in Position)
INCIDENTS: Final = ("OpenAI", "network")


@dataclass(frozen=True, slots=True)
class AccountMoment:
    """One account; see AccountReport."""

    label: str
    state: str
    available: bool
    in_flight: int
    retry_s: float | None
    breaker: str
    used: float | None
    """Share of its tightest spending limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """All of it. Seconds."""

    started_at: float
    """Unix time."""
    accounts: tuple[AccountMoment, ...] = ()
    cooldowns: Mapping[tuple[str, ...], float]
    """By account and model."""
    clients: Mapping[str, float]
    """Share of the tightest spending limit, by name of the local key."""
    in_flight: int = 0
    waiting: int = 0
    locked: bool = False
    incident: str | None = None
    dropped: float | None = None
    """Records that were lost; None without a ledger."""
    queued: float | None = None


def moment_of(
    engine: Engine, *, started_at: float, model: Callable[[str | None], str], health: Health | None
) -> Moment:
    """Look at everything once. `model` gives a model's label; `health` is the ledger's."""
    report = engine.report()
    wall = engine.clock.time()
    spending = engine.state.spending
    accounts, cooldowns = [], dict[tuple[str, ...], float]()
    for account in report.accounts:
        standing = engine.state.accounts[account.id]
        retry_s = None if account.retry_at is None else max(0.0, account.retry_at - wall)
        accounts.append(
            AccountMoment(
                account.label,
                account.state,
                account.available,
                account.in_flight,
                retry_s,
                str(standing.breaker.position),
                spending.share(("account", account.id)),
            )
        )
        for scope in account.scopes:
            if scope.retry_at is not None:
                key = account.label, model(scope.model)
                cooldowns[key] = max(cooldowns.get(key, 0.0), scope.retry_at - wall)
    shares = {name: spending.share(("client", name)) for name in engine.settings.clients}
    return Moment(
        started_at=started_at,
        accounts=tuple(accounts),
        cooldowns=cooldowns,
        clients={name: share for name, share in shares.items() if share is not None},
        in_flight=report.in_flight,
        waiting=report.waiting,
        locked=report.locked,
        incident=report.incident,
        dropped=None if health is None else health.dropped,
        queued=None if health is None else health.waiting,
    )
