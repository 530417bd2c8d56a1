"""What an export looks like inside, and every shape an import may have.

Pure: text in, drafts out, and accounts in, text out. Ours is an object with `format` and `version`; the original
product wrote a list, or an object with `accounts`, its fields in snake_case or camelCase. Law: a file is read whole or
refused with one sentence that names the account by its index and the field; no sentence quotes a key.
"""

import json
import uuid

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from codex_manager.accounts.fields import CHECKS, FieldError, check
from codex_manager.core.account import Account
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault.names import folded


__all__ = ["FORMAT", "VERSION", "Draft", "Parcel", "TransferError", "dump", "parse"]

FORMAT = "codex-manager-accounts"
VERSION = 1
MAX_ACCOUNTS = 10_000
"""More than any person has; a guard against a file that is something else."""

TIMES = ("created_at", "updated_at", "last_used_at")
NAMES = {
    # what a file may call it -> our field; camelCase is folded to snake_case before
    "org": "organization", "org_id": "organization", "organization_id": "organization",
    "project_id": "project",
    "model_scope": "models",
    "daily_limit": "daily_limit_usd", "monthly_limit": "monthly_limit_usd",
    "last_used": "last_used_at",
    "key": "api_key",
    "name": "label",
}  # fmt: skip


class TransferError(ValueError):
    """The file is not an export; the text is a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One account as a file describes it, every field checked; what the file left out is not in `fields`."""

    index: int
    """Place in the file, from 1, for messages."""
    id: str | None
    fields: Mapping[str, Any]

    @property
    def label(self) -> str:
        label = self.fields["label"]
        assert isinstance(label, str)
        return label


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file, read."""

    drafts: tuple[Draft, ...]
    ignored: tuple[str, ...]
    """Fields we do not know and leave out, each once."""


def dump(accounts: Iterable[Account], *, now: datetime) -> str:
    """The plain text of an export, keys in clear: for sealing, or for `--plaintext`."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "accounts": [_as_record(account) for account in accounts],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def parse(text: str) -> Parcel:
    """Read an export of ours or of the original product.

    Raises:
        TransferError: naming the account and the field that cannot be read.
    """
    records = _records(_json(text))
    if len(records) > MAX_ACCOUNTS:
        raise TransferError(f"the file holds {len(records)} accounts; at most {MAX_ACCOUNTS} are read")
    drafts: list[Draft] = []
    ignored: dict[str, None] = {}
    for index, record in enumerate(records, start=1):
        drafts.append(_draft(index, record, ignored))
    _no_twins(drafts)
    return Parcel(tuple(drafts), tuple(ignored))


def _as_record(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "label": account.label,
        "api_key": account.api_key.reveal(),
        "organization": account.organization,
        "project": account.project,
        "base_url": account.base_url,
        "models": list(account.models),
        "daily_limit_usd": account.daily_limit_usd,
        "monthly_limit_usd": account.monthly_limit_usd,
        "priority": account.priority,
        "weight": account.weight,
        "enabled": account.enabled,
        "admin_key": account.admin_key.reveal() if account.admin_key else None,
        "tags": list(account.tags),
        "notes": account.notes,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
        "last_used_at": account.last_used_at,
    }


def _json(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise TransferError(f"the file is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except (RecursionError, ValueError):  # ValueError: an integer of more digits than Python reads
        raise TransferError("the file is not an export: it is nested or sized beyond reason") from None


def _records(document: Any) -> list[Any]:
    if isinstance(document, dict):
        if document.get("format", FORMAT) != FORMAT:
            raise TransferError(f"the file's format is '{shorten(str(document['format']))}', not {FORMAT!r}")
        version = document.get("version")
        if "format" in document and version != VERSION:
            raise TransferError(f"the export has version {shorten(str(version))}; this program reads version {VERSION}")
        if "accounts" not in document:
            raise TransferError("the file is not an export: it has no list of accounts")
        document = document["accounts"]
    if not isinstance(document, list):
        raise TransferError("the file is not an export: its accounts are not a list")
    return document


def _draft(index: int, record: Any, ignored: dict[str, None]) -> Draft:
    if not isinstance(record, dict):
        raise TransferError(f"account {index} is not an object")
    fields: dict[str, Any] = {}
    identity: str | None = None
    seen: dict[str, str] = {}
    for name, value in record.items():
        field = _field_name(name)
        if field in seen:
            raise TransferError(
                f"account {index} gives {field} twice, as '{shorten(seen[field])}' and '{shorten(name)}'"
            )
        seen[field] = name
        if field == "id":
            identity = _identity(index, value)
        elif field in TIMES:
            fields[field] = _time(index, name, value)
        elif field in CHECKS:
            try:
                fields[field] = check(field, value)
            except FieldError as error:
                raise TransferError(f"account {index}, field {name!r}: {error}") from None
        else:
            ignored[shorten(name)] = None
    for needed, called in (("label", "label"), ("api_key", "api_key")):
        if needed not in fields:
            raise TransferError(f"account {index} has no {called!r}")
    return Draft(index, identity, fields)


def _field_name(name: str) -> str:
    """`dailyLimit` and `daily_limit` are one field."""
    snake = "".join(f"_{c.lower()}" if c.isascii() and c.isupper() else c for c in name).lstrip("_")
    return NAMES.get(snake, snake)


def _identity(index: int, value: Any) -> str | None:
    """The id to keep; accounts are numbered by UUID, and a file made by hand may leave it out."""
    if value is None:
        return None
    try:
        return str(uuid.UUID(value))
    except (ValueError, TypeError, AttributeError):
        raise TransferError(f"account {index}, field 'id': not a UUID") from None


def _time(index: int, name: str, value: Any) -> str | None:
    """RFC 3339 in, and out as the vault writes times."""
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, TypeError, OverflowError):
        raise TransferError(f"account {index}, field {name!r}: not a time such as 2026-01-31T12:00:00Z") from None


def _no_twins(drafts: Sequence[Draft]) -> None:
    """Two accounts of one file must not be one account."""
    labels: dict[str, int] = {}
    keys: dict[str, int] = {}
    identities: dict[str, int] = {}
    for draft in drafts:
        for kind, values, value in (
            ("label", labels, folded(draft.label)),
            ("API key", keys, draft.fields["api_key"].reveal()),
            ("id", identities, draft.id),
        ):
            if value is None:
                continue
            if value in values:
                raise TransferError(f"accounts {values[value]} and {draft.index} have the same {kind}")
            values[value] = draft.index
