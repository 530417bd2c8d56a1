"""What OpenAI itself says an account has spent, at one moment: kept beside our own figures, never mixed with them.

Knows neither how it was asked (provider) nor where it is kept (ledger). Law: a figure belongs to a window that began at
a named instant. OpenAI's days and months begin at midnight UTC, ours where the user wants them; so a figure counts towards a
window of ours only if OpenAI's began no earlier. Then it is a part of what was spent in ours, and never more.
"""

import datetime as dt

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


__all__ = ["DRIFT_AT", "Snapshot", "drift", "utc_windows"]

DRIFT_AT: Final = 0.1
"""Share by which two figures differ before it is worth a word (semantics §5)."""
CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look. US dollars; times in Unix seconds; None means that OpenAI did not say."""

    account_id: str
    account: str
    """Its label at that time."""
    taken_at: float
    day_start: int
    """Midnight UTC that began the day `today` is about."""
    month_start: int
    today: Decimal | None = None
    month: Decimal | None = None
    """Month to date, today included."""
    hard_limit: Decimal | None = None
    """What OpenAI lets the account spend in a month."""
    source: str = ""
    """Where the amounts come from: `costs` (needs an admin key) or `billing` (the older dashboard's); empty without any."""
    organization_wide: bool = False
    """The amounts are those of a whole organization, because the account's project is not known."""
    requests_today: int | None = None
    input_today: int | None = None
    """Tokens, cached ones included."""
    output_today: int | None = None
    requests_month: int | None = None
    input_month: int | None = None
    output_month: int | None = None
    offered: bool = True
    """False: OpenAI tells this account nothing about money, and asking again soon is no use."""
    error: str = ""
    """Why something is missing, as a sentence without a full stop; empty when nothing is."""

    @property
    def ok(self) -> bool:
        """Whether it says anything about money."""
        return not (self.today is None and self.month is None and self.hard_limit is None)

    def spent_in_day(self, window_start: float) -> Decimal | None:
        """What counts towards a day of ours that began then."""
        return self.today if self.day_start >= window_start else None

    def spent_in_month(self, window_start: float) -> Decimal | None:
        """What counts towards a month of ours that began then."""
        return self.month if self.month_start >= window_start else None


def utc_windows(now: float) -> tuple[int, int]:
    """When the current UTC day and month began."""
    today = dt.datetime.fromtimestamp(now, dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(today.timestamp()), int(today.replace(day=1).timestamp())


def drift(provider: Decimal | None, own: Decimal | None) -> float | None:
    """How far OpenAI's figure lies above ours (below: negative), as a share of the larger; None when they cannot be compared.

    Less than a cent apart is no drift, whatever the share.
    """
    if provider is None or own is None:
        return None
    larger = max(abs(provider), abs(own))
    if abs(provider - own) < CENT or not larger:
        return 0.0
    return float((provider - own) / larger)
