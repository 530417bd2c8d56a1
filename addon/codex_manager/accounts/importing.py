"""An import from its bytes to the vault: read, judged, planned, carried out.

Law: an import is decided whole and written in one transaction, or not at all; every refusal says that nothing was imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from codex_manager.accounts import transfer_format
from codex_manager.accounts.errors import ImportConflictError, ImportRefusedError
from codex_manager.accounts.import_plan import ConflictError, Plan, Wish, plan
from codex_manager.accounts.transfer_format import Parcel, TransferError
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault.store import Vault, new_account


__all__ = [
    "FILE_MAX",
    "Preview",
    "carry_out",
    "parcel_of",
    "planned",
    "preview_of",
    "refuse_local_keys",
    "remarks",
    "text_of",
]

FILE_MAX: Final = 64 * 1024 * 1024
"""Bytes read of an import; ten thousand accounts are under 10 MB."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import does, or has done: labels, in the order of the file."""

    added: tuple[str, ...]
    """As they are stored."""
    replaced: tuple[str, ...]
    """As they are stored from then on."""
    skipped: tuple[str, ...]
    """As in the file."""
    ignored: tuple[str, ...]
    """Fields of the file that accounts do not have."""
    notes: tuple[str, ...]
    """Who gets another label, and why somebody is left out."""


def text_of(data: bytes) -> str:
    """The text of a file.

    Raises:
        ImportRefusedError: it is too large, empty, or no text.
    """
    if len(data) > FILE_MAX:
        raise ImportRefusedError(f"the file is larger than {FILE_MAX // 2**20} MiB; that is no export")
    if not data.strip():
        raise ImportRefusedError("the file is empty")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImportRefusedError("the file is not UTF-8 text; nothing was imported") from None


def parcel_of(text: str) -> Parcel:
    """What an unsealed file holds.

    Raises:
        ImportRefusedError: naming the account and the field that cannot be read.
    """
    try:
        return transfer_format.parse(text)
    except TransferError as error:
        raise ImportRefusedError(f"{error}; nothing was imported") from None


def refuse_local_keys(local: Sequence[Secret], parcel: Parcel) -> None:
    """Keys that clients send to the proxy are no keys of OpenAI's.

    Raises:
        ImportRefusedError: naming the first account that has one.
    """
    for draft in parcel.drafts:
        if draft.fields["api_key"] in local:
            raise ImportRefusedError(
                f"account {draft.index} has a local key of codex-manager instead of one from OpenAI; nothing was imported"
            )


def planned(stored: Sequence[Account], parcel: Parcel, wish: Wish | None) -> Plan:
    """What will happen.

    Raises:
        ImportConflictError: a collision without a wish, or one that no wish resolves.
    """
    try:
        return plan(stored, parcel.drafts, wish)
    except ConflictError as error:
        hint = "choose what becomes of them: skip, replace or rename" if wish is None else None
        raise ImportConflictError(f"{error}; nothing was imported", hint=hint) from None


def carry_out(vault: Vault, done: Plan) -> None:
    """Write it. The caller holds the transaction in which it was planned."""
    for addition in done.add:
        fields: dict[str, Any] = {key: value for key, value in addition.draft.fields.items() if value is not None}
        del fields["label"], fields["api_key"]
        if addition.id is not None:
            fields["id"] = addition.id
        vault.add(new_account(addition.label, addition.draft.fields["api_key"], **fields))
    for draft, stored in done.replace:
        kept = {"created_at", "updated_at"} | {
            key for key, value in draft.fields.items() if key == "last_used_at" and value is None
        }
        vault.update(stored.replace(**{key: value for key, value in draft.fields.items() if key not in kept}))


def remarks(done: Plan) -> tuple[str, ...]:
    """Who gets another label, and why somebody is left out: a sentence each."""
    renamed = [a for a in done.add if a.label != a.draft.label]
    return (
        *(f"{addition.draft.label!r} becomes {addition.label!r}" for addition in renamed),
        *(f"{draft.label!r} is left out: {reason} as {stored.label!r}" for draft, stored, reason in done.skip),
    )


def preview_of(done: Plan, parcel: Parcel) -> Preview:
    """The plan in labels."""
    return Preview(
        added=tuple(addition.label for addition in done.add),
        replaced=tuple(draft.label for draft, _ in done.replace),
        skipped=tuple(draft.label for draft, _, _ in done.skip),
        ignored=parcel.ignored,
        notes=remarks(done),
    )
