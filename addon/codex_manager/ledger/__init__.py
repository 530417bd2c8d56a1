"""What requests used and cost, on disk: written by a running proxy (`Ledger`), read by commands (`Reader`), corrected by them (`Clerk`).

Imports nothing but the core; the only place besides the vault that knows SQLite. Prices are a part of their own
(codex_manager.ledger.prices).
"""

from codex_manager.ledger.calendar import Calendar, Windows
from codex_manager.ledger.clerk import Clerk
from codex_manager.ledger.errors import (
    LedgerBusyError,
    LedgerDamagedError,
    LedgerError,
    LedgerForeignError,
    LedgerFullError,
    LedgerMissingError,
    LedgerTooNewError,
    LedgerUnreadableError,
    LedgerUnwritableError,
)
from codex_manager.ledger.health import Health, Opening
from codex_manager.ledger.ledger import Ledger
from codex_manager.ledger.operations import Changed, Span
from codex_manager.ledger.queries import Domain
from codex_manager.ledger.reader import Adjustment, By, FileHealth, Reader, SessionRow, UsageRow
from codex_manager.ledger.remembered import BindingsKept, MarkKey, MarksKept, OwnersKept, key_of
from codex_manager.ledger.totals import Holder, Spent, Totals


__all__ = [
    "Adjustment", "BindingsKept", "By", "Calendar", "Changed", "Clerk", "Domain", "FileHealth", "Health", "Holder", "Ledger",
    "LedgerBusyError", "LedgerDamagedError", "LedgerError", "LedgerForeignError", "LedgerFullError", "LedgerMissingError",
    "LedgerTooNewError", "LedgerUnreadableError", "LedgerUnwritableError", "MarkKey", "MarksKept", "Opening", "OwnersKept",
    "Reader", "SessionRow", "Span", "Spent", "Totals", "UsageRow", "Windows", "key_of",
]  # fmt: skip
