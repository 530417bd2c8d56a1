"""Puts a backup in the place of the vault.

Law: nothing moves until the backup has opened with the key given, record by record; the vault it replaces is kept
aside; the change is one rename, so at every moment there is a whole vault at the path. Processes that have the vault
open notice the new file by themselves (`database`).
"""

import os
import sqlite3
import uuid

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from codex_manager.core.secret import Secret
from codex_manager.vault.database import BUSY_TIMEOUT_S, mapped_errors
from codex_manager.vault.errors import VaultCorruptError, VaultUnwritableError
from codex_manager.vault.files import make_private_dirs, sync_dir
from codex_manager.vault.upkeep import Upkeep


__all__ = ["restore"]


def restore(path: Path, backup: Path, master_key: Secret) -> Path | None:
    """Replace the vault at `path` by a copy of the backup; returns where the replaced one is kept, if there was one.

    Raises:
        WrongKeyError: the key does not open the backup.
        VaultCorruptError: the backup is not whole. And all that opening raises; nothing was changed then.
    """
    target = Path(os.path.realpath(path))
    fresh = target.with_name(f".{target.name}.restore-{uuid.uuid4().hex}")
    with Upkeep.open(backup, master_key) as source:
        problems = [problem for problem in source.verify().problems if "other users" not in problem]
        if problems:
            raise VaultCorruptError(f"the backup {backup} is not whole: {problems[0]}", hint="try an older backup")
        make_private_dirs(target.parent)
        source.backup(fresh)
    try:
        return _put(fresh, target)
    except OSError as error:
        raise VaultUnwritableError(
            f"the vault {target} cannot be replaced: {(error.strerror or 'unknown error').lower()}",
            hint="stop what uses the vault, make its directory writable, and try again",
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


def _put(fresh: Path, target: Path) -> Path | None:
    if not target.exists():
        fresh.rename(target)
        sync_dir(target.parent)
        return None
    aside = target.with_name(f"{target.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    journal = target.with_name(target.name + "-journal")
    with _held(target):
        try:
            aside.hardlink_to(target)
        except OSError:  # a file system without hard links: for one moment there is no vault at the path
            target.rename(aside)
        if journal.exists():  # only a vault too damaged to be opened still has one: it belongs to that file
            journal.rename(aside.with_name(aside.name + "-journal"))
        fresh.replace(target)
        sync_dir(target.parent)
    return aside


@contextmanager
def _held(target: Path) -> Iterator[None]:
    """Keep writers out while the file is replaced; a vault too damaged to be held needs no holding.

    BEGIN EXCLUSIVE also rolls a journal back that a killed process left, so none can be taken for the new file's.
    """
    connection = sqlite3.connect(f"{target.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        with suppress(VaultCorruptError), mapped_errors(target):
            connection.execute("BEGIN EXCLUSIVE")
        yield
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    finally:
        connection.close()
