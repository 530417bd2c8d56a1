"""What is remembered from one request to the next, behind one small interface and under plain keys.

    accounts       by account id                    domain, breaker, cloud, in flight, last used, turn, bad key
    scopes         by (domain, model)               cooling, room left, cloud; model None is a request without a model
    purses         by organization or domain        rest after BILLING
    origins        by scheme://host:port            rest after EGRESS_LIMIT, cloud after PRE_DISPATCH
    exclusions     by (account id, model or part)   until when MODEL_ACCESS leaves the account out
    spending       by account id or client's name   spent and set aside against limits (core.spend)
    owners         by id of a thing at OpenAI       in which domain it lives (core.owners)
    bindings       by session key                   which account a conversation is at home with (core.bindings)

Law: everything the decision looks at and everything an outcome changes is here and nowhere else, so that several
processes can share it one day. Reading never creates an entry. Every lease that was taken is ended exactly once.

Does not know how an account is chosen (core.decision) nor what a failure does to all this (core.marks).
"""

import math

from collections.abc import Iterable
from dataclasses import dataclass, field

from codex_manager.core.account import Account
from codex_manager.core.bindings import Bindings
from codex_manager.core.breaker import Breaker
from codex_manager.core.capacity import Capacity
from codex_manager.core.cooling import Cooling
from codex_manager.core.incident import Incidents
from codex_manager.core.owners import Owners
from codex_manager.core.spend import Spending
from codex_manager.core.weather import Weather


__all__ = ["Lease", "Origin", "Scope", "Standing", "State"]

MOST_SCOPES = 4096
"""Models a client makes up would otherwise grow the table for ever; an idle entry is a few hundred bytes."""


@dataclass(slots=True)
class Standing:
    """What is known of one account beyond its settings."""

    domain: str
    organization: str
    breaker: Breaker = field(default_factory=Breaker)
    weather: Weather = field(default_factory=Weather)
    in_flight: int = 0
    last_used: float = -math.inf
    turn: float = 0.0
    """Virtual time of its next turn under `round_robin` (start-time fair queueing)."""
    auth_failed: str | None = None
    """Why the key is known to be bad; None while it is not."""
    recheck_at: float = math.inf
    """When a free request asks whether the key works again."""


@dataclass(slots=True)
class Scope:
    """A (domain, model): what a rate limit belongs to."""

    cooling: Cooling = field(default_factory=Cooling)
    capacity: Capacity = field(default_factory=Capacity)
    weather: Weather = field(default_factory=Weather)

    @property
    def is_idle(self) -> bool:
        return not self.capacity.in_flight and not self.cooling.width


@dataclass(slots=True)
class Origin:
    """One place requests go to, and this machine's way there."""

    cooling: Cooling = field(default_factory=Cooling)
    weather: Weather = field(default_factory=Weather)


@dataclass(slots=True, eq=False)
class Lease:
    """What one attempt holds while it runs. Belongs to the State that gave it; end it with `State.end`."""

    account_id: str
    origin_name: str
    model: str | None
    began: float
    tokens: int
    standing: Standing
    scope: Scope
    origin: Origin
    purses: tuple[Cooling, ...]
    holds: list[tuple[Cooling, int]] = field(default_factory=list)
    breaker_probe: bool = False
    session: str | None = None
    """The conversation whose turn it is; None for none, or when a good answer is none of its turns."""
    is_open: bool = True


