"""The one part of a vault that is readable without the key: which vault, which format, how the key is derived.

Holds the data key wrapped by the key-encryption key. Law: everything in the header but the wrapped key itself is in
the wrap's AAD, so a changed header opens with no key at all; everything is judged before the key derivation runs.
"""

import dataclasses
import hashlib
import json
import uuid

from dataclasses import dataclass
from typing import Any, Final

from codex_manager.core.secret import Secret
from codex_manager.vault import envelope
from codex_manager.vault.errors import VaultHeaderRefusedError, VaultTooNewError, WrongKeyError
from codex_manager.vault.kdf import KdfParams, derive


__all__ = ["FORMAT", "VERSION", "Header"]

FORMAT: Final = "codex-manager vault"
VERSION: Final = 1
MAX_HEADER_CHARS: Final = 4096  # ours has some 450
MAX_WRAPPED_CHARS: Final = 80  # base64 of 12 + 32 + 16 bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What the vault says about itself."""

    vault_id: str
    key_id: str
    """Names the data key: `rotate` changes it, `rekey` does not."""
    kdf: KdfParams
    wrapped_key: str

    @classmethod
    def wrap(cls, vault_id: str, key_id: str, kdf: KdfParams, *, kek: bytearray, dek: bytearray) -> "Header":
        """A header that holds `dek` under `kek`."""
        bare = cls(vault_id, key_id, kdf, "")
        return dataclasses.replace(bare, wrapped_key=envelope.seal(kek, bytes(dek), bare._place()))

    def unwrap(self, kek: bytearray) -> bytearray:
        """The data key.

        Raises:
            WrongKeyError: the key-encryption key is another one, or the header was changed.
        """
        try:
            dek = bytearray(envelope.open_sealed(kek, self.wrapped_key, self._place()))
        except envelope.SealBrokenError:
            raise WrongKeyError(
                "the master key does not open this vault",
                hint="check CAM_MASTER_KEY and the key in the keyring; if the key is surely right, the vault was changed: restore a backup",
            ) from None
        if len(dek) != envelope.KEY_BYTES:
            raise _refused("the wrapped key has the wrong length")
        return dek

    def prove(self, master_key: Secret) -> None:
        """Return only if the master key opens the vault.

        Raises:
            WrongKeyError: it does not.
        """
        kek = derive(master_key, self.kdf)
        try:
            envelope.wipe(self.unwrap(kek))
        finally:
            envelope.wipe(kek)

    @property
    def keyring_name(self) -> str:
        """The keyring entry of this vault's master key. Each new master key has a name of its own, see `masterkey.rekey`."""
        return f"vault {self.vault_id} key {hashlib.sha256(self.kdf.salt).hexdigest()[:12]}"

    @classmethod
    def from_json(cls, text: object) -> "Header":
        """Read what `to_json` wrote.

        Raises:
            VaultTooNewError: a later version wrote it.
            VaultHeaderRefusedError: anything else that is not exactly a header of ours.
        """
        if not isinstance(text, str) or len(text) > MAX_HEADER_CHARS:
            raise _refused("it is not text of a header's size")
        try:
            data = json.loads(text, object_pairs_hook=_no_repeats)
        except (ValueError, RecursionError):
            raise _refused("it is not JSON") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise _refused("it does not name our format")
        version = data.get("version")
        if type(version) is not int or version < 1:
            raise _refused("its version is not a number")
        if version > VERSION:
            raise VaultTooNewError(
                f"the vault has format {version}, and this codex-manager knows formats up to {VERSION}",
                hint="update codex-manager",
            )
        if set(data) != {"format", "version", "vault_id", "key_id", "kdf", "wrapped_key"}:
            raise _refused("it has other fields than a header has")
        wrapped = data["wrapped_key"]
        if not isinstance(wrapped, str) or len(wrapped) > MAX_WRAPPED_CHARS:
            raise _refused("the wrapped key is not a wrapped key")
        return cls(_uuid(data["vault_id"]), _uuid(data["key_id"]), KdfParams.from_data(data["kdf"]), wrapped)

    def to_json(self) -> str:
        """As stored."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "vault_id": self.vault_id,
                "key_id": self.key_id,
                "kdf": self.kdf.to_data(),
                "wrapped_key": self.wrapped_key,
            }
        )

    def _place(self) -> bytes:
        return envelope.aad(
            FORMAT,
            str(VERSION),
            "wrapped key",
            self.vault_id,
            self.key_id,
            *(f"{name}={value}" for name, value in self.kdf.to_data().items()),
        )


def _uuid(value: object) -> str:
    try:
        if isinstance(value, str) and str(uuid.UUID(value)) == value:
            return value
    except ValueError:
        pass  # refused below, with the same words as any other thing that is no UUID
    raise _refused("an id in it is not a UUID")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError
    return dict(pairs)


def _refused(why: str) -> VaultHeaderRefusedError:
    return VaultHeaderRefusedError(
        f"the vault's header is refused: {why}", hint="restore a backup with `codex-manager vault restore`"
    )
