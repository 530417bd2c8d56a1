"""How it goes, gathered: from the running proxy, or without one from what ledger and vault know; what was spent from the ledger.

Law: reading only, asks nobody for a key, and never guesses: what is not known is None, and what was looked at is said.
"""

import os

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.persist import Mark
from codex_manager.ledger import Domain, LedgerError, LedgerMissingError, Reader, Totals
from codex_manager.vault import masterkey
from codex_manager.vault.errors import VaultError
from codex_manager_cli.control import Told
from codex_manager_cli.usage_names import display_names


__all__ = ["gathered"]


type Known = Callable[[], list[Account] | None]
"""The accounts of the vault, None when it is not open."""


def gathered(paths: Paths, told: Told | None, now: float, *, known: Known | None = None) -> dict[str, Any]:
    """One document, the same for people and programs. `notes` says what could not be looked at.

    `known`: for whoever has the vault open already; otherwise it is opened where nobody need be asked.
    """
    notes: list[str] = []
    look = known or (lambda: _accounts(paths, notes))
    try:
        with Reader.open(paths.ledger_file) as reader:
            return _document(told, reader, look, notes, now)
    except LedgerMissingError:
        pass
    except LedgerError as error:
        notes.append(str(error))
    return _document(told, None, look, notes, now)


def _document(told: Told | None, reader: Reader | None, look: Known, notes: list[str], now: float) -> dict[str, Any]:
    if told is not None:
        document = {"running": True, "address": str(told.address), "serving": told.document.get("available", 0) > 0}
        document |= told.document
    else:
        document = _without_proxy(look(), reader, now)
    spent = {} if reader is None else _spent(reader, now)
    for account in document["accounts"]:
        account.update(spent.get(account["id"], _NOTHING if reader is not None else _UNKNOWN))
    everything = list(spent.values())
    document["today"] = (
        None
        if reader is None
        else {
            "requests": sum(each["requests_today"] for each in everything),
            "errors": sum(each["errors_today"] for each in everything),
            "usd": round(sum(each["today_usd"] for each in everything), 6),
        }
    )
    document["notes"] = notes
    return document


_NOTHING = {"requests_today": 0, "errors_today": 0, "today_usd": 0.0, "month_usd": 0.0}
_UNKNOWN = dict.fromkeys(_NOTHING)


def _spent(reader: Reader, now: float) -> dict[str, dict[str, Any]]:
    """By account id; '' is what reached none."""
    windows = reader.calendar().at(now)
    month = reader.usage("account", since=windows.month)
    found: dict[str, dict[str, Any]] = {str(row.key[0]): _NOTHING | {"month_usd": float(row.usd)} for row in month}
    for row in reader.usage("account", since=windows.day):
        found[str(row.key[0])] |= {
            "requests_today": row.requests, "errors_today": row.errors, "today_usd": float(row.usd),
        }  # fmt: skip
    return found


# Without a proxy -----------------------------------------------------------------------------------------------------


def _without_proxy(accounts: list[Account] | None, reader: Reader | None, now: float) -> dict[str, Any]:
    marks = [] if reader is None else [mark for mark in reader.marks() if min(mark.until - now, mark.left_s) > 0]
    sessions = () if reader is None else reader.health().sessions
    domains = {} if reader is None else reader.domains()
    if accounts is not None:
        totals = Totals(0, 0, {}) if reader is None else reader.totals(now)
        listed = [_account(account, marks, domains.get(account.id), totals) for account in accounts]
    else:
        labels = {} if reader is None else display_names(reader.labels())
        listed = [_of_ledger(account_id, label) for account_id, label in labels.items()]
    limited = any(mark.kind == "origin" for mark in marks)
    return {
        "running": False,
        "address": None,
        "serving": False,
        "last_seen_at": _moment(max((session.seen for session in sessions), default=None)),
        "locked": accounts is None,
        "blame": {"who": "network", "why": "this machine's address was rate limited", "accounts": []}
        if limited
        else None,
        "accounts": listed,
    }


def _accounts(paths: Paths, notes: list[str]) -> list[Account] | None:
    """Those of the vault; None when it cannot be opened without asking somebody."""
    if not paths.vault_file.exists():
        return []
    try:
        with masterkey.open_vault(paths.vault_file, environ=os.environ, prompt=None) as vault:
            return vault.accounts()
    except (VaultError, OSError) as error:
        notes.append(f"the accounts are those of the ledger, because the vault was not opened: {error}")
        return None


def _account(account: Account, marks: Iterable[Mark], domain: Domain | None, totals: Totals) -> dict[str, Any]:
    own = f"account:{account.id}"
    names = {own, *_names(account.organization, account.project, own)}
    if domain is not None:
        names |= _names(domain.organization, domain.project, own)
    state, reason, until = _doing(account, [mark for mark in marks if mark.key in {account.id, *names}])
    spent = totals.of(("account", account.id))
    limits: list[dict[str, Any]] = [
        {"window": window, "spent_usd": float(amount), "limit_usd": limit}
        for window, amount, limit in (
            ("day", spent.day, account.daily_limit_usd),
            ("month", spent.month, account.monthly_limit_usd),
        )
        if limit is not None
    ]
    if state == "ready" and any(each["spent_usd"] >= each["limit_usd"] for each in limits):
        state, reason = "spent", "its limit is reached"
    return {
        "id": account.id,
        "label": account.label,
        "state": state,
        "reason": reason,
        "retry_at": _moment(until),
        "limits": limits,
    }


def _doing(account: Account, marks: Iterable[Mark]) -> tuple[str, str | None, float | None]:
    """State, reason, and Unix time at which it is over."""
    if not account.enabled:
        return "disabled", "disabled", None
    for kind, state, reason in _KINDS:
        mine = [mark.until for mark in marks if mark.kind == kind and mark.edition in {"", account.updated_at}]
        if mine:
            return state, reason, min(mine)
    return "ready", None, None


_KINDS = (
    ("auth", "auth_failed", "its key was refused"),
    ("purse", "billing", "out of credit"),
    ("breaker", "failing", "it kept failing"),
    ("scope", "limited", "rate limited"),
)
"""Kind of a mark, state and reason as a running proxy calls them; the gravest first."""


def _names(organization: str | None, project: str | None, own: str) -> set[str]:
    """Under which marks about this organization are kept."""
    return {organization, f"{organization}/{project or '-'}", f"{organization}/{own}"} if organization else set()


def _of_ledger(account_id: str, label: str) -> dict[str, Any]:
    return {"id": account_id, "label": label, "state": None, "reason": None, "retry_at": None, "limits": []}


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
