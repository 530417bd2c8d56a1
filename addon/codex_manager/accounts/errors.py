"""What can be wrong with what somebody wants of an account, one named error each.

Law: as with every error of ours, a sentence for its reader and a hint, and no secret. `field` names the field of `Account` that is to
blame, so that a form can show the sentence beside it.
"""

from collections.abc import Mapping
from typing import ClassVar

from codex_manager.core.errors import CodexManagerError


__all__ = [
    "AccountError", "FieldsError", "ImportConflictError", "ImportRefusedError", "KeyRefusedError", "KnownKeyError", "KnownLabelError",
    "LocalKeyError", "MovedError", "NoVaultError", "PassphraseNeededError",
]  # fmt: skip


class AccountError(CodexManagerError):
    """Superclass of all errors here; never raised itself."""

    field: ClassVar[str | None] = None
    """The one field that is to blame."""


class FieldsError(AccountError):
    """Values that cannot be stored, all of them at once."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(fields.values()), exit_code=2)
        self.fields = dict(fields)
        """Field -> the sentence about its value."""


class KnownLabelError(AccountError):
    """Another account has this label."""

    field = "label"


class KnownKeyError(AccountError):
    """Another account has this key."""

    field = "api_key"


class LocalKeyError(AccountError):
    """The key is one that clients send to us, not one of OpenAI's."""

    field = "api_key"


class KeyRefusedError(AccountError):
    """OpenAI refuses the key."""

    field = "api_key"


class MovedError(AccountError):
    """The account would go to another host and take along a key that was not given again."""

    field = "base_url"


class NoVaultError(AccountError):
    """There is no vault yet, so no account either."""


class PassphraseNeededError(AccountError):
    """The file is sealed, or is to be sealed, and no passphrase was given."""

    field = "passphrase"


class ImportRefusedError(AccountError):
    """The file cannot be imported; nothing was."""


class ImportConflictError(ImportRefusedError):
    """Accounts of the file are there already, and what to do about them was not said or cannot be done."""
