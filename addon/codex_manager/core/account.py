"""What an account is: one OpenAI credential with its settings.

Everything that handles accounts shares this type: the vault stores it, the command line shows it, the engine routes
by it. It knows neither how it is stored nor what the account is doing right now.
"""

import dataclasses

from dataclasses import dataclass

from codex_manager.core.secret import Secret


__all__ = ["Account"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One credential with its settings. Times are ISO 8601 strings in UTC; limits are US dollars."""

    id: str
    """UUID, given once, never changed."""
    label: str
    """The user's name for it; unique in a vault, compared without regard to case."""
    api_key: Secret
    organization: str | None = None
    project: str | None = None
    base_url: str | None = None
    """Where this account's API lives when it is not the configured `proxy.openai_base_url`."""
    models: tuple[str, ...] = ()
    """Model scope: wildcards, `!` in front excludes; empty means every model (see core.models)."""
    daily_limit_usd: float | None = None
    monthly_limit_usd: float | None = None
    priority: int = 0
    """Higher is preferred by the `priority` strategy."""
    weight: float = 1.0
    """Share of the turns under `round_robin`; greater than 0."""
    enabled: bool = True
    admin_key: Secret | None = None
    """Organization admin key, used only for reading usage."""
    tags: tuple[str, ...] = ()
    notes: str = ""
    created_at: str = ""
    updated_at: str = ""
    last_used_at: str | None = None

    def replace(self, **changes: object) -> "Account":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # field names are checked at run time
