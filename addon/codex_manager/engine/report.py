"""What the accounts are doing right now, in plain values for `/health`, `status` and the dashboard.

Law: read only; nothing here decides. An account counts as available unless something keeps every request from it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codex_manager.core.breaker import Position
from codex_manager.core.cooling import Phase
from codex_manager.core.pricing import ZERO
from codex_manager.core.routing import Candidate
from codex_manager.engine.blame import NOBODY, Blame, blame


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["AccountReport", "EngineReport", "ModelReport", "ScopeReport", "report"]

type Doing = Literal["ready", "limited", "failing", "billing", "spent", "egress", "auth_failed", "unusable", "disabled"]

REACHABLE = frozenset({"ready", "failing"})


@dataclass(frozen=True, slots=True)
class ScopeReport:
    """One model of one account."""

    model: str | None
    state: Literal["ready", "resting", "half_open"]
    retry_at: float | None
    """Unix time."""
    used: float | None
    """Share used of the tightest known limit."""


@dataclass(frozen=True, slots=True)
class AccountReport:
    """One account."""

    id: str
    label: str
    state: Doing
    reason: str
    retry_at: float | None
    """Unix time at which it is tried again, where that is known."""
    available: bool
    in_flight: int
    domain: str
    scopes: tuple[ScopeReport, ...]


@dataclass(frozen=True, slots=True)
class ModelReport:
    """A model that was overloaded a moment ago; others are asked first where they would do."""

    model: str | None
    until: float
    """Unix time from which on it is tried as before."""
    domains: int
    """How many organizations or projects have met it so."""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """All of them."""

    accounts: tuple[AccountReport, ...]
    available: int
    locked: bool
    waiting: int = 0
    in_flight: int = 0
    incident: str | None = None
    """`OpenAI` or `network` when accounts fail alike, right now."""
    blame: Blame = NOBODY
    """Whose fault it is, over the last minute."""
    models: tuple[ModelReport, ...] = ()
    """Those under a cloud."""


def report(engine: "Engine") -> EngineReport:
    """The accounts as they are now."""
    engine.metering.tick()  # a limit that was reached yesterday is not today's
    now = engine.clock.monotonic()
    accounts = tuple(_account(engine, candidate, now) for candidate in engine.candidates)
    return EngineReport(
        accounts=accounts,
        available=sum(account.available for account in accounts),
        locked=engine.locked,
        waiting=len(engine.waiting),
        in_flight=engine.state.in_flight(),
        incident=engine.state.incidents.current(now),
        blame=blame(engine, accounts, now),
        models=_clouds(engine, now),
    )


def _clouds(engine: "Engine", now: float) -> tuple[ModelReport, ...]:
    wall = engine.clock.time() - now
    found: dict[str | None, list[float]] = {}
    for (_, model), scope in engine.state.scopes.items():
        if scope.weather.until > now:
            found.setdefault(model, []).append(wall + scope.weather.until)
    return tuple(ModelReport(model, max(untils), len(untils)) for model, untils in sorted(found.items(), key=str))


def _account(engine: "Engine", candidate: Candidate, now: float) -> AccountReport:
    state, account = engine.state, candidate.account
    standing = state.accounts[account.id]
    wall = engine.clock.time() - now
    scopes = tuple(
        ScopeReport(
            model,
            scope.cooling.phase(now).value,
            wall + scope.cooling.until if scope.cooling.phase(now) is Phase.RESTING else None,
            scope.capacity.used(now),
        )
        for (domain, model), scope in state.scopes.items()
        if domain == standing.domain
    )
    doing, reason, until = _doing(engine, candidate, now)
    resting = [scope.retry_at for scope in scopes if scope.retry_at is not None]
    available = doing in REACHABLE
    if doing == "ready" and resting:
        doing, reason, until = "limited", "rate limited", min(resting) - wall
        available = len(resting) < len(scopes)
    return AccountReport(
        id=account.id,
        label=account.label,
        state=doing,
        reason=reason,
        retry_at=wall + until if until is not None else None,
        available=available,
        in_flight=standing.in_flight,
        domain=standing.domain,
        scopes=scopes,
    )


def _doing(engine: "Engine", candidate: Candidate, now: float) -> tuple[Doing, str, float | None]:
    state = engine.state
    standing = state.accounts[candidate.account.id]
    if not candidate.account.enabled:
        return "disabled", "disabled", None
    if candidate.unusable is not None:
        return "unusable", candidate.unusable, None
    if standing.auth_failed is not None:
        return "auth_failed", f"its key was refused ({standing.auth_failed})", standing.recheck_at
    for name in (standing.organization, standing.domain):
        purse = state.purses.get(name)
        if purse is not None and purse.phase(now) is Phase.RESTING:
            return "billing", "out of credit", purse.until
    shortage = state.spending.room(("account", candidate.account.id), ZERO)
    if shortage is not None and shortage.is_reached:
        return "spent", shortage.detail, shortage.until
    origin = state.origins.get(candidate.origin)
    if origin is not None and origin.cooling.phase(now) is Phase.RESTING:
        return "egress", "this machine's address is rate limited", origin.cooling.until
    if standing.breaker.position is Position.OPEN and now < standing.breaker.until:
        return "failing", "it kept failing; others are asked first", standing.breaker.until
    return "ready", "", None
