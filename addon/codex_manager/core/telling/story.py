"""One recorded request with what belongs to it, ready to be told.

Pure. Law: nothing is told that the record does not hold. Whoever could have served as well stands in no record; who they were is
known only where the vault is open, and only as accounts are now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from codex_manager.core.record import Record
from codex_manager.core.telling.reasons import Out


__all__ = ["TOLD", "Story", "saved"]

TOLD: Final = frozenset({"out", "saved", "attempt_of"})
"""What of a record's details has its own place on the page."""


@dataclass(frozen=True, slots=True)
class Story:
    """One request with what belongs to it."""

    record: Record
    lost: tuple[Record, ...] = ()
    """What was booked of its attempts that came to nothing."""
    labels: Mapping[str, str] | None = None
    """By account id."""
    everyone: tuple[str, ...] = ()
    """Ids of the accounts that were there at the time, as far as is known."""

    def label(self, account_id: str) -> str:
        """What people call an account."""
        known = next((a.label for a in self.record.attempts if a.account_id == account_id), None)
        return known or (self.labels or {}).get(account_id) or f"({account_id[:8]})"

    def out(self, rows: Iterable[Any]) -> list[Out]:
        """Reasons as a record keeps them."""
        return [Out(str(r[0]), str(r[1]), str(r[2]), r[3]) for r in rows if len(r) == 4]


def saved(record: Record) -> Decimal | None:
    """US dollars that staying with its account has probably saved; None when nothing is known of that."""
    try:
        usd = Decimal(str(record.detail["saved"]))
    except (KeyError, InvalidOperation):
        return None
    return usd if usd.is_finite() and usd > 0 else None
