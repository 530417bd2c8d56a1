"""Where the master key comes from and where it is kept: CAM_MASTER_KEY, else what systemd hands a service, else the OS keyring, else a prompt.

Knows the order and the words, not how a vault is sealed. Laws: the first source that has a key decides, right or wrong;
no source ends in one refusal that names all three that a person can use. A keyring entry bears the name of vault and key
(`Header.keyring_name`), and a new key is in the keyring before the vault needs it, so no crash can lose access.
"""

import secrets

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from argon2 import Parameters

from codex_manager.core.secret import Secret
from codex_manager.vault.errors import CredentialError, KeyringError, NoMasterKeyError
from codex_manager.vault.header import Header
from codex_manager.vault.kdf import RFC_9106_LOW_MEMORY
from codex_manager.vault.oskeyring import Keyring
from codex_manager.vault.store import Vault
from codex_manager.vault.upkeep import read_header


__all__ = [
    "CREDENTIAL",
    "CREDENTIALS_VARIABLE",
    "VARIABLE",
    "MasterKey",
    "create_vault",
    "credential",
    "forget",
    "keep",
    "kept",
    "new_master_key",
    "open_vault",
    "read_credential",
    "rekey",
    "resolve",
]

VARIABLE: Final = "CAM_MASTER_KEY"  # the original product's name for it
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"  # systemd.exec(5): a folder of this service alone, in memory
CREDENTIAL: Final = "master-key"
"""The name in LoadCredential= and its kind; of the file in that folder, too."""
CREDENTIAL_MAX: Final = 4096
"""Bytes; as much as is read of a key on stdin."""

