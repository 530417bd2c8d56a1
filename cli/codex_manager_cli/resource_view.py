"""How things and who has them are shown. Pure."""

import datetime as dt

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codex_manager.core.telling.columns import columns
from codex_manager_cli.account_view import when


if TYPE_CHECKING:
    from codex_manager.core.owners import Owner
    from codex_manager.provider.thing import Sight

__all__ = ["as_data", "as_table", "page", "seen"]


def as_data(name: str, owner: "Owner", labels: Mapping[str, str]) -> dict[str, Any]:
    """For programs; names and order stay from release to release."""
    organization, _, project = owner.domain.partition("/")
    is_own = organization.startswith("account:")
    return {
        "id": name,
        "kind": owner.family,
        "account": labels.get(owner.account_id),
        "account_id": owner.account_id,
        "organization": None if is_own else organization,
        "project": None if is_own or project == "-" or project.startswith("account:") else project or None,
        "certain": owner.strong,
        "seen_at": dt.datetime.fromtimestamp(owner.seen, dt.UTC).isoformat(timespec="seconds"),
    }


def as_table(things: Sequence[Mapping[str, Any]]) -> str:
    """One line a thing."""
    rows = [("ID", "KIND", "ACCOUNT", "ORGANIZATION", "PROJECT", "LAST SEEN")]
    rows += [
        (
            thing["id"],
            thing["kind"].replace("_", " "),
            _account(thing),
            thing["organization"] or "-",
            thing["project"] or "-",
            when(thing["seen_at"]),
        )
        for thing in things
    ]
    return columns(rows)


def page(thing: Mapping[str, Any]) -> str:
    """All that is known of one."""
    lines = [
        ("id", thing["id"]),
        ("kind", thing["kind"].replace("_", " ")),
        ("account", _account(thing)),
        ("organization", thing["organization"] or "-"),
        ("project", thing["project"] or "-"),
        ("last seen", when(thing["seen_at"])),
        ("evidence", "an answer showed it" if thing["certain"] else "an answer only named it"),
    ]
    return columns(lines)


def seen(sights: "Sequence[Sight]", labels: Mapping[str, str]) -> str:
    """What each account said, when it was asked."""
    rows = []
    for sight in sights:
        said = "has it" if sight.has else "does not have it" if sight.has is not None else f"unknown: {sight.why}"
        rows.append((labels.get(sight.account_id, sight.account_id), said))
    return columns(rows)


def _account(thing: Mapping[str, Any]) -> str:
    return str(thing["account"] or f"{thing['account_id'][:8]} (removed)")
