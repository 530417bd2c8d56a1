"""The four ways to pick one of several accounts that could all serve (semantics §2, layer 3).

Law: pure; ties are broken the same way everywhere, so equal accounts take turns: fewest in flight, then least recently
used, then the order of the list.

An account used less than `min_interval_s` ago is passed over while another is at hand; this spreads bursts and never
delays anything. It does not pull a conversation away from its home: there the prompt cache is worth more.
"""

import math

from collections.abc import Sequence

from codex_manager.core.routing import Candidate, Facts, Policy
from codex_manager.core.session import affinity
from codex_manager.core.state import State


__all__ = ["pick"]


def pick(policy: Policy, pool: Sequence[Candidate], facts: Facts, state: State, now: float) -> tuple[Candidate, str]:
    """One of the pool, which is not empty, and the name of what decided."""
    name = policy.strategy
    if name == "sticky":
        if facts.session is not None:
            session = facts.session
            return max(pool, key=lambda c: affinity(session, c.account.id, c.account.weight)), name
        name = "least_utilized"
    if name == "priority":
        highest = max(candidate.account.priority for candidate in pool)
        pool = [candidate for candidate in pool if candidate.account.priority == highest]
    if policy.min_interval_s > 0:
        limit = now - policy.min_interval_s
        pool = [c for c in pool if state.accounts[c.account.id].last_used <= limit] or pool
    if name == "round_robin":
        return min(pool, key=lambda c: _turn(c, state)), name
    return _least_utilized(pool, facts, state, now), name


def _turn(candidate: Candidate, state: State) -> tuple[float, float]:
    """Whose turn it is. An account that was away does not catch up on the turns it missed."""
    standing = state.accounts[candidate.account.id]
    return max(standing.turn, state.virtual_time), standing.last_used


def _least_utilized(pool: Sequence[Candidate], facts: Facts, state: State, now: float) -> Candidate:
    """The smallest share used of the tightest known limit, OpenAI's rates and the user's dollars alike.

    What is unknown counts as free, and is known after the first answer.
    """
    accounts, scopes, allowances, model = state.accounts, state.scopes, state.spending.accounts, facts.model
    best, least = pool[0], (math.inf, 0, 0.0)
    for candidate in pool:
        account_id = candidate.account.id
        standing = accounts[account_id]
        scope = scopes.get((standing.domain, model))
        used = (scope.capacity.used(now) if scope is not None else None) or 0.0
        if allowances and (allowance := allowances.get(account_id)) is not None and allowance.used > used:
            used = allowance.used
        if used <= least[0]:
            rank = (used, standing.in_flight, standing.last_used)
            if rank < least:
                best, least = candidate, rank
    return best
