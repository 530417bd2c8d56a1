"""Accounts and client keys as the JSON that is sealed, and back.

Law: forward compatible. Fields of later versions are ignored when read and kept when written over (`merge`), so two
versions of codex-manager can share a vault. Times are ISO 8601 in UTC.
"""

import dataclasses
import json

from dataclasses import dataclass
from typing import Any, Final

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret


__all__ = ["ClientKey", "Payload", "account_from", "account_to", "client_key_from", "client_key_to", "dump", "load"]

type Payload = dict[str, Any]

ACCOUNT_FIELDS: Final = {field.name for field in dataclasses.fields(Account)}
SECRET_FIELDS: Final = ("api_key", "admin_key")
TUPLE_FIELDS: Final = ("models", "tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A local key that clients send, as the vault keeps it: by its digest."""

    id: str
    name: str
    """The user's name for the client; unique, compared without regard to case."""
    digest: bytes
    """SHA-256 of the key. The key is 256 random bits, so a slow hash would add nothing."""
    created_at: str
    models: tuple[str, ...] = ()
    """Model scope of its requests, as an account's (see core.models); empty means every model."""
    daily_limit_usd: float | None = None
    monthly_limit_usd: float | None = None
    """US dollars its requests may cost, whichever accounts serve them."""

    def replace(self, **changes: object) -> "ClientKey":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # field names are checked at run time


def load(raw: bytes) -> Payload:
    """A record's JSON object.

    Raises:
        ValueError: it is none.
    """
    data = json.loads(raw)
    if not isinstance(data, dict):
        raise ValueError("a record is a JSON object")  # noqa: TRY004 - to the caller all misfits are one
    return data


def dump(payload: Payload) -> bytes:
    """The bytes to seal."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def account_to(account: Account, *, over: Payload | None = None) -> Payload:
    """The account as JSON values; unknown fields of `over`, the record it replaces, stay."""
    known: Payload = {name: getattr(account, name) for name in ACCOUNT_FIELDS}
    for name in SECRET_FIELDS:
        known[name] = known[name].reveal() if known[name] is not None else None
    for name in TUPLE_FIELDS:
        known[name] = list(known[name])
    return {**(over or {}), **known}


def account_from(payload: Payload) -> Account:
    """The account a payload describes; missing fields have their defaults.

    Raises:
        KeyError, TypeError: a field that every account has is missing.
    """
    known = {name: value for name, value in payload.items() if name in ACCOUNT_FIELDS}
    for name in SECRET_FIELDS:
        if known.get(name) is not None:
            known[name] = Secret(known[name])
    for name in TUPLE_FIELDS:
        known[name] = tuple(known.get(name) or ())
    return Account(**known)


def client_key_to(key: ClientKey, *, over: Payload | None = None) -> Payload:
    """The client key as JSON values; unknown fields of `over`, the record it replaces, stay."""
    known: Payload = {
        "id": key.id,
        "name": key.name,
        "digest": key.digest.hex(),
        "created_at": key.created_at,
        "models": list(key.models),
        "daily_limit_usd": key.daily_limit_usd,
        "monthly_limit_usd": key.monthly_limit_usd,
    }
    return {**(over or {}), **known}


def client_key_from(payload: Payload) -> ClientKey:
    """The client key a payload describes; one of an earlier version has no limits.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    return ClientKey(
        id=payload["id"],
        name=payload["name"],
        digest=bytes.fromhex(payload["digest"]),
        created_at=payload["created_at"],
        models=tuple(payload.get("models") or ()),
        daily_limit_usd=payload.get("daily_limit_usd"),
        monthly_limit_usd=payload.get("monthly_limit_usd"),
    )
