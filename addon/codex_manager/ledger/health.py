"""How a running ledger does, and what it found when it was opened: plain values for health checks, logs and a proxy that starts."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from codex_manager.core.pricing import ZERO
from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger.queries import Domain


__all__ = ["Health", "Opening"]


@dataclass(frozen=True, slots=True)
class Health:
    """How the ledger does."""

    ok: bool
    problem: str = ""
    """Why it cannot be written, as a sentence without a full stop; empty when it can."""
    written: int = 0
    """Requests written since the start."""
    dropped: int = 0
    """Requests since the start of which no row is kept, most of them with their sums kept all the same."""
    waiting: int = 0
    """Requests that are not on disk yet."""
    last_written: float | None = None
    """Unix time."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What was found when the ledger was opened."""

    made: bool = False
    """There was none, so a new one was made."""
    killed: int = 0
    """Sessions that did not end by themselves; each may have lost up to 200 ms of requests."""
    interrupted: int = 0
    """Requests they had on their way, booked as estimates."""
    interrupted_usd: Decimal = ZERO
    damaged: Path | None = None
    """Where a damaged file is kept now."""
    domains: dict[str, Domain] = field(default_factory=dict)
    """By account id."""
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    """The last one of each account, by account id."""
