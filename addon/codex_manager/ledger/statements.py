"""Many rows in few steps: INSERT statements that take up to 64 rows at once.

Every step of SQLite lets go of Python's interpreter lock and must get it back. Beside an event loop that is busy, that takes
up to 5 ms (sys.getswitchinterval) each: `executemany` then wrote 800 rows a second, statements of 64 rows some 10,000.
"""

import sqlite3

from collections.abc import Sequence
from itertools import chain
from typing import Final


__all__ = ["REFUSED", "Insert"]

SIZES: Final = (64, 16, 4, 1)
REFUSED: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    ValueError,
)
"""What is the row's fault, never the file's. (Text that is no Unicode is a ValueError.)"""


class Insert:
    """One INSERT into the named columns, with what follows its values (ON CONFLICT …)."""

    def __init__(self, table: str, columns: Sequence[str], then: str = "") -> None:
        marks = f"({','.join('?' * len(columns))})"
        self._sql = {
            size: f"INSERT INTO {table} ({','.join(columns)}) VALUES {','.join([marks] * size)} {then}"  # noqa: S608 - our own names
            for size in SIZES
        }

    def write(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> int:
        """Write the rows, in a transaction of the caller; returns how many were refused because of what they hold."""
        refused = done = 0
        for size in SIZES:
            while len(rows) - done >= size:
                some = rows[done : done + size]
                done += size
                try:
                    connection.execute(self._sql[size], tuple(chain.from_iterable(some)))
                except REFUSED:
                    refused += self._one_by_one(connection, some)
        return refused

    def _one_by_one(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> int:
        refused = 0
        for row in rows:
            try:
                connection.execute(self._sql[1], tuple(row))
            except REFUSED:
                refused += 1
        return refused
