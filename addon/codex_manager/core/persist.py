"""What of the state is worth surviving a restart, as plain rows, and how it comes back.

A restart in the middle of a storm must not start the storm again: rests, blocks, exclusions, open breakers and bad keys are
kept with their deadlines in wall-clock time. What passes by itself within seconds is not.

Law: a row never lengthens anything. On the way back every deadline is cut to what was left when it was written (`left_s`), so a
clock that was set back a day adds nothing, and one that was set forward only ends things early. What was learned of a key
is void when the account was edited since (`edition`). Rows that cannot be understood are left out.
"""

import math

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from codex_manager.core.breaker import Position
from codex_manager.core.cooling import Cooling
from codex_manager.core.state import Origin, State


__all__ = ["SHORTEST_KEPT_S", "Mark", "export", "restore"]

SHORTEST_KEPT_S = 5.0
"""What ends sooner is not written. (Semantics §4 asks for 30 s and more; a start takes less than five.)"""


@dataclass(frozen=True, slots=True)
class Mark:
    """One row. `kind` and `key` say what it is about; `detail` is what the kind needs besides."""

    kind: str
    """`scope`, `purse`, `origin`, `exclusion`, `breaker` or `auth`."""
    key: str
    detail: str
    until: float
    """Unix time."""
    left_s: float
    """Seconds that were left when it was written."""
    level: int = 0
    edition: str = ""
    """`updated_at` of the account it is about, where it is about a key."""


def export(state: State, editions: Mapping[str, str], now: float, wall: float) -> list[Mark]:
    """Everything worth keeping, in a stable order. `editions` are the accounts' `updated_at` by id."""
    rows = [*_cooling(state, now), *_accounts(state, editions, now)]
    rows.sort(key=lambda row: (row.kind, row.key, row.detail))
    return [
        Mark(row.kind, row.key, row.detail, round(wall + row.left_s, 3), row.left_s, row.level, row.edition)
        for row in rows
    ]


def restore(state: State, rows: Iterable[Mark], editions: Mapping[str, str], now: float, wall: float) -> int:
    """Put rows back into the state, whose accounts and domains are known already; how many were taken."""
    taken = 0
    for row in rows:
        left = min(row.until - wall, row.left_s) if math.isfinite(row.until) and math.isfinite(row.left_s) else 0.0
        if left > 0 and row.edition in {"", editions.get(row.key, "")}:
            taken += _put(state, row, now + left)
    return taken


def _cooling(state: State, now: float) -> Iterator[Mark]:
    for (domain, model), scope in state.scopes.items():
        yield from _rest("scope", domain, "" if model is None else f"={model}", scope.cooling, now)
    for name, purse in state.purses.items():
        yield from _rest("purse", name, "", purse, now)
    for name, origin in state.origins.items():
        yield from _rest("origin", name, "", origin.cooling, now)


def _rest(kind: str, key: str, detail: str, cooling: Cooling, now: float) -> Iterator[Mark]:
    left = cooling.until - now
    if cooling.width and left >= SHORTEST_KEPT_S:
        yield Mark(kind, key, detail, 0.0, left, cooling.level)


def _accounts(state: State, editions: Mapping[str, str], now: float) -> Iterator[Mark]:
    for (account_id, access), until in state.exclusions.items():
        if until - now >= SHORTEST_KEPT_S:
            yield Mark("exclusion", account_id, access, 0.0, until - now, edition=editions.get(account_id, ""))
    for account_id, standing in state.accounts.items():
        edition = editions.get(account_id, "")
        breaker = standing.breaker
        if breaker.position is Position.OPEN and breaker.until - now >= SHORTEST_KEPT_S:
            yield Mark("breaker", account_id, "", 0.0, breaker.until - now, breaker.trips, edition)
        if standing.auth_failed is not None:
            left = max(standing.recheck_at - now, SHORTEST_KEPT_S)
            yield Mark("auth", account_id, standing.auth_failed, 0.0, min(left, 7 * 3600.0), edition=edition)


def _put(state: State, row: Mark, until: float) -> bool:
    level = min(max(row.level, 0), 30)
    match row.kind:
        case "scope":
            if row.detail and not row.detail.startswith("="):
                return False
            state.scope(row.key, row.detail[1:] or None).cooling.restore(until, level)
        case "purse":
            state.purse(row.key).restore(until, level)
        case "origin":
            state.origins.setdefault(row.key, Origin()).cooling.restore(until, level)
        case "exclusion":
            if row.key not in state.accounts:
                return False
            state.exclusions[row.key, row.detail] = until
        case "breaker" | "auth":
            standing = state.accounts.get(row.key)
            if standing is None:
                return False
            if row.kind == "breaker":
                standing.breaker.restore(until, level)
            else:
                standing.auth_failed, standing.recheck_at = row.detail or "401", until
        case _:
            return False
    return True
