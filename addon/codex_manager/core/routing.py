"""The words of the decision: what is asked, who could serve, by which settings, and what stands in the way.

Plain frozen types that core.decision and core.strategy share; no rule is here.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

from codex_manager.core.account import Account
from codex_manager.core.allowance import Shortage
from codex_manager.core.pricing import ZERO


__all__ = ["LASTING", "Candidate", "Choice", "Facts", "Obstacle", "Policy", "Reason", "Refusal"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings a decision looks at."""

    strategy: Literal["least_utilized", "round_robin", "priority", "sticky"] = "least_utilized"
    pinned: str | None = None
    """Account id set by `switch`."""
    min_interval_s: float = 0.1
    pace: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account with the place it is reached at, worked out once when the configuration changes."""

    account: Account
    origin: str
    """scheme://host:port."""
    unusable: str | None = None
    """Why it can never be sent to as it is configured; None when it can."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision needs to know of a request."""

    model: str | None = None
    access: str = ""
    """What MODEL_ACCESS is about: the model, or the part of the API for a request without one."""
    tokens: int = 0
    """Estimated need, for routing only."""
    need: Decimal = ZERO
    """US dollars it may cost; 0 when that is not known, or nothing."""
    free: bool = False
    """It certainly costs nothing (reading, deleting): spending limits do not stand in its way."""
    session: str | None = None
    """core.session: the conversation's key, where the request shows one. It is bound with the lease (core.bindings)."""
    owner: frozenset[str] | None = None
    """Accounts of the domains that may have what the request names; None when anyone may serve (core.owners)."""
    owned: str = ""
    """What that is, in words for accounts that are out: `file-abc belongs to 'work'`, `does not have file-abc`."""
    owned_by: Literal["owner", "origin", "missing"] = "owner"
    """How they are known: as the owner's, as those that encrypted the reasoning, or as those that have not said no."""
    tried: frozenset[str] = frozenset()
    """Accounts this request must not go to again."""
    tried_domains: frozenset[str] = frozenset()
    tried_origins: frozenset[str] = frozenset()
    ask_excluded: bool = True
    """False once an account has said MODEL_ACCESS to this very request."""


class Obstacle(StrEnum):
    """What can stand against an account, in the order in which they are looked for."""

    OWNER = "owner"
    DISABLED = "disabled"
    MODEL_SCOPE = "model_scope"
    UNUSABLE = "unusable"
    AUTH_FAILED = "auth_failed"
    BILLING = "billing"
    SPENDING = "limit"
    EGRESS = "egress"
    RATE = "rate"
    PROBING = "probing"
    MODEL_ACCESS = "model_access"
    TRIED = "tried"
    PACE = "pace"


LASTING = frozenset({
    Obstacle.OWNER, Obstacle.DISABLED, Obstacle.MODEL_SCOPE, Obstacle.UNUSABLE, Obstacle.AUTH_FAILED, Obstacle.MODEL_ACCESS, Obstacle.TRIED,
})  # fmt: skip
"""Obstacles that no waiting of this request removes."""
UNWAITED = LASTING | {Obstacle.SPENDING}
"""A limit turns in hours; even when it would in seconds, midnight must not be when everything that piled up is spent."""


class Reason(NamedTuple):
    """The obstacle against one account. A tuple, because a decision may make one for every account: it costs half."""

    account: Account
    obstacle: Obstacle
    until: float | None = None
    """When it ends at the latest, as far as is known (monotonic)."""
    note: str = ""
    shortage: Shortage | None = None
    """Of SPENDING: the figures."""

    @property
    def detail(self) -> str:
        """More words on it. Those about money are made only for who reads them, since every request asks every account."""
        return self.note if self.shortage is None else self.shortage.detail


@dataclass(frozen=True, slots=True)
class Choice:
    """One account to try."""

    candidate: Candidate
    by: str
    """What decided: `affinity` (the conversation's prompt cache is there), the strategy's name, `switch`, or `only` when
    there was nothing to decide."""
    clouds: int
    """0 when nothing speaks against it."""
    reasons: tuple[Reason, ...]
    """Against the accounts that were out."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No account can serve now; one reason for each."""

    reasons: tuple[Reason, ...]

    def soonest(self) -> float | None:
        """When waiting may help, or None when it cannot."""
        return min(
            (r.until for r in self.reasons if r.until is not None and r.obstacle not in UNWAITED),
            default=None,
        )
