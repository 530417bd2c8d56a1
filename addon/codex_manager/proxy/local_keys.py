"""The keys that let a client in, and the one place that compares them.

Law: only digests are kept; a presented key is hashed and compared with every candidate in constant time, so neither
the time nor an early exit tells how close a guess was. Bytes throughout: `compare_digest` raises on non-ASCII text.
"""

import hashlib
import hmac

from collections.abc import Iterable
from dataclasses import dataclass


__all__ = ["LocalKey", "LocalKeys", "digest"]


def digest(key: bytes) -> bytes:
    """How a local key is kept, here and in the vault."""
    return hashlib.sha256(key).digest()


@dataclass(frozen=True, slots=True)
class LocalKey:
    """One key by its name and sha256 digest, and what its requests may do."""

    name: str
    digest: bytes
    models: tuple[str, ...] = ()
    """Model scope (see core.models); empty means every model."""
    daily_limit_usd: float | None = None
    monthly_limit_usd: float | None = None


class LocalKeys:
    """The keys now valid."""

    def __init__(self, keys: Iterable[LocalKey]) -> None:
        self._keys = tuple(keys)

    def name_of(self, presented: bytes) -> str | None:
        """Whose key it is; None when it is not ours."""
        if not presented:
            return None
        ours = digest(presented)
        found: str | None = None
        for key in self._keys:  # all of them, always
            if hmac.compare_digest(key.digest, ours):
                found = key.name
        return found

    def __repr__(self) -> str:
        return f"<LocalKeys {', '.join(key.name for key in self._keys)}>"
