"""The care of a vault: new keys, a check of every record, copies, the lock.

Laws. `rotate` and `rekey` are one transaction each: after a crash at any point the vault opens with exactly the old or
exactly the new key, and every record is there. A copy is as encrypted as the vault. Nothing is ever overwritten.
"""

import dataclasses
import sqlite3
import uuid

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from argon2 import Parameters

from codex_manager.core.secret import Secret
from codex_manager.vault import codec, envelope
from codex_manager.vault.database import Database, mapped_errors
from codex_manager.vault.errors import (
    BackupExistsError,
    VaultBusyError,
    VaultTamperedError,
    WrongKeyError,
)
from codex_manager.vault.files import create_private, others_may_read, timestamp
from codex_manager.vault.header import VERSION, Header
from codex_manager.vault.kdf import RFC_9106_LOW_MEMORY, KdfParams, derive
from codex_manager.vault.opened import OpenVault, locked_error
from codex_manager.vault.records import KINDS, Kind, Records, reading


__all__ = ["Report", "Upkeep", "is_locked", "lock", "read_header", "unlock"]


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found."""

    vault_id: str
    format_version: int
    accounts: int
    client_keys: int
    problems: tuple[str, ...]
    """One sentence each; empty when all is well."""
    sqlite_version: str = sqlite3.sqlite_version

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Upkeep(OpenVault):
    """What is done to a vault as a whole."""

    def rotate(self) -> None:
        """Replace the data key and seal every record anew. The master key stays; other processes follow by themselves.

        Raises:
            VaultTamperedError: a record does not open; nothing was changed.
            WrongKeyError: the master key was changed since this vault was opened.
        """
        with self._database.write() as state:
            old = self._records(state)
            if self._header.kdf != self._kek_params:
                raise WrongKeyError(
                    f"the vault {self.path} has got another master key since it was opened here", hint="open it again"
                )
            dek = envelope.new_key()
            header = Header.wrap(self.vault_id, str(uuid.uuid4()), self._header.kdf, kek=self._kek, dek=dek)
            old.reseal(dek)
            self._put_header(header)
        # Until here the header on disk may be the old one: an error above leaves this object with the old key.
        with self._database.lock:
            self._header = header
            self._dek, old_dek = dek, self._dek
            envelope.wipe(old_dek)

    def rekey(
        self,
        new: Secret,
        *,
        profile: Parameters = RFC_9106_LOW_MEMORY,
        before_commit: Callable[[Header], None] | None = None,
    ) -> None:
        """Give the vault another master key: the same data key, wrapped anew.

        `before_commit` is called with the new header before anything is written, so that the new key can be put where
        it will be looked for; while it runs the vault is free for others.

        Raises:
            VaultBusyError: the vault got another key meanwhile.
        """
        kdf = KdfParams.fresh(profile)
        kek = derive(new, kdf)
        with self._database.lock:
            with self._database.read() as state:
                self._records(state)  # follows the vault as it is now, or refuses
                base = state.header
            header = Header.wrap(self.vault_id, self._header.key_id, kdf, kek=kek, dek=self._dek)
        if before_commit is not None:
            before_commit(header)
        with self._database.write() as state:
            self._records(state)
            if state.header != base:
                raise VaultBusyError(
                    "the vault got another key from another process meanwhile; nothing was changed", hint="try again"
                )
            self._put_header(header)
        with self._database.lock:
            self._header, self._kek_params = header, kdf
            self._kek, old_kek = kek, self._kek
            envelope.wipe(old_kek)

    def verify(self) -> Report:
        """Open every record and let SQLite check the file; problems are listed, not raised."""
        problems: list[str] = []
        counts = dict.fromkeys(KINDS, 0)
        with self._database.read() as state:
            records = self._records(state)
            problems += [
                f"SQLite's integrity check says: {row[0]}"
                for row in self._database.connection.execute("PRAGMA integrity_check")
                if row[0] != "ok"
            ]
            for kind in KINDS:
                for record in records.ids(kind):
                    counts[kind] += 1
                    problems += _problem(records, kind, record)
            known = ", ".join("?" * len(KINDS))
            strange = self._database.connection.execute(
                f"SELECT count(*) FROM record WHERE kind NOT IN ({known})",  # noqa: S608 - placeholders only
                KINDS,
            ).fetchone()[0]
        if strange:
            problems.append(f"{strange} records are of a kind this codex-manager does not know")
        if others_may_read(self.path):
            problems.append(f"other users may read the file: `chmod 600 {self.path}` takes that away")
        return Report(self.vault_id, VERSION, counts["account"], counts["client_key"], tuple(problems))

    def backup(self, target: Path) -> None:
        """Write a copy, sealed as the vault is, to a new 0600 file, and see that it opens.

        Raises:
            BackupExistsError: there is a file already; it is left alone.
            VaultUnwritableError, VaultFullError: it cannot be written there; nothing is left behind.
        """
        try:
            create_private(target)
        except FileExistsError:
            raise BackupExistsError(
                f"there is a file at {target} already; it is left alone", hint="give another name"
            ) from None
        try:
            with self._database.lock:  # nobody takes the key away between copying and checking
                with (
                    mapped_errors(target),
                    closing(sqlite3.connect(target, isolation_level=None)) as copy,
                    self._database.read() as state,
                ):
                    self._records(state)
                    self._database.connection.backup(copy)
                self._opens_too(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def lock(self) -> None:
        """Set the marker that makes every process refuse, this one included, until `unlock`."""
        lock(self.path)
        self.change_token()  # sees the marker and drops the keys

    def _opens_too(self, copy: Path) -> None:
        with closing(Database(copy)) as database, database.read() as state:
            header = Header.from_json(state.header)
            records = Records(database.connection, header.vault_id, self._dek)
            problems = [p for kind in KINDS for record in records.ids(kind) for p in _problem(records, kind, record)]
        if problems:
            raise VaultTamperedError(f"the backup was not kept: {problems[0]}", hint="see `codex-manager vault verify`")

    def _put_header(self, header: Header) -> None:
        self._database.connection.execute("UPDATE header SET json = ? WHERE id = 1", (header.to_json(),))


def lock(path: Path) -> None:
    """Lock a vault. Needs no key, so that nobody has to look for one in a hurry."""
    with closing(Database(path)) as database, database.write():
        database.connection.execute("UPDATE header SET locked_at = ? WHERE id = 1", (timestamp(),))


def read_header(path: Path, *, even_locked: bool = False) -> Header:
    """The header, without a key.

    Raises:
        VaultLockedError: the vault is locked, unless that does not matter.
    """
    with closing(Database(path)) as database, database.read() as state:
        if state.locked_at and not even_locked:
            raise locked_error(path)
        return Header.from_json(state.header)


def is_locked(path: Path) -> bool:
    """Whether the lock marker is set."""
    with closing(Database(path)) as database, database.read() as state:
        return bool(state.locked_at)


def unlock(path: Path, master_key: Secret) -> None:
    """Take the lock away; the master key must open the vault.

    Raises:
        WrongKeyError: it does not; the vault stays locked.
    """
    with closing(Database(path)) as database:
        with database.read() as state:
            header = Header.from_json(state.header)
        header.prove(master_key)
        with database.write():
            database.connection.execute("UPDATE header SET locked_at = NULL WHERE id = 1")


def _problem(records: Records, kind: Kind, record: str) -> list[str]:
    try:
        payload = records.get(kind, record)
        if payload is None:  # listed and not found: the table's own order is damaged
            return [f"the {kind} record {record} cannot be found in the table that lists it"]
        with reading(kind, record):
            if kind == "account":
                codec.account_from(payload)
            elif kind == "client_key":
                codec.client_key_from(payload)
    except VaultTamperedError as error:
        return [str(error)]
    return []
