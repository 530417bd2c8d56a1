"""Whether the file and the SQLite that reads it can be relied on.

Law: reads only; what SQLite says about a damaged file names tables and pages, never a value.
"""

import sqlite3

from contextlib import closing
from pathlib import Path
from typing import Final

from codex_manager.ledger.database import connect_reading
from codex_manager.ledger.errors import mapped_errors


__all__ = ["SQLITE_VERSION", "damage", "has_wal_reset_bug"]

SQLITE_VERSION: Final = sqlite3.sqlite_version
MOST: Final = 5
"""Sentences about a damaged file; the rest says the same."""


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether two connections that write and checkpoint at the same instant may lose a transaction.

    SQLite 3.7.0 to 3.51.2; fixed in 3.51.3, and in 3.50.7 and 3.44.6 of the older lines.
    """
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    return not any(version[:2] == fixed[:2] and version >= fixed for fixed in ((3, 50, 7), (3, 44, 6)))


def damage(path: Path) -> tuple[str, ...]:
    """What SQLite's quick check finds wrong with the file; reads all of it (a second for a gigabyte).

    Raises:
        LedgerMissingError: there is none.
        LedgerError: it cannot be read, or is damaged from its first page on.
    """
    with closing(connect_reading(path)) as connection, mapped_errors(path):
        found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({MOST})")]
    return tuple(line.splitlines()[-1] for line in found if line != "ok")
