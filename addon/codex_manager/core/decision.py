"""The decision: which account serves a request now, or why none of them can.

`choose` is one synchronous, total, pure function of the request's facts, the accounts, what is remembered, and the time.
It takes nothing and changes nothing; the caller takes the lease in the same breath (core.state). `explain` and
`simulate` print what it returned.

How it decides. First every account is asked what stands against it; the first obstacle counts. What is left is sorted
by the clouds over it (core.weather): a reason to look elsewhere, never a reason to refuse, so an open breaker does not
shut out the last account. Among the least clouded `switch` decides, else where the conversation is at home and the
strategy (core.strategy).

Under a cloud home is out as it is under an obstacle: what is asked there will probably fail, perhaps in the middle of an
answer, where nobody can repeat it, and a detour is one turn's cache. One cloud is forgiven under `sticky`, the lack of
room, when it is only the pessimist's: limits refill continuously, so home is asked as soon as there should be enough.

MODEL_ACCESS exclusions are an obstacle while something else could serve, now or later. When nothing could, one excluded
account is asked once more: its answer is what the client gets, and that is how a model that has become available is
noticed.
"""

from collections.abc import Sequence
from typing import Final

from codex_manager.core import models, strategy
from codex_manager.core.account import Account
from codex_manager.core.breaker import Position
from codex_manager.core.cooling import Cooling
from codex_manager.core.routing import LASTING, Candidate, Choice, Facts, Obstacle, Policy, Reason, Refusal
from codex_manager.core.state import Origin, Scope, Standing, State


__all__ = ["choose"]

CLOSED: Final = Position.CLOSED
LACKING: Final = 1
"""The lightest of the clouds: there is not enough room left for this request, as far as is known."""
OWNED: Final = {"owner": "owner", "origin": "origin", "missing": "only"}
PROBE_S = 1.0
"""Whoever waits for somebody else's probe is woken by its verdict; this is only the time to name, and to look again."""


def choose(facts: Facts, candidates: Sequence[Candidate], state: State, policy: Policy, now: float) -> Choice | Refusal:
    """The account for a request with these facts at this time, or the reason against each. See the module's docstring."""
    reasons: list[Reason] = []
    excluded: list[Candidate] = []
    pool: list[Candidate] = []
    fewest = len(candidates) + 100
    accounts, origins, scopes, model = state.accounts, state.origins, state.scopes, facts.model
    bound = state.bindings.get(facts.session, now) if facts.session is not None else None
    home = bound.home if bound is not None and policy.strategy == "sticky" else None
    for candidate in candidates:
        # what is known of it is looked up once: with 200 accounts the look-ups are half of a decision
        standing = accounts[candidate.account.id]
        origin = origins.get(candidate.origin)
        scope = scopes.get((standing.domain, model))
        reason = _obstacle(facts, candidate, standing, origin, scope, state, policy, now)
        if reason is not None:
            reasons.append(reason)
            if reason.obstacle is Obstacle.MODEL_ACCESS:
                excluded.append(candidate)
            continue
        clouds = _clouds(facts, standing, origin, scope, now)
        if clouds == LACKING and candidate.account.id == home and scope is not None:
            clouds = LACKING * (not scope.capacity.should_have_room(facts.tokens, now))
        if clouds < fewest:
            fewest, pool = clouds, [candidate]
        elif clouds == fewest:
            pool.append(candidate)
    if not pool:
        if not (facts.ask_excluded and excluded and all(reason.obstacle in LASTING for reason in reasons)):
            return Refusal(tuple(reasons))
        pool = [min(excluded, key=lambda c: state.exclusions[c.account.id, facts.access])]
        fewest = 0
    if len(pool) == 1:
        return Choice(pool[0], "only" if facts.owner is None else OWNED[facts.owned_by], fewest, tuple(reasons))
    if policy.pinned is not None:
        for candidate in pool:
            if candidate.account.id == policy.pinned:
                return Choice(candidate, "switch", fewest, tuple(reasons))
    chosen, by = strategy.pick(policy, pool, facts, bound, state, now)
    return Choice(chosen, by, fewest, tuple(reasons))


def _obstacle(
    facts: Facts,
    candidate: Candidate,
    standing: Standing,
    origin: Origin | None,
    scope: Scope | None,
    state: State,
    policy: Policy,
    now: float,
) -> Reason | None:
    account = candidate.account
    if facts.owner is not None and account.id not in facts.owner:
        return Reason(account, Obstacle.OWNER, note=facts.owned)
    if not account.enabled:
        return Reason(account, Obstacle.DISABLED)
    if account.models and not models.allows(account.models, facts.model):
        return Reason(account, Obstacle.MODEL_SCOPE, note=", ".join(account.models))
    if candidate.unusable is not None:
        return Reason(account, Obstacle.UNUSABLE, note=candidate.unusable)
    if standing.auth_failed is not None:
        return Reason(account, Obstacle.AUTH_FAILED, standing.recheck_at, standing.auth_failed)
    if state.purses:
        for name in (standing.organization, standing.domain):
            purse = state.purses.get(name)
            if purse is not None and not purse.admits(now):
                return _resting(account, purse, Obstacle.BILLING, Obstacle.BILLING, now)
    spending = state.spending
    if spending.accounts and not facts.free:
        allowance = spending.accounts.get(account.id)
        need = facts.need
        # what fits, which is nearly everything, is seen here without a call
        if (
            allowance is not None
            and not (need and need <= allowance.left)
            and (shortage := allowance.shortage(need, spending.offset)) is not None
        ):
            return Reason(account, Obstacle.SPENDING, shortage.until, shortage=shortage)
    if origin is not None and origin.cooling.width and not origin.cooling.admits(now):
        return _resting(account, origin.cooling, Obstacle.EGRESS, Obstacle.EGRESS, now)
    if scope is not None and scope.cooling.width and not scope.cooling.admits(now):
        return _resting(account, scope.cooling, Obstacle.RATE, Obstacle.PROBING, now)
    if state.exclusions and account.id not in facts.tried:
        until = state.exclusions.get((account.id, facts.access))
        if until is not None and now < until:
            return Reason(account, Obstacle.MODEL_ACCESS, until)
    if account.id in facts.tried or standing.domain in facts.tried_domains or candidate.origin in facts.tried_origins:
        return Reason(account, Obstacle.TRIED)
    if policy.pace and now < standing.last_used + policy.min_interval_s:
        return Reason(account, Obstacle.PACE, standing.last_used + policy.min_interval_s)
    return None


def _resting(account: Account, cooling: Cooling, resting: Obstacle, probing: Obstacle, now: float) -> Reason:
    if now < cooling.until:
        return Reason(account, resting, cooling.until)
    return Reason(account, probing, now + PROBE_S)


def _clouds(facts: Facts, standing: Standing, origin: Origin | None, scope: Scope | None, now: float) -> int:
    """How much speaks for looking elsewhere first: 0 nothing, more is worse; kinds do not add up, the worst counts."""
    if origin is not None and now < origin.weather.clear_from:
        return 4
    breaker = standing.breaker
    if breaker.position is not CLOSED and not breaker.admits(now):
        return 3
    if now < standing.weather.clear_from:
        return 2
    if scope is not None:
        if now < scope.weather.clear_from:
            return 2
        if scope.capacity.lacks_room_until(facts.tokens, now) is not None:
            return LACKING
    return 0
