"""The ledger's SQLite file: made, opened for writing or reading, moved aside when it is damaged.

Knows no records. Laws: WAL with synchronous FULL; only who holds the lock beside the file writes, checkpoints or closes a
writing connection; readers are read-only, never checkpoint, and never make a file. A file that appears at the path has its
tables already, because it is made under another name first.
"""

import contextlib
import datetime as dt
import os
import sqlite3

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from codex_manager.ledger.errors import (
    LedgerBusyError,
    LedgerDamagedError,
    LedgerForeignError,
    LedgerMissingError,
    LedgerTooNewError,
    mapped_errors,
)
from codex_manager.ledger.lock import Lock, take
from codex_manager.ledger.schema import APPLICATION_ID, VERSION, migrate


__all__ = ["Database", "connect_reading", "connect_unchecked", "identity", "lock_of", "move_aside"]

LOCK_PATIENCE_S: Final = 5.0  # a batch takes some milliseconds, a checkpoint some tens of them
BUSY_TIMEOUT_S: Final = 5.0  # only recovery after a crash and the last close keep readers out, both shortly
WAL_LIMIT: Final = 4 << 20  # bytes; SQLite checkpoints at 1000 pages of 4 KiB


class Database:
    """One writing connection. Its state: the connection and the file it belongs to."""

    def __init__(self, path: Path, *, patience_s: float = LOCK_PATIENCE_S) -> None:
        self.path = path
        self.patience_s = patience_s
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def is_current(self) -> bool:
        """Whether the file we are connected to is still the one at the path; without the lock, so only a hint."""
        return self._connection is not None and identity(self.path) == self._file

    @contextmanager
    def held(self) -> Iterator[None]:
        """The lock beside the file; what may be written, is written inside.

        Raises:
            LedgerBusyError: another process kept it for too long.
            LedgerError: the lock file cannot be made.
        """
        with mapped_errors(self.path):
            lock = lock_of(self.path, self.patience_s)
        try:
            yield
        finally:
            lock.release()

    def open(self) -> bool:
        """Connect, under the lock; the file is made if there is none. Returns whether it was made."""
        with mapped_errors(self.path):
            made = not self.path.exists()
            if made:
                _make(self.path)
            connection = _connect(self.path, "rw")
            try:
                _check(self.path, connection)
                connection.execute("PRAGMA journal_mode = WAL")  # it is, unless somebody's tool changed it
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version < VERSION:
                    with transaction(connection):
                        migrate(connection)
            except BaseException:
                connection.close()
                raise
        self._connection, self._file = connection, identity(self.path)
        return made

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, under the lock: all or nothing."""
        with mapped_errors(self.path), transaction(self.connection):
            yield self.connection

    def close(self) -> None:
        """Close, under the lock: the last connection to close moves the WAL into the file. Never raises."""
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def abandon(self) -> None:
        """Close without the lock: so nothing is checkpointed."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        self.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def lock_of(path: Path, patience_s: float = LOCK_PATIENCE_S) -> Lock:
    """The lock beside this ledger.

    Raises:
        LedgerBusyError: another process kept it for too long.
        OSError: the lock file cannot be made.
    """
    lock = take(path.with_name(f"{path.name}.lock"), patience_s)
    if lock is None:
        raise LedgerBusyError(
            f"the ledger {path} is kept locked by another process", hint="see which process hangs, and end it"
        )
    return lock


def connect_reading(path: Path) -> sqlite3.Connection:
    """A connection that can only read.

    Raises:
        LedgerMissingError: there is no ledger.
        LedgerError: it cannot be read.
    """
    with mapped_errors(path):
        if not path.exists():
            raise LedgerMissingError(
                f"there is no ledger at {path} yet", hint="it is made by the first proxy that runs"
            )
        try:
            return _reading(path, "ro")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
                raise
            # where the folder is read-only or the disk is full, the WAL's index cannot be made; without a WAL none is needed
            if not _has_content(path.with_name(f"{path.name}-wal")):
                return _reading(path, "ro&immutable=1")
            with contextlib.suppress(sqlite3.OperationalError):  # somebody has it open, or it may not be written
                return _reading(path, "rw", alone=True)
            raise


def connect_unchecked(path: Path) -> sqlite3.Connection:
    """A connection that can only read, to a file that may be damaged; errors are SQLite's own."""
    return _connect(path, "ro")


def move_aside(path: Path) -> Path:
    """Give a damaged file and its WAL another name, under the lock; returns it. What is in it stays."""
    moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    target, count = path.with_name(f"{path.name}.damaged-{moment}"), 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.damaged-{moment}-{count}")
    with mapped_errors(path):
        wal = path.with_name(f"{path.name}-wal")
        if wal.exists():
            wal.rename(target.with_name(f"{target.name}-wal"))
        path.rename(target)
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return target


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at the path: device and inode; None when there is none that can be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked at every batch; Path.stat costs twice as much
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",  # never makes a file
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions are written out
        check_same_thread=False,  # opened by one thread, used by another; never by two at once
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _reading(path: Path, mode: str, *, alone: bool = False) -> sqlite3.Connection:
    """A checked connection that changes nothing. `alone` keeps everybody else out, and the WAL's index in memory."""
    connection = _connect(path, mode)
    try:
        if alone:
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA query_only = ON")
        _check(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _make(path: Path) -> None:
    """A new ledger with its tables, 0600 from its first moment, at the path all at once."""
    new = path.with_name(f"{path.name}.new")
    for suffix in ("", "-wal", "-shm", "-journal"):  # what a crash in the middle of this left
        new.with_name(f"{new.name}{suffix}").unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600))
    connection = _connect(new, "rw")
    try:
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    for suffix in ("-wal", "-shm"):  # of a file that was there before: SQLite would take them for the new one's
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    new.rename(path)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    things = set(connection.execute("SELECT type, name FROM sqlite_master"))
    if application != APPLICATION_ID and things:
        raise LedgerForeignError(
            f"the file {path} is a database, but not a ledger of codex-manager",
            hint="move it away; a ledger is made in its place",
        )
    if version > VERSION:
        raise LedgerTooNewError(
            f"the ledger {path} has format {version}, and this codex-manager knows formats up to {VERSION}",
            hint="update codex-manager",
        )
    kinds = {kind for kind, _ in things}
    if not {("table", "request"), ("table", "spent")} <= things or "trigger" in kinds or "view" in kinds:
        raise LedgerDamagedError(f"the ledger {path} has not the tables of a ledger")
