"""Text sealed under a passphrase, to be carried to another machine: what `export` writes and `import` opens.

Knows nothing of what is inside. The file is one JSON object; its passphrase goes through the same Argon2id as a master
key, its parameters and everything else beside the ciphertext are bound by the AAD. Law: a file is judged before the key
derivation spends memory on it; what does not open is one error, whether the passphrase or the file is wrong.
"""

import json

from typing import Any, Final

from argon2 import Parameters

from codex_manager.core.secret import Secret
from codex_manager.vault import envelope
from codex_manager.vault.errors import VaultError, VaultHeaderRefusedError, VaultTooNewError
from codex_manager.vault.kdf import RFC_9106_LOW_MEMORY, KdfParams, derive


__all__ = ["FORMAT", "VERSION", "SealedFileRefusedError", "WrongPassphraseError", "is_sealed", "open_text", "seal_text"]

FORMAT: Final = "codex-manager sealed"
VERSION: Final = 1


class SealedFileRefusedError(VaultError):
    """The file is not one that `seal_text` writes."""


class WrongPassphraseError(VaultError):
    """The passphrase does not open the file, or the file was changed."""

    status = 3


def seal_text(text: str, passphrase: Secret, *, profile: Parameters = RFC_9106_LOW_MEMORY) -> str:
    """The file's text, ending in a newline."""
    kdf = KdfParams.fresh(profile)
    key = derive(passphrase, kdf)
    try:
        sealed = envelope.seal(key, text.encode(), _place(kdf))
    finally:
        envelope.wipe(key)
    return json.dumps({"format": FORMAT, "version": VERSION, "kdf": kdf.to_data(), "sealed": sealed}, indent=2) + "\n"


def is_sealed(text: str) -> bool:
    """Whether the text says it is one of ours; opening may still refuse it."""
    return _read(text).get("format") == FORMAT


def open_text(text: str, passphrase: Secret) -> str:
    """What was sealed.

    Raises:
        SealedFileRefusedError: not a sealed file, or one that asks for something unreasonable.
        VaultTooNewError: a later version wrote it.
        WrongPassphraseError: it does not open.
    """
    data = _read(text)
    if data.get("format") != FORMAT:
        raise SealedFileRefusedError("the file is not a sealed file of codex-manager")
    version = data.get("version")
    if type(version) is int and version > VERSION:
        raise VaultTooNewError(
            f"the sealed file has format {version}, and this codex-manager knows formats up to {VERSION}",
            hint="update codex-manager",
        )
    if version != VERSION or set(data) != {"format", "version", "kdf", "sealed"} or not isinstance(data["sealed"], str):
        raise SealedFileRefusedError("the sealed file is damaged: its envelope is not as it was written")
    try:
        kdf = KdfParams.from_data(data["kdf"])
    except VaultHeaderRefusedError as error:
        why = str(error).rpartition(": ")[2]
        raise SealedFileRefusedError(f"the sealed file is refused: {why}") from None
    key = derive(passphrase, kdf)
    try:
        return envelope.open_sealed(key, data["sealed"], _place(kdf)).decode()
    except envelope.SealBrokenError:
        raise WrongPassphraseError(
            "the passphrase does not open the file",
            hint="if the passphrase is surely right, the file was changed or cut on its way",
        ) from None
    finally:
        envelope.wipe(key)


def _read(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _place(kdf: KdfParams) -> bytes:
    return envelope.aad(FORMAT, str(VERSION), *(f"{name}={value}" for name, value in kdf.to_data().items()))
