"""The four ways to pick one of several accounts that could all serve, and what a conversation has to say about it.

Semantics §2, layers 2 and 3. A conversation belongs where its prompt cache is: at home, with another account of home's
organization, which reads the same cache, or where it already went while home was out. Under `sticky` this decides, and
the first pick is by rendezvous hashing. Under the other strategies it decides among accounts that are equally good.

Law: pure; ties are broken the same way everywhere, so equal accounts take turns: fewest in flight, then least recently
used, then the order of the list.

An account used less than `min_interval_s` ago is passed over while another is at hand; this spreads bursts and never
delays anything. It does not pull a conversation away from its home: there the prompt cache is worth more.
"""

import math

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from codex_manager.core.bindings import Binding
from codex_manager.core.routing import Candidate, Facts, Policy
from codex_manager.core.session import closest
from codex_manager.core.state import State


__all__ = ["AFFINITY", "EVEN", "pick"]

AFFINITY: Final = "affinity"
"""What decided when a conversation went where its cache is."""
EVEN: Final = 0.1
"""Shares of a limit that differ by no more than this are equally good for a conversation that has its cache at one of
them: to move would cost all of its tokens, to stay brings the limit a tenth nearer.
"""
_RANK: Final = itemgetter(0)


def pick(
    policy: Policy, pool: Sequence[Candidate], facts: Facts, bound: Binding | None, state: State, now: float
) -> tuple[Candidate, str]:
    """One of the pool, which is not empty, and the name of what decided. `bound` is the conversation's binding, if it has one."""
    name = policy.strategy
    if name == "sticky":
        if bound is not None and (kin := _kin(pool, bound, state)):
            return kin[0], AFFINITY
        if facts.session is not None:
            return pool[closest(facts.session, [candidate.account for candidate in pool])], name
        name = "least_utilized"
    if name == "priority":
        highest = max(candidate.account.priority for candidate in pool)
        pool = [candidate for candidate in pool if candidate.account.priority == highest]
    if policy.min_interval_s > 0 and bound is None:
        limit = now - policy.min_interval_s
        pool = [c for c in pool if state.accounts[c.account.id].last_used <= limit] or pool
    if name == "round_robin":
        chosen = min(pool, key=lambda c: _turn(c, state))
    else:
        chosen, least = _least_utilized(pool, facts, state, now)
    if bound is not None:
        for near in _kin(pool, bound, state):
            if name == "round_robin":
                is_as_good = _turn(near, state)[0] == _turn(chosen, state)[0]
            else:
                is_as_good = _used(near, facts, state, now) <= least + EVEN
            if is_as_good:
                return near, AFFINITY
    return chosen, name


def _kin(pool: Sequence[Candidate], bound: Binding, state: State) -> list[Candidate]:
    """Where the conversation's prompts are in a cache, the best first."""
    accounts, home, organization, detour = state.accounts, bound.home, bound.organization, bound.detour
    found: list[tuple[int, Candidate]] = []
    for candidate in pool:
        account_id = candidate.account.id
        if account_id == home:
            found.append((0, candidate))
        elif accounts[account_id].organization == organization:
            # the same cache; of several the one it went to before, so that it does not wander about
            found.append((1 if account_id == detour else 2, candidate))
        elif account_id == detour:
            found.append((3, candidate))
    found.sort(key=_RANK)
    return [candidate for _, candidate in found]


def _turn(candidate: Candidate, state: State) -> tuple[float, float]:
    """Whose turn it is. An account that was away does not catch up on the turns it missed."""
    standing = state.accounts[candidate.account.id]
    return max(standing.turn, state.virtual_time), standing.last_used


def _used(candidate: Candidate, facts: Facts, state: State, now: float) -> float:
    """The share used of the tightest known limit, OpenAI's rates and the user's dollars alike. What is unknown counts as free."""
    account_id, spending = candidate.account.id, state.spending.accounts
    scope = state.scopes.get((state.accounts[account_id].domain, facts.model))
    used = (scope.capacity.used(now) if scope is not None else None) or 0.0
    if spending and (allowance := spending.get(account_id)) is not None and allowance.used > used:
        used = allowance.used
    return used


def _least_utilized(pool: Sequence[Candidate], facts: Facts, state: State, now: float) -> tuple[Candidate, float]:
    """The smallest `_used`, which is written out here because every request asks it of every account; and that share."""
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
    return best, least[0]
