"""What an outcome does to what is remembered: the "marks" column of semantics §3 and the rules of §4.

Law: every outcome of an attempt goes through exactly one of these functions, and nothing else writes to the state while
requests are carried. Pure but for the state it is handed.
"""

import random

from collections.abc import Mapping

from codex_manager.core.cooling import billing_rest, egress_rest, rate_rest
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Headroom, Hint
from codex_manager.core.incident import Cause
from codex_manager.core.state import Lease, State


__all__ = ["EXCLUSION_S", "RECHECK_FIRST_S", "RECHECK_LONGEST_S", "answered", "arrived", "ended_well", "failed"]

EXCLUSION_S = 3600.0
RECHECK_FIRST_S = 900.0
RECHECK_LONGEST_S = 6 * 3600.0


def arrived(state: State, lease: Lease, headers: Mapping[str, str], now: float) -> None:
    """Some answer came: the way there works, and it may say whose account this is. `headers` have lower-case names."""
    lease.origin.weather.improve(now)
    state.incidents.went_well(Cause.NETWORK, lease.standing.domain)
    organization = headers.get("openai-organization")
    if organization:
        state.learn_domain(lease.standing, organization, headers.get("openai-project"))


def answered(state: State, lease: Lease, headroom: Headroom | None, now: float) -> None:
    """The answer is a good one: probes have succeeded, the room left is known anew, and the prompt is in a cache there."""
    began = lease.began
    scope = state.scope(lease.standing.domain, lease.model)
    scope.cooling.succeed(began=began, now=now)
    lease.origin.cooling.succeed(began=began, now=now)
    for purse in lease.purses:
        purse.succeed(began=began, now=now)
    if headroom is not None:
        scope.capacity.learn(headroom, now)
    state.incidents.went_well(Cause.OPENAI, lease.standing.domain)
    scope.weather.improve(now)
    if lease.session is not None:
        state.bindings.answered(lease.session, lease.account_id, lease.standing.organization, now)


def ended_well(lease: Lease, now: float) -> None:
    """The answer reached its end, or was an error of the caller's: the account does its work."""
    lease.standing.weather.improve(now)
    lease.standing.breaker.succeed(began=lease.began, now=now)


def failed(
    state: State, lease: Lease, verdict: Verdict, hint: Hint, access: str, now: float, rng: random.Random
) -> None:
    """The attempt failed. `hint` is what the answer said about time; `access` what MODEL_ACCESS would be about."""
    standing, began = lease.standing, lease.began
    match verdict.failure:
        case FailureClass.RATE:
            # One request that is larger than the limit says nothing about smaller ones.
            if not verdict.oversized:
                cooling = state.scope(standing.domain, lease.model).cooling
                rest = rate_rest(Hint(hint.seconds, hint.per_day or verdict.per_day), cooling.level, rng)
                cooling.refuse(rest, began=began, now=now)
        case FailureClass.BILLING:
            purse = state.purse(standing.domain if verdict.project_only else standing.organization)
            purse.refuse(billing_rest(purse.level), began=began, now=now)
        case FailureClass.AUTH:
            standing.auth_failed = verdict.code or "401"
            standing.recheck_at = now + RECHECK_FIRST_S
        case FailureClass.MODEL_ACCESS:
            state.exclude(lease.account_id, access, now + EXCLUSION_S, now)
        case FailureClass.OVERLOAD:
            state.incidents.note(Cause.OPENAI, standing.domain, now)
            state.scope(standing.domain, lease.model).weather.worsen(now, min(hint.seconds or 0.0, 30.0))
        case FailureClass.TRANSIENT | FailureClass.AMBIGUOUS | FailureClass.MID_STREAM:
            guarded = state.incidents.note(Cause.OPENAI, standing.domain, now)
            standing.weather.worsen(now)
            standing.breaker.fail(verdict.rule.breaker_weight, began=began, now=now, guarded=guarded)
        case FailureClass.PRE_DISPATCH:
            state.incidents.note(Cause.NETWORK, standing.domain, now)
            lease.origin.weather.worsen(now)
        case FailureClass.EGRESS_LIMIT:
            cooling = lease.origin.cooling
            cooling.refuse(egress_rest(hint, cooling.level), began=began, now=now)
        case FailureClass.CALLER | FailureClass.OWNER_MISS | FailureClass.ORIGIN_MISS:
            ended_well(lease, now)
        case FailureClass.NEUTRAL:
            pass
