"""The vault's SQLite file: how it is opened, its tables, its transactions, and what SQLite's errors mean.

Knows no keys and no accounts. Laws: rollback journal with synchronous FULL (writes are rare and precious, and SQLite
3.7.0 to 3.51.2 can lose WAL writes); every write is one BEGIN IMMEDIATE transaction that counts up the generation; no
sqlite3 error leaves this module under its own name. A connection may be used from any thread; one lock lets one
transaction at a time through. A file that was replaced under us (`restore`) is noticed before each transaction.

Nobody may open the vault file with open() while a connection lives: closing that second handle would drop SQLite's
POSIX locks. That is why nothing here looks at the file but through SQLite and stat.
"""

import os
import sqlite3
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from codex_manager.vault.errors import (
    VaultBusyError,
    VaultClosedError,
    VaultCorruptError,
    VaultFullError,
    VaultMissingError,
    VaultTooNewError,
    VaultUnreadableError,
    VaultUnwritableError,
)


__all__ = ["SCHEMA_VERSION", "Database", "State", "mapped_errors"]

APPLICATION_ID: Final = 0x636D7661  # "cmva": what file(1) and we tell our files by
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 5.0  # a write takes some 10 ms; who waits longer waits for something that hangs

TABLES: Final = (
    """CREATE TABLE header (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        json TEXT NOT NULL,
        generation INTEGER NOT NULL,
        locked_at TEXT
    )""",
    "CREATE TABLE record (kind TEXT NOT NULL, id TEXT NOT NULL, sealed TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True)
class State:
    """What the file says without a key."""

    header: object
    """The header's JSON, not judged yet."""
    generation: int
    locked_at: str | None


class Database:
    """One connection to one vault file. Its state: the connection, the file it belongs to, the open transaction."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self.lock = threading.RLock()
        """Held through every transaction."""
        self._open: Literal["read", "write"] | None = None
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The live connection; inside `read` and `write` only."""
        assert self._connection is not None
        return self._connection

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self.lock:
            self._closed = True
            self._disconnect()

    @contextmanager
    def read(self) -> Iterator[State]:
        """One consistent look at the file; yields what it says about itself."""
        with self.lock, mapped_errors(self.path):
            if self._open:
                yield self._state()
                return
            self._follow_file()
            with self._transaction("read"):
                state = self._state()
                yield state

    @contextmanager
    def write(self) -> Iterator[State]:
        """One change, all or nothing, on disk when this returns. Inside another `write` it joins that one."""
        with self.lock, mapped_errors(self.path):
            if self._open:
                assert self._open == "write", "a look cannot become a change: begin with write()"
                yield self._state()
                return
            with self._transaction("write"):
                state = self._state()
                yield state
                self.connection.execute("UPDATE header SET generation = generation + 1 WHERE id = 1")

    @contextmanager
    def create(self, header: str) -> Iterator[None]:
        """Make the tables and the header in one transaction; an existing database is left alone.

        Raises:
            FileExistsError: there is something in the file already.
        """
        with self.lock, mapped_errors(self.path):
            self._follow_file()
            with self._transaction("write"):
                if self.connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                    raise FileExistsError(self.path)
                self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                for table in TABLES:
                    self.connection.execute(table)
                self.connection.execute("INSERT INTO header (id, json, generation) VALUES (1, ?, 1)", (header,))
                yield

    @property
    def file(self) -> tuple[int, int] | None:
        """Which file we are connected to: device and inode."""
        return self._file

    # Transactions ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, kind: Literal["read", "write"]) -> Iterator[None]:
        if kind == "read":
            self.connection.execute("BEGIN")
        else:
            self._begin_write()
        self._open = kind
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._open = None

    def _begin_write(self) -> None:
        while True:
            self._follow_file()
            self.connection.execute("BEGIN IMMEDIATE")
            if _identity(self.path) == self._file:  # while we waited for the lock, the file may have been replaced
                return
            self.connection.execute("ROLLBACK")

    def _state(self) -> State:
        try:
            row = self.connection.execute("SELECT json, generation, locked_at FROM header WHERE id = 1").fetchone()
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_ERROR:  # "no such table" is the only plain error this can give
                raise
            row = None
        if row is None or type(row[1]) is not int:
            raise _corrupt(self.path, "is not a vault, or making it was interrupted")
        return State(row[0], row[1], row[2])

    # The connection --------------------------------------------------------------------------------------------------

    def _follow_file(self) -> None:
        """Be connected to the file that is at the path now."""
        if self._closed:
            raise VaultClosedError("the vault is closed")
        identity = _identity(self.path)
        if identity != self._file:
            self._disconnect()
            self._connect()
            self._file = identity

    def _connect(self) -> None:
        self._connection = connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",  # never makes a file
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,  # transactions are written out above
            check_same_thread=False,  # self.lock keeps threads apart
        )
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")  # nothing spills to disk
        connection.execute("PRAGMA secure_delete = ON")  # replaced rows and wrapped keys are overwritten with zeros
        connection.execute("PRAGMA synchronous = FULL")
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if mode != "delete":
            raise _corrupt(self.path, f"has journal mode {mode}")
        if version > SCHEMA_VERSION:
            raise VaultTooNewError(
                f"the vault {self.path} has format {version}, and this codex-manager knows formats up to {SCHEMA_VERSION}",
                hint="update codex-manager",
            )
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone():
            raise _corrupt(self.path, "has triggers or views, which no vault has")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._file = None


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - every access asks this; Path.stat costs twice as much
    except FileNotFoundError:
        raise VaultMissingError(f"there is no vault at {path}", hint="make one with `codex-manager init`") from None
    except OSError as error:
        raise VaultUnreadableError(
            f"the vault {path} cannot be reached: {(error.strerror or 'unknown error').lower()}",
            hint="check the directory and its permissions",
        ) from None
    return found.st_dev, found.st_ino


def _code(error: sqlite3.Error) -> int:
    """The primary result code; an error that Python raised itself (text that is no UTF-8) means damage."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def _corrupt(path: Path, what: str) -> VaultCorruptError:
    return VaultCorruptError(
        f"the file {path} {what}", hint="restore a backup with `codex-manager vault restore`, or move the file away"
    )


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """The one place where SQLite's errors become ours."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our own mistake, not the file's
    except sqlite3.Error as error:
        code = _code(error)
        # Nothing of the sqlite3 error is kept: its text can hold values.
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise VaultBusyError(
                f"the vault {path} is in use by another process",
                hint="try again; if it stays so, see which process hangs",
            ) from None
        if code == sqlite3.SQLITE_FULL:
            raise VaultFullError(
                f"the disk of {path} is full; nothing was changed", hint="free some space and try again"
            ) from None
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            if code != sqlite3.SQLITE_READONLY and not os.access(path, os.R_OK):
                raise VaultUnreadableError(
                    f"the vault {path} may not be read by this user",
                    hint="make the file yours: it should have mode 0600",
                ) from None
            raise VaultUnwritableError(
                f"the vault {path} or its directory may not be written; nothing was changed",
                hint="make both writable for you, or choose another place with CODEX_MANAGER_HOME",
            ) from None
        if code == sqlite3.SQLITE_IOERR:
            raise VaultUnreadableError(
                f"the disk of {path} answers with errors; nothing was changed", hint="check the disk, then try again"
            ) from None
        raise _corrupt(path, "is damaged or is not a vault") from None
