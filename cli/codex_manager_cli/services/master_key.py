"""How a service that nobody sits beside comes by the master key: from the keyring, or from systemd, which keeps it sealed.

Law: the key opens the vault before anything is installed; it is in no unit, no argument and no environment of ours, and in no file but
one that is sealed to this user and machine, or that its owner made.
"""

import os

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codex_manager.config import storage
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault import masterkey
from codex_manager.vault.errors import NoMasterKeyError, WrongKeyError
from codex_manager.vault.files import others_may_read
from codex_manager.vault.upkeep import read_header
from codex_manager_cli import session
from codex_manager_cli.services.plan import SEALED_FILE, Credential
from codex_manager_cli.services.programs import must
from codex_manager_cli.services.systemd import SEALS_FROM
from codex_manager_cli.talk import fail


__all__ = ["Arranged", "arrange", "foreseen", "forget"]


@dataclass(frozen=True, slots=True)
class Arranged:
    """Where the service will have it from."""

    credential: Credential | None
    note: str


IN_KEYRING: Final = Arranged(None, "the master key comes from the keyring")


def arrange(paths: Paths, *, systemd: int | None, given: Path | None) -> Arranged:
    """See that there is a way. `systemd` is its version, None where something else manages services; `given` a file to take the key from.

    Raises:
        UserError, VaultError: there is none, or the key there is does not open the vault.
    """
    if given is not None:
        return _taken_from(paths, _checked(given, systemd))
    try:
        found = masterkey.resolve(paths.vault_file, environ={}, prompt=None, even_locked=True)
    except NoMasterKeyError as error:
        if systemd is None or systemd < SEALS_FROM:
            raise _no_way(systemd, error) from None
        return _sealed(paths)
    try:
        _prove(paths.vault_file, found.secret)
    except WrongKeyError:
        fail(
            "the keyring holds a key for this vault that does not open it",
            hint="`codex-manager vault unlock --remember`",
        )
    return IN_KEYRING


def foreseen(paths: Paths, *, systemd: int | None, given: Path | None) -> Arranged:
    """What `arrange` would come to; changes nothing and asks nobody."""
    if given is not None:
        return Arranged(Credential(_checked(given, systemd), sealed=False), f"the master key comes from {given}")
    if masterkey.kept(paths.vault_file):
        return IN_KEYRING
    if systemd is None or systemd < SEALS_FROM:
        raise _no_way(systemd, None)
    file = paths.data_dir / SEALED_FILE
    return Arranged(Credential(file, sealed=True), f"the master key would be sealed into {file}")


def forget(paths: Paths) -> None:
    """Take the sealed key away; the vault's own keeper is not touched."""
    (paths.data_dir / SEALED_FILE).unlink(missing_ok=True)


def _taken_from(paths: Paths, file: Path) -> Arranged:
    handed = masterkey.read_credential(file)
    if handed is None:
        fail(f"there is no {file}", exit_code=2)
    _prove(paths.vault_file, handed)
    return Arranged(Credential(file, sealed=False), f"the master key comes from {file}, whenever the service starts")


def _checked(file: Path, systemd: int | None) -> Path:
    if systemd is None:
        fail(
            "only systemd hands credentials to services",
            hint="`codex-manager vault unlock --remember` puts the key into the keyring",
        )
    path = file.expanduser().absolute()
    if path.exists() and others_may_read(path):
        fail(f"others may read {path}", hint=f"chmod 600 {path}")
    return path


def _sealed(paths: Paths) -> Arranged:
    key, _ = session.proven(paths.vault_file, _prove, even_locked=True)
    command = ("systemd-creds", "--user", "encrypt", f"--name={masterkey.CREDENTIAL}", "-", "-")
    done = must(
        *command, stdin=key.reveal(), hint="put the key into the keyring: `codex-manager vault unlock --remember`"
    )
    file = paths.data_dir / SEALED_FILE
    storage.write(file, done.out)
    return Arranged(Credential(file, sealed=True), f"the master key is sealed into {file}, for you on this machine")


def _prove(file: Path, key: Secret) -> None:
    read_header(file, even_locked=True).prove(key)


def _no_way(systemd: int | None, error: NoMasterKeyError | None) -> NoMasterKeyError:
    why = (
        "the keyring does not hold it"
        if error is None
        else str(error).partition(", the OS keyring ")[2].partition(",")[0]
    )
    why = why if error is None else f"the OS keyring {why}"
    more = "" if systemd is None else f", and systemd {systemd} cannot seal it for a user ({SEALS_FROM} can)"
    hint = "put it into the keyring: `codex-manager vault unlock --remember`"
    if systemd is not None:
        hint += "; or keep it in a file that only you can read, and give --credential FILE"
    if os.environ.get(masterkey.VARIABLE):
        hint += f"; {masterkey.VARIABLE} does not reach a service"
    return NoMasterKeyError(f"a service could not open the vault: {why}{more}", hint=hint)
