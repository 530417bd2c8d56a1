"""Seals bytes under a key: base64(nonce(12) || AES-256-GCM ciphertext and tag), bound to its place by the AAD.

Knows neither accounts nor files. Laws: every seal takes a fresh random 96-bit nonce (NIST SP 800-38D §8.2.2 allows
2**32 of them per key; a vault makes a handful a day, and `rotate` starts afresh); one text form per sealed value, so a
changed character is always a refused one; what does not open gives no reason beyond "it does not open".
"""

import base64
import binascii
import secrets
import struct

from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_BYTES", "NONCE_BYTES", "TAG_BYTES", "SealBrokenError", "aad", "new_key", "open_sealed", "seal", "wipe"]

KEY_BYTES: Final = 32  # AES-256
NONCE_BYTES: Final = 12  # NIST SP 800-38D §5.2.1.1 recommends 96 bits
TAG_BYTES: Final = 16  # the full 128 bits


class SealBrokenError(Exception):
    """The value does not open with this key at this place. The caller knows what that means."""


def new_key() -> bytearray:
    """A fresh random key, in memory that `wipe` can clear."""
    return bytearray(secrets.token_bytes(KEY_BYTES))


def wipe(key: bytearray) -> None:
    """Overwrite key material. CPython may have copied it before; this clears the copy we hold."""
    key[:] = bytes(len(key))


def aad(*parts: str) -> bytes:
    """Name the place of a value: parts with their lengths in front, so that no two places share a name."""
    return b"".join(struct.pack(">I", len(raw)) + raw for raw in (part.encode() for part in parts))


def seal(key: bytes | bytearray, plaintext: bytes, place: bytes) -> str:
    """Encrypt and authenticate; `place` (see `aad`) must be given again to open."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(key).encrypt(nonce, plaintext, place)).decode("ascii")


def open_sealed(key: bytes | bytearray, sealed: str, place: bytes) -> bytes:
    """The plaintext.

    Raises:
        SealBrokenError: wrong key, wrong place, or anything changed.
    """
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (ValueError, binascii.Error):
        raise SealBrokenError from None
    # base64 leaves unused bits in the last character; only the canonical text is ours
    if len(raw) < NONCE_BYTES + TAG_BYTES or base64.b64encode(raw).decode("ascii") != sealed:
        raise SealBrokenError
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place)
    except InvalidTag:
        raise SealBrokenError from None


def _cipher(key: bytes | bytearray) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 30 ms that no `--help` needs

    return AESGCM(key)
