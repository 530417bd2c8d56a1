"""The state a decision would be made over now, as far as it is known outside of the proxy: the one place where it comes from.

Accounts and `switch` are from the vault, settings from the configuration, and what was learned from the ledger, where a running
proxy writes it within a second: rests and blocks, what was spent, whose accounts are whose, where conversations are at home.
What a running proxy tells about this moment is laid over it (`overlaid`): requests in flight, and room left.

Law: reads only. Times of the state are this process's monotonic clock; `wall − now` carries them over.
"""

import datetime as dt

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from codex_manager.config.address import parse_address
from codex_manager.core import persist
from codex_manager.core.account import Account
from codex_manager.core.hints import Headroom
from codex_manager.core.place import place_of
from codex_manager.core.routing import Candidate, Policy
from codex_manager.core.state import State


if TYPE_CHECKING:
    from codex_manager.config.schema import Config
    from codex_manager.ledger import Reader
    from codex_manager.vault.store import ClientKey

__all__ = ["Kept", "accounts_of", "candidates_of", "overlaid", "policy_of", "state_now", "with_limits"]

WHOLE: Final = 1_000_000
"""A limit that stands for one of which only the share used is known."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the vault has for decisions."""

    accounts: Sequence[Account]
    keys: "Sequence[ClientKey]" = ()
    pinned: str | None = None


def policy_of(config: "Config", pinned: str | None, strategy: str | None = None) -> Policy:
    """The settings of decisions; another strategy in place of the configured one if given."""
    routing = config.routing
    policy = Policy(
        strategy=routing.strategy,
        pinned=pinned,
        min_interval_s=routing.min_request_interval_ms / 1000,
        pace=routing.pace,
    )
    return policy if strategy is None else replace(policy, strategy=strategy, pinned=None)  # type: ignore[arg-type]  # a word of the choice


def candidates_of(config: "Config", accounts: Iterable[Account]) -> tuple[Candidate, ...]:
    """The accounts with where they are reached, as the proxy works it out."""
    here = parse_address(config.proxy.bind_addr)
    own = frozenset({(here.host, here.port)}) if here.port else frozenset[tuple[str, int]]()
    places = ((account, place_of(account, config.proxy.openai_base_url, own)) for account in accounts)
    return tuple(Candidate(account, place.origin, place.unusable) for account, place in places)


def accounts_of(state: State, accounts: Iterable[Account], reader: "Reader | None") -> State:
    """The accounts, and whose they are as answers of OpenAI told it since they were edited."""
    domains = reader.domains() if reader is not None else {}
    for account in accounts:
        standing = state.add(account)
        known = domains.get(account.id)
        if (
            known is not None
            and known.organization
            and _edited(account) < known.learned
            and "account:" in standing.domain
        ):
            state.learn_domain(standing, known.organization, known.project)
    return state


def with_limits(state: State, config: "Config", kept: Kept, wall: float, now: float) -> None:
    """The spending limits of accounts and clients; nothing is spent yet."""
    import zoneinfo

    spending = state.spending
    zone = config.metering.timezone
    spending.zone = dt.UTC if zone == "UTC" else zoneinfo.ZoneInfo(zone)
    spending.at(wall, now)
    if not config.metering.enabled:
        return
    for account in kept.accounts:
        limits = account.daily_limit_usd, account.monthly_limit_usd
        spending.set_limits(("account", account.id), *map(_decimal, limits))
    for key in kept.keys:
        spending.set_limits(("client", key.name), *map(_decimal, (key.daily_limit_usd, key.monthly_limit_usd)))


def state_now(config: "Config", kept: Kept, reader: "Reader | None", wall: float, now: float) -> State:
    """What decisions look at. `wall` is Unix time, `now` the same moment on the monotonic clock."""
    state = accounts_of(State(), kept.accounts, reader)
    with_limits(state, config, kept, wall, now)
    if reader is None:
        return state
    totals = reader.totals(wall)
    state.spending.load(totals.spent, totals.through, day_start=totals.day_start, month_start=totals.month_start)
    if config.metering.enabled:
        for snapshot in reader.snapshots().values():
            domain = state.accounts[snapshot.account_id].domain if snapshot.account_id in state.accounts else None
            beside = [name for name, other in state.accounts.items() if other.domain == domain]
            state.spending.learn(snapshot, [name for name in beside if name != snapshot.account_id])
    persist.restore(state, reader.marks(), {account.id: account.updated_at for account in kept.accounts}, now, wall)
    ahead = now - wall
    state.bindings.load(
        (
            (
                session,
                replace(
                    binding,
                    bound=binding.bound + ahead,
                    seen=binding.seen + ahead,
                    away=binding.away + ahead if binding.away else 0.0,
                ),
            )
            for session, binding in reversed(reader.bindings())
        ),
        now,
    )
    return state


def overlaid(state: State, status: Mapping[str, Any], wall: float, now: float) -> None:
    """What a running proxy tells of this moment: requests in flight, room left, and rests too short to be kept."""
    for told in status.get("accounts", ()):
        standing = state.accounts.get(told.get("id", ""))
        if standing is None:
            continue
        standing.in_flight = int(told.get("in_flight") or 0)
        for each in told.get("models", ()):
            scope = state.scope(standing.domain, each.get("model"))
            if (used := each.get("used")) is not None:
                left = max(0, round((1.0 - float(used)) * WHOLE))
                scope.capacity.learn(
                    Headroom(limit_requests=WHOLE, remaining_requests=left, reset_requests_s=60.0), now
                )
            until = _unix(each.get("retry_at"))
            if until is not None and until > wall:
                scope.cooling.restore(now + until - wall, 0)


def _unix(moment: str | None) -> float | None:
    with suppress(TypeError, ValueError):
        return dt.datetime.fromisoformat(moment or "").timestamp()
    return None


def _edited(account: Account) -> float:
    return _unix(account.updated_at) or 0.0


def _decimal(limit: float | None) -> Decimal | None:
    return None if limit is None else Decimal(str(limit))
