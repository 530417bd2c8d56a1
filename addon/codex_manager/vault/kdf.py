"""Turns a master key into the key-encryption key: Argon2id, its parameters stored as data beside the vault's salt.

Law: parameters come from a file that anybody may have written, so they are judged before a byte of memory is spent on
them. Too cheap cannot be told from a test's vault and helps no attacker who lacks the master key; too dear would let a
file stop the machine. Profiles are argon2-cffi's named ones (RFC 9106 §4).
"""

import base64
import binascii
import secrets
import unicodedata

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from argon2 import Parameters, Type
from argon2.exceptions import HashingError
from argon2.low_level import hash_secret_raw
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from codex_manager.core.secret import Secret
from codex_manager.vault.envelope import KEY_BYTES
from codex_manager.vault.errors import VaultHeaderRefusedError, VaultUnreadableError


__all__ = ["CHEAPEST", "RFC_9106_LOW_MEMORY", "KdfParams", "derive"]

ALGORITHM: Final = "argon2id"
ARGON2_VERSION: Final = 19  # 0x13, the only version RFC 9106 defines
MIN_SALT_BYTES: Final = 16  # RFC 9106 §3.1 recommends 16 bytes
MAX_SALT_BYTES: Final = 64
MAX_TIME_COST: Final = 16
MAX_PARALLELISM: Final = 16
MAX_MEMORY_KIB: Final = 2**21  # 2 GiB: RFC 9106's first option, the dearest named profile
MAX_WORK: Final = 2**22  # time cost × KiB; twice the first option, some 5 s on two cores


@dataclass(frozen=True, slots=True)
class KdfParams:
    """How the key-encryption key is made. Valid by construction: a hostile set cannot exist."""

    time_cost: int
    memory_kib: int
    parallelism: int
    salt: bytes

    def __post_init__(self) -> None:
        _within("time cost", self.time_cost, 1, MAX_TIME_COST)
        _within("parallelism", self.parallelism, 1, MAX_PARALLELISM)
        _within("memory", self.memory_kib, 8 * self.parallelism, MAX_MEMORY_KIB)  # RFC 9106 §3.1: at least 8 KiB a lane
        if self.time_cost * self.memory_kib > MAX_WORK:
            raise _refused("time cost and memory together are beyond reason")
        if not MIN_SALT_BYTES <= len(self.salt) <= MAX_SALT_BYTES:
            raise _refused(f"the salt has {len(self.salt)} bytes instead of {MIN_SALT_BYTES} to {MAX_SALT_BYTES}")

    @classmethod
    def fresh(cls, profile: Parameters = RFC_9106_LOW_MEMORY) -> "KdfParams":
        """A profile's costs with a new random salt."""
        return cls(profile.time_cost, profile.memory_cost, profile.parallelism, secrets.token_bytes(MIN_SALT_BYTES))

    @classmethod
    def from_data(cls, data: object) -> "KdfParams":
        """Read what `to_data` wrote.

        Raises:
            VaultHeaderRefusedError: anything missing, unknown, of the wrong type or beyond the limits.
        """
        if not isinstance(data, dict) or set(data) != {
            "name",
            "version",
            "time_cost",
            "memory_kib",
            "parallelism",
            "salt",
        }:
            raise _refused("the key derivation is not described as expected")
        if data["name"] != ALGORITHM:
            raise _refused("the key derivation function is unknown")
        if type(data["version"]) is not int or data["version"] != ARGON2_VERSION:
            raise _refused("the Argon2 version is unknown")
        try:
            salt = base64.b64decode(data["salt"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _refused("the salt is not base64") from None
        if base64.b64encode(salt).decode("ascii") != data["salt"]:
            raise _refused("the salt is not written as we write it")
        return cls(data["time_cost"], data["memory_kib"], data["parallelism"], salt)

    def to_data(self) -> Mapping[str, str | int]:
        """As stored in the header."""
        return {
            "name": ALGORITHM,
            "version": ARGON2_VERSION,
            "time_cost": self.time_cost,
            "memory_kib": self.memory_kib,
            "parallelism": self.parallelism,
            "salt": base64.b64encode(self.salt).decode("ascii"),
        }


def derive(master_key: Secret, params: KdfParams) -> bytearray:
    """The key-encryption key, 32 bytes. Takes as long as the parameters say (0.28 s at the default, measured)."""
    # NFC: one passphrase typed on two systems is one passphrase; surrogatepass: an environment may hold any bytes
    password = unicodedata.normalize("NFC", master_key.reveal()).encode("utf-8", "surrogatepass")
    try:
        return bytearray(
            hash_secret_raw(
                password,
                params.salt,
                time_cost=params.time_cost,
                memory_cost=params.memory_kib,
                parallelism=params.parallelism,
                hash_len=KEY_BYTES,
                type=Type.ID,
                version=ARGON2_VERSION,
            )
        )
    except HashingError:
        raise VaultUnreadableError(
            f"the vault's key needs {params.memory_kib // 1024} MiB of memory to be derived, and there is not enough",
            hint="free some memory or raise this process's memory limit",
        ) from None


def _within(what: str, value: object, low: int, high: int) -> None:
    if type(value) is not int:
        raise _refused(f"the {what} is not a whole number")
    if not low <= value <= high:
        raise _refused(f"the {what} is {value}, outside of {low} to {high}")


def _refused(why: str) -> VaultHeaderRefusedError:
    return VaultHeaderRefusedError(
        f"the vault's header is refused: {why}", hint="restore a backup with `codex-manager vault restore`"
    )
