"""How accounts look to people: a table, a page. Programs get `codex_manager.accounts.public`.

Pure: accounts in, text out. Law: of a key only `Secret.hint()` is ever shown.
"""

from collections.abc import Iterable, Sequence

from codex_manager.core.account import Account
from codex_manager.core.telling.columns import columns


__all__ = ["as_page", "as_table", "money", "short", "when"]


def as_table(accounts: Iterable[Account], *, pinned: str | None) -> str:
    """One line an account, columns aligned."""
    rows = [("LABEL", "KEY", "ORGANIZATION", "MODELS", "PER DAY", "PER MONTH", "PRIORITY", "STATE", "TAGS")]
    rows += [
        (
            account.label,
            account.api_key.hint(),
            account.organization or "-",
            short(account.models) if account.models else "all",
            money(account.daily_limit_usd),
            money(account.monthly_limit_usd),
            str(account.priority),
            _state(account, pinned),
            short(account.tags) if account.tags else "-",
        )
        for account in accounts
    ]
    return columns(rows)


def as_page(account: Account, *, pinned: bool) -> str:
    """Everything about one account, a line a field."""
    lines = [
        ("label", account.label),
        ("id", account.id),
        ("key", account.api_key.hint()),
        ("organization", account.organization or "-"),
        ("project", account.project or "-"),
        ("base url", account.base_url or "as configured"),
        ("models", ", ".join(account.models) or "all"),
        ("daily limit", money(account.daily_limit_usd)),
        ("monthly limit", money(account.monthly_limit_usd)),
        ("priority", str(account.priority)),
        ("weight", f"{account.weight:g}"),
        ("state", _state(account, account.id if pinned else None)),
        ("admin key", account.admin_key.hint() if account.admin_key else "-"),
        ("tags", ", ".join(account.tags) or "-"),
        ("notes", account.notes.replace("\n", "\n" + " " * 15) or "-"),
        ("created", when(account.created_at)),
        ("updated", when(account.updated_at)),
        ("last used", when(account.last_used_at) if account.last_used_at else "never"),
    ]
    return columns(lines)


def when(moment: str) -> str:
    """A stored time as a person reads it; its microseconds only keep an order."""
    return f"{moment[:10]} {moment[11:19]} UTC" if len(moment) >= 19 else moment or "-"


def _state(account: Account, pinned: str | None) -> str:
    state = "enabled" if account.enabled else "disabled"
    return f"{state}, switched to" if account.id == pinned else state


def short(items: Sequence[str], limit: int = 32) -> str:
    """As many items as fit a column, and how many more there are."""
    text = ",".join(items)
    if len(text) <= limit:
        return text
    head = items[0] if len(items[0]) <= limit else items[0][: limit - 1] + "…"
    return f"{head} +{len(items) - 1}" if len(items) > 1 else head


def money(dollars: float | None) -> str:
    """A limit as a table shows it."""
    return "-" if dollars is None else f"${dollars:,.2f}"