type Prompt = Callable[[str], str]
type Source = Literal["environment", "credential", "keyring", "prompt"]


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key and where it was found."""

    secret: Secret
    source: Source


def new_master_key() -> Secret:
    """A random one: 256 bits as base64url text."""
    return Secret(secrets.token_urlsafe(32))


def resolve(
    vault_file: Path,
    *,
    environ: Mapping[str, str],
    prompt: Prompt | None,
    keyring: Keyring | None = None,
    even_locked: bool = False,
) -> MasterKey:
    """The master key of an existing vault (or of a backup, which has its own entry); it is not tried here.

    Raises:
        NoMasterKeyError: no source has one.
        CredentialError: systemd hands one over that cannot be read.
        VaultMissingError, VaultLockedError and their kind: there is nothing to find a key for.
    """
    header = read_header(vault_file, even_locked=even_locked)
    if text := environ.get(VARIABLE):
        return MasterKey(Secret(text), "environment")
    if (handed := credential(environ)) is not None:
        return MasterKey(handed, "credential")
    try:
        found = (keyring or Keyring()).get(header.keyring_name)
        why = "holds no key for this vault"
    except KeyringError as error:
        found, why = None, f"is of no help ({error})"
    if found is not None:
        return MasterKey(found, "keyring")
    if prompt is not None and (typed := prompt("master key")):
        return MasterKey(Secret(typed), "prompt")
    raise _none(why, "there is no terminal to ask on" if prompt is None else "nothing was typed")


def credential(environ: Mapping[str, str]) -> Secret | None:
    """What systemd hands this service; None where it hands over nothing of that name.

    Raises:
        CredentialError: it cannot be read, or is no key.
    """
    folder = environ.get(CREDENTIALS_VARIABLE)
    return read_credential(Path(folder) / CREDENTIAL) if folder else None


def read_credential(file: Path) -> Secret | None:
    """A key in a file of its own, with or without a line end; None where there is no file.

    Raises:
        CredentialError: it cannot be read, or is no key.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(CREDENTIAL_MAX + 1).decode().rstrip("\r\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _no_credential(file, f"cannot be read: {(error.strerror or 'unknown error').lower()}") from None
    except UnicodeDecodeError:
        raise _no_credential(file, "is not text") from None
    if not text or len(text) > CREDENTIAL_MAX:
        raise _no_credential(file, "is longer than a key can be" if text else "is empty")
    return Secret(text)


def open_vault(
    vault_file: Path, *, environ: Mapping[str, str], prompt: Prompt | None, keyring: Keyring | None = None
) -> Vault:
    """Find the key and open the vault. Raises what `resolve` and `Vault.open` raise."""
    return Vault.open(vault_file, resolve(vault_file, environ=environ, prompt=prompt, keyring=keyring).secret)


def create_vault(
    vault_file: Path,
    *,
    environ: Mapping[str, str],
    prompt: Prompt | None,
    keyring: Keyring | None = None,
    profile: Parameters = RFC_9106_LOW_MEMORY,
) -> tuple[Vault, Source]:
    """Make a vault: under CAM_MASTER_KEY or what systemd hands over, else under a random key kept in the keyring, else under a typed one.

    Raises:
        NoMasterKeyError: no source gave a key; nothing was made.
        VaultExistsError and its kind: a vault cannot be made there.
    """
    if text := environ.get(VARIABLE):
        return Vault.create(vault_file, Secret(text), profile=profile), "environment"
    if (handed := credential(environ)) is not None:
        return Vault.create(vault_file, handed, profile=profile), "credential"
    ring, key = keyring or Keyring(), new_master_key()
    try:
        vault = Vault.create(
            vault_file, key, profile=profile, before_commit=lambda header: ring.set(header.keyring_name, key)
        )
    except KeyringError as error:
        why = f"is of no help ({error})"
    else:
        return vault, "keyring"
    if prompt is None:
        raise _none(why, "there is no terminal to ask on")
    typed = prompt("new master key")
    if not typed:
        raise _none(why, "nothing was typed")
    if not secrets.compare_digest(typed.encode(), prompt("new master key, once more").encode()):
        raise NoMasterKeyError("the two master keys typed are not the same", hint="try again")
    return Vault.create(vault_file, Secret(typed), profile=profile), "prompt"


def rekey(
    vault: Vault, new: Secret | None, *, keyring: Keyring | None = None, profile: Parameters = RFC_9106_LOW_MEMORY
) -> Source | None:
    """Give the vault a new master key; None makes a random one, which goes to the keyring.

    A key that lives in the keyring is followed there by the new one: first the new entry, read back, then the vault.
    The old entry stays, since it opens the backups made under it. Returns "keyring" when the new key is kept there.

    Raises:
        KeyringError: the keyring holds the old key, or shall hold a random one, and does not take the new one; nothing was changed.
    """
    ring = keyring or Keyring()
    key = new if new is not None else new_master_key()
    if new is not None and not _holds(ring, vault.header):
        vault.rekey(key, profile=profile)
        return None
    vault.rekey(key, profile=profile, before_commit=lambda header: ring.set(header.keyring_name, key))
    return "keyring"


def keep(vault_file: Path, master_key: Secret, *, keyring: Keyring | None = None) -> None:
    """Put the vault's master key into the keyring. The caller has seen that it opens the vault."""
    (keyring or Keyring()).set(read_header(vault_file, even_locked=True).keyring_name, master_key)


def kept(vault_file: Path, *, keyring: Keyring | None = None) -> bool:
    """Whether the keyring holds a key for the vault; a keyring that is of no help holds none."""
    return _holds(keyring or Keyring(), read_header(vault_file, even_locked=True))


def forget(vault_file: Path, master_key: Secret, *, keyring: Keyring | None = None) -> bool:
    """Take the vault's key out of the keyring, once the master key given has opened the vault: a random key that only
    the keyring knows is never lost. Whether there was one to take out.

    Raises:
        WrongKeyError: the key does not open the vault; the keyring still holds it.
    """
    header = read_header(vault_file, even_locked=True)
    header.prove(master_key)
    return (keyring or Keyring()).delete(header.keyring_name)


def _holds(keyring: Keyring, header: Header) -> bool:
    try:
        return keyring.get(header.keyring_name) is not None
    except KeyringError:
        return False


def _no_credential(file: Path, why: str) -> CredentialError:
    return CredentialError(
        f"the master key in {file} {why}",
        hint="mend the file that it comes from, or install the service again: `codex-manager service install`",
    )


def _none(keyring: str, prompt: str) -> NoMasterKeyError:
    return NoMasterKeyError(
        f"no master key: {VARIABLE} is not set, the OS keyring {keyring}, and {prompt}",
        hint=f"set {VARIABLE}, unlock the keyring, or run this on a terminal",
    )
