"""An account as programs may see it. Pure. Law: of a key only `Secret.hint()` is ever shown."""

from typing import Any

from codex_manager.core.account import Account


__all__ = ["as_data"]


def as_data(account: Account, *, pinned: bool) -> dict[str, Any]:
    """The account for `--json` and the dashboard; fields keep their names and their order from release to release."""
    return {
        "id": account.id,
        "label": account.label,
        "key": account.api_key.hint(),
        "organization": account.organization,
        "project": account.project,
        "base_url": account.base_url,
        "models": list(account.models),
        "daily_limit_usd": account.daily_limit_usd,
        "monthly_limit_usd": account.monthly_limit_usd,
        "priority": account.priority,
        "weight": account.weight,
        "enabled": account.enabled,
        "switched_to": pinned,
        "admin_key": account.admin_key.hint() if account.admin_key else None,
        "tags": list(account.tags),
        "notes": account.notes,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
        "last_used_at": account.last_used_at,
    }
