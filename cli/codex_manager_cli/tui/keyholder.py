"""The vault while the terminal's page is open: opened once, lent to whoever changes something, asked for a key only by a person.

Blocks (a key derivation takes 0.3 s): use it beside the terminal's loop; uses take turns. Law: a key that was typed stays in this
process and is written nowhere; a vault that was locked, replaced or given another key meanwhile is noticed and never worked around.
"""

import threading
import time

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault import masterkey, upkeep
from codex_manager.vault.errors import (
    NoMasterKeyError,
    VaultBusyError,
    VaultError,
    VaultLockedError,
    VaultMissingError,
    WrongKeyError,
)
from codex_manager.vault.store import Vault, has_vault
from codex_manager_cli.tui.source import VaultState


__all__ = ["Keyholder"]

AGAIN_S: Final = 3.0
"""A vault that did not open is tried again so often at most: a keyring may ask its owner."""

STATES: Final[tuple[tuple[type[Exception], VaultState], ...]] = (
    (VaultLockedError, "locked"),
    (NoMasterKeyError, "closed"),
    (WrongKeyError, "closed"),
    (VaultMissingError, "missing"),
)


class Keyholder:
    """Mutable state: the open vault, the keys that were typed, and why the vault is not open."""

    def __init__(self, file: Path, environ: Mapping[str, str]) -> None:
        self.file = file
        self._given = dict(environ)
        self._vault: Vault | None = None
        self._typed: Secret | None = None
        self._chosen: Secret | None = None
        self._known: tuple[object, tuple[Account, ...], str | None] | None = None
        self._tried: tuple[object, float] | None = None
        self._state: VaultState = "missing"
        self._why = ""
        self._turn = threading.RLock()

    @property
    def typed(self) -> Secret | None:
        """The master key that was typed here."""
        return self._typed

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, with the key that was typed where one was: for whoever finds the key by itself."""
        return self._given if self._typed is None else {**self._given, masterkey.VARIABLE: self._typed.reveal()}

    def look(self) -> tuple[VaultState, str]:
        """Open it if that needs nobody, and say whether it is."""
        with self._turn:
            if self._vault is None:
                self._try_again()
            return self._state, self._why

    def accounts(self) -> tuple[tuple[Account, ...] | None, str | None]:
        """All accounts, and the id of the one everything is switched to; None while it is not open. Read again when it changed."""
        with self._turn:
            self.look()
            if self._vault is None:
                return (() if self._state == "missing" else None), None
            try:
                token = self._vault.change_token()
                if self._known is None or self._known[0] != token:
                    self._known = token, tuple(self._vault.accounts()), self._vault.pinned_account()
            except VaultBusyError:  # what was known holds until somebody else is done
                pass
            except VaultError as error:
                self._lost(error)
            return (None, None) if self._known is None else self._known[1:]

    def unlock(self, key: Secret) -> None:
        """Open it with a key that was typed; a vault that was locked is unlocked by that.

        Raises:
            WrongKeyError, VaultError: it stays as it was.
        """
        with self._turn:
            if upkeep.is_locked(self.file):
                upkeep.unlock(self.file, key)
            vault = Vault.open(self.file, key)
            self.close()
            self._vault, self._typed = vault, key
            self._state, self._why = "open", ""

    def choose(self, key: Secret) -> None:
        """The master key for a vault that is to be made when it is needed."""
        with self._turn:
            self._chosen = key

    def make_chosen(self) -> bool:
        """Make the vault under the key that was chosen for it; whether there was one, and no vault yet.

        Raises:
            VaultError: it cannot be made there.
        """
        with self._turn:
            key, self._chosen = self._chosen, None
            if key is None or has_vault(self.file):
                return False
            vault = Vault.create(self.file, key)
            self.close()
            self._vault, self._typed = vault, key
            self._state, self._why = "open", ""
            return True

    @contextmanager
    def lend(self) -> Iterator[Vault]:
        """The open vault.

        Raises:
            VaultLockedError, NoMasterKeyError, WrongKeyError and their kind: a person is needed.
        """
        with self._turn:
            if self._vault is None:
                self._open()
            assert self._vault is not None
            try:
                yield self._vault
            except (VaultLockedError, WrongKeyError) as error:
                self._lost(error)
                raise

    def close(self) -> None:
        """Forget the vault's keys, not the one that was typed; safe to call twice."""
        with self._turn:
            if self._vault is not None:
                self._vault.close()
            self._vault = self._known = self._tried = None

    def _try_again(self) -> None:
        try:
            if not has_vault(self.file):
                self._state, self._why = "missing", ""
                return
            stamp = self.file.stat().st_mtime_ns
        except (VaultError, OSError) as error:
            self._state, self._why = "broken", str(error)
            return
        if self._tried is not None and self._tried[0] == stamp and time.monotonic() - self._tried[1] < AGAIN_S:
            return
        if self._state == "closed" and self._tried is not None and self._tried[0] == stamp:
            return  # a key does not come by itself
        try:
            self._open()
        except (VaultError, OSError):
            self._tried = stamp, time.monotonic()

    def _open(self) -> None:
        try:
            self._vault = masterkey.open_vault(self.file, environ=self.environ, prompt=None)
        except (VaultError, OSError) as error:
            self._lost(error)
            raise
        self._state, self._why = "open", ""

    def _lost(self, error: Exception) -> None:
        self.close()
        if isinstance(error, WrongKeyError):
            self._typed = None
        self._state = next((state for kind, state in STATES if isinstance(error, kind)), "broken")
        self._why = str(error)
