"""An open vault: the file and the two keys that open it, and how both are followed when other processes change them.

Knows no accounts. Laws: the keys live in bytearrays here and nowhere else, zeroed by `close` and by a lock; each
transaction looks at the header first: a vault that was locked meanwhile drops its keys and refuses; one that was
rotated is followed with the key-encryption key held here; one that was rekeyed goes on with the data key it has.
"""

import uuid

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from argon2 import Parameters

from codex_manager.core.secret import Secret
from codex_manager.vault import envelope
from codex_manager.vault.database import BUSY_TIMEOUT_S, Database, State
from codex_manager.vault.errors import VaultExistsError, VaultLockedError, VaultUnreadableError, WrongKeyError
from codex_manager.vault.files import create_private, make_private_dirs
from codex_manager.vault.header import Header
from codex_manager.vault.kdf import RFC_9106_LOW_MEMORY, KdfParams, derive
from codex_manager.vault.records import Records


__all__ = ["OpenVault", "has_vault", "locked_error"]


def has_vault(path: Path) -> bool:
    """Whether there is a vault at the path. An empty file is none: making it was interrupted, and may be done again."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise VaultUnreadableError(
            f"the vault {path} cannot be reached: {(error.strerror or 'unknown error').lower()}",
            hint="check the directory and its permissions",
        ) from None


def locked_error(path: Path) -> VaultLockedError:
    """The refusal while the lock marker is set."""
    return VaultLockedError(f"the vault {path} is locked", hint="unlock it with `codex-manager vault unlock`")


class OpenVault:
    """An open vault. Mutable state: the header last seen, the two keys (zeroed by `close` and by a lock)."""

    def __init__(self, database: Database, header: Header, *, kek: bytearray, dek: bytearray) -> None:
        self._database = database
        self._header = header
        self._kek = kek
        self._kek_params = header.kdf
        self._dek = dek

    # Making, opening, closing ----------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        master_key: Secret,
        *,
        profile: Parameters = RFC_9106_LOW_MEMORY,
        before_commit: Callable[[Header], None] | None = None,
    ) -> Self:
        """Make a vault where there is none and open it. `before_commit` sees the header first (to keep the key).

        Raises:
            VaultExistsError: there is a file already.
            VaultUnwritableError, VaultFullError: it cannot be made there.
        """
        make_private_dirs(path.parent)
        if has_vault(path):
            raise _exists(path)
        kdf = KdfParams.fresh(profile)
        kek, dek = derive(master_key, kdf), envelope.new_key()
        header = Header.wrap(str(uuid.uuid4()), str(uuid.uuid4()), kdf, kek=kek, dek=dek)
        database = Database(path)
        try:
            if before_commit is not None:
                before_commit(header)
            with suppress(FileExistsError):  # empty: a creation that was interrupted; `create` decides who completes it
                create_private(path)
            with database.create(header.to_json()):
                pass
        except BaseException as error:
            database.close()
            envelope.wipe(kek)
            envelope.wipe(dek)
            if isinstance(error, FileExistsError):
                raise _exists(path) from None
            raise
        return cls(database, header, kek=kek, dek=dek)

    @classmethod
    def open(cls, path: Path, master_key: Secret, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Self:
        """Open a vault; writes nothing. Takes as long as the key derivation does (0.3 s).

        Raises:
            VaultMissingError, VaultCorruptError, VaultHeaderRefusedError, VaultTooNewError: there is nothing to open.
            VaultLockedError: the lock marker is set.
            WrongKeyError: the key does not fit.
        """
        database = Database(path, busy_timeout_s=busy_timeout_s)
        try:
            with database.read() as state:
                if state.locked_at:
                    raise locked_error(path)
            header = Header.from_json(state.header)
            kek = derive(master_key, header.kdf)
            try:
                return cls(database, header, kek=kek, dek=header.unwrap(kek))
            except WrongKeyError:
                envelope.wipe(kek)
                raise
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Zero the keys and close the file; safe to call twice."""
        self._drop_keys()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Vault {self.path}>"

    @property
    def path(self) -> Path:
        """The vault's file."""
        return self._database.path

    @property
    def vault_id(self) -> str:
        """Named in every record's AAD and in the keyring entry; no secret."""
        return self._header.vault_id

    @property
    def header(self) -> Header:
        """The header last seen."""
        return self._header

    # Transactions ----------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group changes: all of them or none."""
        with self._writing():
            yield

    def change_token(self) -> int:
        """Differs after any process changed, locked or replaced the vault; costs some 15 µs (measured) and needs no key."""
        with self._database.read() as state:
            if state.locked_at:
                self._drop_keys()
        return hash((self._database.file, state.generation))

    @contextmanager
    def _reading(self) -> Iterator[Records]:
        with self._database.read() as state:
            yield self._records(state)

    @contextmanager
    def _writing(self) -> Iterator[Records]:
        with self._database.write() as state:
            yield self._records(state)

    def _records(self, state: State) -> Records:
        self._follow(state)
        return Records(self._database.connection, self._header.vault_id, self._dek)

    def _follow(self, state: State) -> None:
        """Have the keys of the vault as it is now, or refuse."""
        if state.locked_at:
            self._drop_keys()
            raise locked_error(self.path)
        if not self._dek:
            raise VaultLockedError(
                f"the vault {self.path} was locked since it was opened here, and its keys are gone",
                hint="open it again",
            )
        header = Header.from_json(state.header)
        if header == self._header:
            return
        if (header.vault_id, header.key_id) != (self._header.vault_id, self._header.key_id):
            if header.kdf != self._kek_params:
                raise WrongKeyError(
                    f"the vault {self.path} has got another master key since it was opened here",
                    hint="start this process again",
                )
            old, self._dek = self._dek, header.unwrap(self._kek)
            envelope.wipe(old)
        self._header = header

    def _drop_keys(self) -> None:
        with self._database.lock:  # no seal is under way while the keys go
            for key in (self._kek, self._dek):
                envelope.wipe(key)
                key.clear()


def _exists(path: Path) -> VaultExistsError:
    return VaultExistsError(f"there is a vault at {path} already", hint="see what is in it with `codex-manager list`")
