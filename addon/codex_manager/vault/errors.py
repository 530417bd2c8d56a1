"""Everything that can go wrong with a vault, one named error each.

Law: the message is one sentence for the person at the terminal, without a full stop and without any secret; `hint` says
what to do. Exit status 3 means "the vault is locked or the key is not the right one", 1 everything else.
Factored out to avoid import loops.
"""

from typing import ClassVar

from codex_manager.core.errors import CodexManagerError


__all__ = [
    "AccountNotFoundError", "AmbiguousIdentifierError", "BackupExistsError", "ClientKeyNotFoundError", "CredentialError", "KeyNameTakenError",
    "KeyringEmptyError", "KeyringError", "KeyringLockedError", "KeyringMissingError", "KeyringRefusedError", "KeyringTimeoutError",
    "LabelRefusedError", "LabelTakenError", "NoMasterKeyError", "VaultBusyError", "VaultClosedError", "VaultCorruptError",
    "VaultError", "VaultExistsError", "VaultFullError", "VaultHeaderRefusedError", "VaultLockedError", "VaultMissingError",
    "VaultTamperedError", "VaultTooNewError", "VaultUnreadableError", "VaultUnwritableError", "WrongKeyError",
]  # fmt: skip


class VaultError(CodexManagerError):
    """Superclass of all vault errors; never raised itself."""

    status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, exit_code=self.status)


# The file ------------------------------------------------------------------------------------------------------------


class VaultMissingError(VaultError):
    """There is no vault at the path."""


class VaultExistsError(VaultError):
    """A vault was to be made where there is a file already."""


class VaultCorruptError(VaultError):
    """The file is not a vault, or SQLite finds it damaged."""


class VaultHeaderRefusedError(VaultError):
    """The header is malformed or asks for something no honest vault asks for; the key was not even tried."""


class VaultTooNewError(VaultError):
    """The vault was written by a later version of codex-manager."""


class VaultTamperedError(VaultError):
    """A record does not open with the vault's own key: changed, moved or cut. `record` names its row."""

    def __init__(self, message: str, *, hint: str | None = None, kind: str = "", record: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.record = record


class VaultBusyError(VaultError):
    """Another process held the vault for longer than we wait."""


class VaultFullError(VaultError):
    """The disk is full; nothing was changed."""


class VaultUnwritableError(VaultError):
    """The file or its directory may not be written; nothing was changed."""


class VaultUnreadableError(VaultError):
    """The file may not be read, or the disk answers with errors."""


class BackupExistsError(VaultError):
    """A backup was to be written over an existing file."""


class VaultClosedError(VaultError):
    """The vault object was used after `close()`: a mistake of the program, not of the user."""


# The key -------------------------------------------------------------------------------------------------------------


class NoMasterKeyError(VaultError):
    """No source had a master key."""

    status = 3


class CredentialError(VaultError):
    """What the service manager hands over as the master key cannot be one."""

    status = 3


class WrongKeyError(VaultError):
    """The master key does not open the vault."""

    status = 3


class VaultLockedError(VaultError):
    """The vault is locked until `vault unlock`."""

    status = 3


class KeyringError(VaultError):
    """Superclass of what the OS keyring can do to us."""


class KeyringMissingError(KeyringError):
    """There is no keyring service to talk to."""


class KeyringRefusedError(KeyringError):
    """The keyring on offer does not keep secrets (null, plaintext file) or did not keep this one."""


class KeyringLockedError(KeyringError):
    """The keyring is locked and nobody unlocked it."""


class KeyringTimeoutError(KeyringError):
    """The keyring did not answer in time; usually a prompt on the desktop waits for somebody."""


class KeyringEmptyError(KeyringError):
    """The keyring holds no key for this vault."""


# What is inside ------------------------------------------------------------------------------------------------------


class AccountNotFoundError(VaultError):
    """No account has this label, id or prefix."""


class AmbiguousIdentifierError(VaultError):
    """A prefix fits several accounts. `candidates` are their labels."""

    def __init__(self, message: str, *, hint: str | None = None, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.candidates = candidates


class LabelTakenError(VaultError):
    """Another account has this label already."""


class LabelRefusedError(VaultError):
    """The label is empty or has characters that no terminal or header can show."""


class ClientKeyNotFoundError(VaultError):
    """No client key has this name."""


class KeyNameTakenError(VaultError):
    """Another client key has this name already."""
