"""Which account issued an ephemeral client secret of Realtime (`ek_…`), so that what is done with it goes there.

Law: only digests are kept, a bounded number of them, and not longer than OpenAI lets such a secret live.
"""

import hashlib
import re


__all__ = ["ISSUERS", "ClientSecrets"]

ISSUERS = frozenset({"/v1/realtime/client_secrets", "/v1/realtime/sessions", "/v1/realtime/transcription_sessions"})
"""POSTs whose answers hold one."""
MOST = 4096
LIFE_S = 7500.0
"""`expires_after` is at most 7,200 s; five minutes for clocks that differ."""
_SECRET = re.compile(rb'"(ek_[A-Za-z0-9_\-]{8,400})"')


class ClientSecrets:
    """The mutable state: account and time by digest, oldest first."""

    def __init__(self) -> None:
        self._issued: dict[bytes, tuple[str, float]] = {}

    def learn(self, body: bytes, account_id: str, now: float) -> None:
        """Remember every secret in an answer (decoded) of this account's."""
        for secret in _SECRET.findall(body):
            name = _digest(secret)
            self._issued.pop(name, None)
            self._issued[name] = (account_id, now + LIFE_S)
        while len(self._issued) > MOST:
            del self._issued[next(iter(self._issued))]

    def issuer(self, secret: bytes, now: float) -> str | None:
        """The id of the account that issued a secret; None when nobody here did, or it has expired."""
        account_id, until = self._issued.get(_digest(secret), (None, 0.0)) if secret.startswith(b"ek_") else (None, 0.0)
        return account_id if now < until else None

    def __len__(self) -> int:
        return len(self._issued)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