class State:
    """The one place; see the module's docstring."""

    def __init__(self) -> None:
        self.accounts: dict[str, Standing] = {}
        self.scopes: dict[tuple[str, str | None], Scope] = {}
        self.purses: dict[str, Cooling] = {}
        self.origins: dict[str, Origin] = {}
        self.exclusions: dict[tuple[str, str], float] = {}
        self.incidents = Incidents()
        self.spending = Spending()
        self.owners = Owners()
        self.bindings = Bindings()
        self.virtual_time = 0.0
        """Turn of the account that was selected last."""

    # --- accounts come, change and go ---

    def add(self, account: Account) -> Standing:
        """Start to remember an account; what is known of its domain by settings is taken over."""
        standing = self.accounts[account.id] = Standing(*_own_domain(account))
        return standing

    def forget(self, account_id: str) -> None:
        """The account was removed, or edited so that what is known of it is about another key. What it spent stays spent."""
        self.accounts.pop(account_id, None)
        self.exclusions = {key: until for key, until in self.exclusions.items() if key[0] != account_id}
        self.scopes = {key: kept for key, kept in self.scopes.items() if not key[0].endswith(f"account:{account_id}")}
        self.purses.pop(f"account:{account_id}", None)

    def retain(self, account_ids: Iterable[str]) -> None:
        """Forget every account that is not among these."""
        kept = set(account_ids)
        for gone in self.accounts.keys() - kept:
            self.forget(gone)
        self.spending.retain(kept)
        self.bindings.retain(kept)

    def learn_domain(self, standing: Standing, organization: str, project: str | None) -> None:
        """An answer said whose account this is. What was noted under the account's own name moves along."""
        domain = f"{organization}/{project or '-'}"
        if standing.domain == domain or (not project and standing.domain.startswith(f"{organization}/")):
            return  # nothing new; an answer that names no project does not take back what another one said
        old_domain, old_organization = standing.domain, standing.organization
        standing.domain, standing.organization = domain, organization
        if "account:" in old_domain:
            for key in [key for key in self.scopes if key[0] == old_domain]:
                self._move_scope(key, (domain, key[1]))
            if old_domain != old_organization:
                self._move_purse(old_domain, domain)
        if old_organization.startswith("account:"):
            self._move_purse(old_organization, organization)
        if all(known.domain != old_domain for known in self.accounts.values()):
            self.owners.move(old_domain, domain)  # nobody is left who could say that they live there

    def _move_scope(self, old: tuple[str, str | None], new: tuple[str, str | None]) -> None:
        moved = self.scopes.pop(old)
        known = self.scopes.setdefault(new, moved)
        if known is not moved and moved.cooling.until > known.cooling.until:
            known.cooling = moved.cooling

    def _move_purse(self, old: str, new: str) -> None:
        """Of two rests that turn out to be one the later counts."""
        moved = self.purses.pop(old, None)
        if moved is not None and moved.until > self.purses.setdefault(new, moved).until:
            self.purses[new] = moved

    # --- one attempt ---

    def begin(
        self,
        account: Account,
        origin_name: str,
        model: str | None,
        tokens: int,
        now: float,
        *,
        session: str | None = None,
        free: bool = False,
    ) -> Lease:
        """Take what an attempt needs, in the same breath as the decision, and bind its conversation.

        `free` takes no turn and no probe.
        """
        standing = self.accounts[account.id]
        scope = self.scope(standing.domain, model)
        origin = self.origins.get(origin_name)
        if origin is None:
            origin = self.origins[origin_name] = Origin()
        purses = tuple(
            purse for name in (standing.organization, standing.domain) if (purse := self.purses.get(name)) is not None
        )
        lease = Lease(account.id, origin_name, model, now, tokens, standing, scope, origin, purses)
        standing.in_flight += 1
        scope.capacity.reserve(tokens)
        if free:
            return lease
        if session is not None:
            lease.session = session
            self.bindings.chosen(session, account.id, standing.organization, now)
        standing.last_used = now
        self.virtual_time = max(standing.turn, self.virtual_time)
        standing.turn = self.virtual_time + 1.0 / max(account.weight, 1e-6)
        lease.breaker_probe = standing.breaker.enter(now)
        for cooling in (scope.cooling, origin.cooling, *purses):
            if cooling.width and cooling.admits(now) and (held := cooling.enter(now)) is not None:
                lease.holds.append((cooling, held))
        standing.weather.enter(now)
        scope.weather.enter(now)
        origin.weather.enter(now)
        return lease

    def end(self, lease: Lease) -> bool:
        """Give everything back; True the first time."""
        if not lease.is_open:
            return False
        lease.is_open = False
        lease.standing.in_flight -= 1
        lease.scope.capacity.release(lease.tokens)
        self.free_holds(lease)
        if lease.breaker_probe:
            lease.standing.breaker.leave()
        return True

    def free_holds(self, lease: Lease) -> None:
        """What rested has had its answer: others may come now, while the body is still on its way."""
        for cooling, held in lease.holds:
            cooling.leave(held)
        lease.holds.clear()

    def purse(self, name: str) -> Cooling:
        """The purse under this name, made when it is needed."""
        return self.purses.setdefault(name, Cooling())

    def exclude(self, account_id: str, access: str, until: float, now: float) -> None:
        """Leave an account out for one model, or for one part of the API."""
        if len(self.exclusions) >= MOST_SCOPES:
            kept = [(key, end) for key, end in self.exclusions.items() if end > now]
            self.exclusions = dict(kept[-MOST_SCOPES // 2 :])  # the newer half
        self.exclusions[account_id, access] = until

    def in_flight(self) -> int:
        """Attempts that are running."""
        return sum(standing.in_flight for standing in self.accounts.values())

    def scope(self, domain: str, model: str | None) -> Scope:
        """The scope, made when it is needed."""
        key = (domain, model)
        scope = self.scopes.get(key)
        if scope is None:
            if len(self.scopes) >= MOST_SCOPES:
                self.scopes = {kept: scope for kept, scope in self.scopes.items() if not scope.is_idle}
            scope = self.scopes[key] = Scope()
        return scope


def _own_domain(account: Account) -> tuple[str, str]:
    """Domain and organization as far as the user set them. An organization alone does not say which project."""
    own = f"account:{account.id}"
    if not account.organization:
        return own, own
    return f"{account.organization}/{account.project or own}", account.organization
