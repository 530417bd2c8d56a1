"""The one place where a command gets its vault.

Order of the master key: CAM_MASTER_KEY, the OS keyring, the terminal (see vault.masterkey). Law: a command that reads
never makes a vault; one that stores something makes it on the way and says so. A key typed wrongly may be typed again;
one from the environment or the keyring is right or wrong at once.
"""

import os

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from codex_manager.accounts import making
from codex_manager.accounts.notes import Note
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault import masterkey
from codex_manager.vault.errors import VaultExistsError, WrongKeyError
from codex_manager.vault.store import Vault, has_vault
from codex_manager_cli import terminal
from codex_manager_cli.talk import fail, say, warn


__all__ = [
    "NO_VAULT",
    "NO_VAULT_HINT",
    "existing",
    "made",
    "made_on_the_way",
    "made_saying",
    "opened",
    "prompt",
    "proven",
    "tell",
    "vault_there",
]

NO_VAULT = "no vault yet"
NO_VAULT_HINT = "make one with `codex-manager init`, or add the first account with `codex-manager add LABEL`"
TRIES = 3
"""Times a master key may be typed; su and ssh allow as many."""


def tell(note: Note) -> None:
    """Say what somebody should hear, when it is due."""
    (warn if note.is_warning else say)(note.text)


def prompt() -> Callable[[str], str] | None:
    """How to ask for a master key; None where nobody can answer."""
    return terminal.ask if terminal.can_ask() else None


def vault_there(paths: Paths) -> bool:
    """Whether there is a vault; a place that cannot be looked at ends the command."""
    try:
        return has_vault(paths.vault_file)
    except OSError as error:
        fail(
            f"the vault {paths.vault_file} cannot be reached: {(error.strerror or 'unknown error').lower()}",
            hint="check the directory and its permissions, or set CODEX_MANAGER_HOME",
        )


def existing(paths: Paths, stack: ExitStack) -> Vault | None:
    """The vault, open until the stack closes; None when there is none yet."""
    if not vault_there(paths):
        return None
    _, vault = proven(paths.vault_file, Vault.open)
    return stack.enter_context(vault)


def opened(paths: Paths, stack: ExitStack) -> Vault:
    """The vault, open until the stack closes; having none ends the command."""
    vault = existing(paths, stack)
    if vault is None:
        fail(NO_VAULT, hint=NO_VAULT_HINT)
    return vault


def made_on_the_way(paths: Paths, stack: ExitStack) -> Vault:
    """A new vault, or the one another process made a moment ago; open until the stack closes."""
    try:
        return stack.enter_context(made_saying(paths))
    except VaultExistsError:
        return opened(paths, stack)


def made_saying(paths: Paths) -> Vault:
    """A new vault, and a word on where its key is."""
    vault, note = making.made(paths, os.environ, prompt())
    tell(note)
    return vault


def made(paths: Paths, key: Secret) -> Vault:
    """A new vault under a key that is known already."""
    return Vault.create(paths.vault_file, key)


def proven[T](vault_file: Path, use: Callable[[Path, Secret], T], *, even_locked: bool = False) -> tuple[Secret, T]:
    """The master key of a vault, and what `use` made of it; `use` tells a wrong key by `WrongKeyError`."""
    for tries_left in range(TRIES - 1, -1, -1):
        key = masterkey.resolve(vault_file, environ=os.environ, prompt=prompt(), even_locked=even_locked)
        try:
            return key.secret, use(vault_file, key.secret)
        except WrongKeyError as error:
            if key.source != "prompt" or not tries_left:
                raise
            say(f"{error}; try again")
    raise AssertionError("the last try returns or raises")
