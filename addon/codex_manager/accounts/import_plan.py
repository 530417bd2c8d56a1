"""What an import will do to a vault, decided before anything is written.

Pure: what is there, what comes and the user's wish in, a plan out. An incoming account conflicts with a stored one
that has its label, its id or its API key. Law: without a wish a conflict stops the import, naming every conflict; one
API key is never stored twice, whatever the wish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from codex_manager.accounts.fields import LABEL_MAX
from codex_manager.accounts.transfer_format import Draft
from codex_manager.core.account import Account
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault.names import folded


__all__ = ["Addition", "ConflictError", "Plan", "Wish", "plan"]

type Wish = Literal["skip", "replace", "rename"]


class ConflictError(ValueError):
    """Stored and incoming accounts collide and nobody said what to do; the text names them."""


@dataclass(frozen=True, slots=True)
class Addition:
    """An account that will be new."""

    draft: Draft
    label: str
    id: str | None
    """The file's id when it is free, else None: the vault gives one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen, in the order of the file."""

    add: tuple[Addition, ...]
    replace: tuple[tuple[Draft, Account], ...]
    skip: tuple[tuple[Draft, Account, str], ...]
    """Left alone, the stored account it collides with, and why."""


def plan(stored: Sequence[Account], drafts: Sequence[Draft], wish: Wish | None) -> Plan:
    """Decide about every draft.

    Raises:
        ConflictError: a collision without a wish, or one that no wish resolves.
    """
    add: list[Addition] = []
    replace: list[tuple[Draft, Account]] = []
    skip: list[tuple[Draft, Account, str]] = []
    stopped: list[str] = []
    taken_labels = {folded(a.label) for a in stored} | {folded(d.label) for d in drafts}
    taken_ids = {a.id for a in stored}
    replaced: dict[str, Draft] = {}
    for draft in drafts:
        found = _collisions(stored, draft)
        if not found:
            add.append(Addition(draft, draft.label, draft.id))
            continue
        other, reason = found[0]
        if wish is None:
            stopped.append(
                f"'{shorten(draft.label)}' ({reason}{'' if _same(other, draft) else f' as {other.label!r}'})"
            )
        elif wish == "skip":
            skip.append((draft, other, reason))
        elif wish == "rename":
            if by_key := next((a for a, why in found if why == "same API key"), None):
                skip.append((draft, by_key, "same API key"))
                continue
            label = _free_label(draft.label, taken_labels) if reason == "same label" else draft.label
            taken_labels.add(folded(label))
            add.append(Addition(draft, label, None if draft.id in taken_ids else draft.id))
        else:
            if len({a.id for a, _ in found}) > 1:
                names = " and ".join(repr(a.label) for a, _ in found[:2])
                raise ConflictError(f"account {draft.index} of the file collides with both {names}; replace which one?")
            if other.id in replaced:
                raise ConflictError(
                    f"accounts {replaced[other.id].index} and {draft.index} of the file would both replace {other.label!r}"
                )
            replaced[other.id] = draft
            replace.append((draft, other))
    if stopped:
        more = f" and {len(stopped) - 5} more" if len(stopped) > 5 else ""
        raise ConflictError(f"already in the vault: {', '.join(stopped[:5])}{more}")
    return Plan(tuple(add), tuple(replace), tuple(skip))


def _collisions(stored: Sequence[Account], draft: Draft) -> list[tuple[Account, str]]:
    """The stored accounts this one collides with, the label first: it is what the user sees."""
    by_label = [(a, "same label") for a in stored if folded(a.label) == folded(draft.label)]
    by_id = [(a, "same id") for a in stored if draft.id is not None and a.id == draft.id]
    by_key = [(a, "same API key") for a in stored if a.api_key == draft.fields["api_key"]]
    return by_label + by_id + by_key


def _same(account: Account, draft: Draft) -> bool:
    return folded(account.label) == folded(draft.label)


def _free_label(label: str, taken: set[str]) -> str:
    """`work`, then `work (2)`, `work (3)`, …, never longer than a label may be."""
    number = 2
    while True:
        suffix = f" ({number})"
        candidate = label[: LABEL_MAX - len(suffix)] + suffix
        if folded(candidate) not in taken:
            return candidate
        number += 1
