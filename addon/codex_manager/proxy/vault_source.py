"""What the vault holds, for a process that must outlive everything that happens to it.

Knows the vault and where its key comes from; knows no engine. All methods block (the key derivation takes 0.3 s, a busy
vault some seconds): call them in a thread; they take turns.
Law: nothing here writes to the vault; `writing` lends it to whom a person has told to. Reading again gives contents, or an error
that means "go on with what you have".
"""

import contextlib
import threading

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from codex_manager.core.account import Account
from codex_manager.proxy.local_keys import LocalKey
from codex_manager.proxy.watch import file_stamp
from codex_manager.vault.errors import VaultLockedError, WrongKeyError
from codex_manager.vault.masterkey import create_vault, open_vault
from codex_manager.vault.store import ClientKey, Vault, has_vault


__all__ = ["EMPTY", "LOCKED", "Contents", "VaultSource"]

type Prompt = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a request needs of the vault."""

    accounts: tuple[Account, ...] | None
    """None while the vault is locked."""
    client_keys: tuple[LocalKey, ...] | None = ()
    """None while they cannot be read: digests are no secrets, so those known before go on being right."""
    pinned: str | None = None


EMPTY = Contents(())
LOCKED = Contents(None, None)


class VaultSource:
    """Mutable state: the open vault, if it is one that can be opened."""

    def __init__(self, file: Path, environ: Mapping[str, str]) -> None:
        self.file = file
        self._environ = environ
        self._vault: Vault | None = None
        self._turn = threading.RLock()

    def open(self, prompt: Prompt | None = None) -> Contents:
        """The first look. A vault that is not there yet, or locked, is no error: both can change.

        Raises:
            VaultError: it cannot be opened (no key, wrong key, damaged): there is no use in starting.
        """
        with self._turn:
            if not has_vault(self.file):
                return EMPTY
            try:
                self._vault = open_vault(self.file, environ=self._environ, prompt=prompt)
                return _contents(self._vault)
            except VaultLockedError:
                self.close()
                return LOCKED
            except BaseException:
                self.close()
                raise

    def look(self) -> object:
        """Differs after the vault changed. While it is open this also drops its keys once somebody locked it."""
        with self._turn:
            return file_stamp(self.file) if self._vault is None else self._vault.change_token()

    def read(self) -> Contents:
        """What it holds now. Nobody is asked for a key.

        Raises:
            VaultError: it cannot be read now; what was read before still holds.
        """
        with self._turn:
            if self._vault is None:
                return self.open()
            try:
                return _contents(self._vault)
            except VaultLockedError:
                self.close()  # its keys are gone; after `unlock` it is opened anew
                return LOCKED
            except WrongKeyError:
                return self._read_another()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Vault]:
        """The open vault, for somebody who changes it. A vault that is not there yet is made on the way.

        Raises:
            VaultError: it is locked, or there is no key for it.
        """
        with self._turn:
            if self._vault is None and has_vault(self.file):
                self._vault = open_vault(self.file, environ=self._environ, prompt=None)
            elif self._vault is None:
                self._vault, _ = create_vault(self.file, environ=self._environ, prompt=None)
            yield self._vault

    def _read_another(self) -> Contents:
        """The file is another vault, or has another master key: one we have, or we go on without."""
        another = open_vault(self.file, environ=self._environ, prompt=None)
        try:
            contents = _contents(another)
        except BaseException:
            another.close()
            raise
        self.close()
        self._vault = another
        return contents

    def close(self) -> None:
        """Forget the keys; safe to call twice."""
        with self._turn:
            if self._vault is not None:
                self._vault.close()
                self._vault = None


def _contents(vault: Vault) -> Contents:
    """Three looks, not one: a change between them shows in the token and is read again at the next tick."""
    return Contents(
        accounts=tuple(vault.accounts()),
        client_keys=tuple(_local_key(key) for key in vault.client_keys()),
        pinned=vault.pinned_account(),
    )


def _local_key(key: ClientKey) -> LocalKey:
    return LocalKey(
        key.name,
        key.digest,
        models=key.models,
        daily_limit_usd=key.daily_limit_usd,
        monthly_limit_usd=key.monthly_limit_usd,
    )
