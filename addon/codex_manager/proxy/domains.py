"""Which organization and project each account was seen to belong to, remembered over restarts.

OpenAI says it in the headers of its answers; the engine notes it there (State.learn_domain). Two keys of one organization
are one capacity, and a proxy that starts should know that before it has been limited twice. Law: what was learned with a
key counts for that key: an account edited since is learned anew.
"""

import datetime as dt

from collections.abc import Callable, Mapping
from typing import Final

from codex_manager.core.account import Account
from codex_manager.core.state import State
from codex_manager.ledger import Domain


__all__ = ["Domains", "project_in"]

UNKNOWN: Final = "account:"
"""In a domain that is not, or not wholly, known (core.state)."""

type Learn = Callable[[str, str, str | None], None]


class Domains:
    """Mutable state: what is kept, by account id."""

    def __init__(self, kept: Mapping[str, Domain], learn: Learn) -> None:
        known = {account_id: domain for account_id, domain in kept.items() if domain.organization}
        self._kept = {account_id: f"{d.organization}/{d.project or '-'}" for account_id, d in known.items()}
        self._learned = {account_id: domain.learned for account_id, domain in known.items()}
        self._learn = learn

    def recall(self, account: Account, state: State) -> None:
        """Let the state know what was learned of an account, unless it knows better."""
        kept, standing = self._kept.get(account.id), state.accounts.get(account.id)
        if kept is None or standing is None or UNKNOWN not in standing.domain:
            return
        if _edited(account) >= self._learned.get(account.id, 0.0):
            del self._kept[account.id]
            return
        state.learn_domain(standing, kept.partition("/")[0], project_in(kept))

    def noticed(self, account_id: str, domain: str) -> None:
        """A request was served in this domain: keep it if that is news."""
        if self._kept.get(account_id) == domain or UNKNOWN in domain:
            return
        self._kept[account_id] = domain
        self._learn(account_id, domain.partition("/")[0], project_in(domain))


def project_in(domain: str) -> str | None:
    """The project of a domain, where that is known."""
    project = domain.partition("/")[2]
    return None if not project or project == "-" or UNKNOWN in domain else project


def _edited(account: Account) -> float:
    """Unix time; 0 when it is not known."""
    try:
        return dt.datetime.fromisoformat(account.updated_at).timestamp()
    except ValueError:
        return 0.0
