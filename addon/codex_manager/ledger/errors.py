"""Everything that can go wrong with a ledger, one named error each.

Law: the message is one sentence for whoever reads it, without a full stop and without anything of a request; `hint`
says what to do. The writer thread turns them into a warning and goes on; commands show them.
"""

import errno
import os
import shutil
import sqlite3

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from codex_manager.core.errors import CodexManagerError


__all__ = [
    "LedgerBusyError", "LedgerDamagedError", "LedgerError", "LedgerForeignError", "LedgerFullError", "LedgerMissingError",
    "LedgerTooNewError", "LedgerUnreadableError", "LedgerUnwritableError", "mapped_errors",
]  # fmt: skip

WAL_INDEX: Final = 32 << 10  # bytes, at least


class LedgerError(CodexManagerError):
    """Superclass of all ledger errors; never raised itself."""


class LedgerMissingError(LedgerError):
    """There is no ledger at the path: nothing was recorded yet."""


class LedgerBusyError(LedgerError):
    """Another process keeps the ledger to itself for longer than a batch may take."""


class LedgerFullError(LedgerError):
    """The disk is full."""


class LedgerUnwritableError(LedgerError):
    """The file or its folder may not be written."""


class LedgerUnreadableError(LedgerError):
    """The file may not be read, or the disk answers with errors."""


class LedgerDamagedError(LedgerError):
    """SQLite finds the file damaged, or it is no SQLite file at all."""


class LedgerForeignError(LedgerError):
    """A good SQLite file, but of another program; it is not touched."""


class LedgerTooNewError(LedgerError):
    """A later version of codex-manager wrote it; it is not touched."""


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """The one place where the errors of SQLite and of the system become ours.

    Nothing of a sqlite3 error is kept: its text can hold values.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our own mistake, not the file's
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError):
        raise  # the same
    except sqlite3.Error as error:
        raise _of_sqlite(path, error) from None
    except OSError as error:
        raise _of_system(path, error) from None


def _of_sqlite(path: Path, error: sqlite3.Error) -> LedgerError:
    # an error that Python raised itself, such as for text that is no UTF-8, means damage
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LedgerBusyError(
            f"the ledger {path} is kept locked by another process", hint="see which process hangs, and end it"
        )
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _has_no_room(path)):
        return _full(path)
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return _denied(path)
    if code == sqlite3.SQLITE_IOERR:
        return LedgerUnreadableError(f"the disk of {path} answers with errors", hint="check the disk")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}:
        return LedgerDamagedError(
            f"the ledger {path} is damaged", hint="a running proxy moves it aside and begins a new one"
        )
    return LedgerUnreadableError(f"the ledger {path} does not answer as it should", hint="check the disk")


def _of_system(path: Path, error: OSError) -> LedgerError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _full(path)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return _denied(path)
    words = (error.strerror or "unknown error").lower()
    return LedgerUnreadableError(f"the ledger {path} cannot be reached: {words}", hint="check its folder")


def _has_no_room(path: Path) -> bool:
    """Not even for the index of a WAL: SQLite calls that an I/O error."""
    try:
        return shutil.disk_usage(path.parent).free < WAL_INDEX
    except OSError:
        return False


def _full(path: Path) -> LedgerError:
    return LedgerFullError(f"the disk of {path} is full", hint="free some space")


def _denied(path: Path) -> LedgerError:
    if os.access(path, os.F_OK) and not os.access(path, os.R_OK):
        return LedgerUnreadableError(
            f"the ledger {path} may not be read by this user", hint="make the file yours: it should have mode 0600"
        )
    return LedgerUnwritableError(
        f"the ledger {path} or its folder may not be written", hint="make both writable for you"
    )
