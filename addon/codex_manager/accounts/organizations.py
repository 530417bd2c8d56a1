"""Which accounts belong to one organization of OpenAI's: its limits are the organization's, so a second key adds no capacity.

Settings hold ids, answers of OpenAI say an id or a name (`acme-inc`); the ledger has kept what they said. Law: a ledger that cannot be
read or written keeps no key out.
"""

from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.vault.store import Vault


__all__ = ["remember", "same_organization"]


def same_organization(paths: Paths, vault: Vault, names: set[str]) -> str | None:
    """The label of an account whose settings or answers name one of these organizations; None when none is known to."""
    learned = _learned(paths)
    for account in vault.accounts():
        if names & {account.organization, learned.get(account.id)}:
            return account.label
    return None


def remember(paths: Paths, account: Account, name: str) -> None:
    """Keep a name that is no id, and so no setting, for the next key of that organization."""
    from codex_manager.ledger.clerk import Clerk
    from codex_manager.ledger.errors import LedgerError

    try:
        Clerk.open(paths.ledger_file).learn_domain(account.id, name, account.project)
    except LedgerError:
        return  # the first answer to a request tells it again


def _learned(paths: Paths) -> dict[str, str]:
    """By account id, how answers of OpenAI named its organization; nothing where no ledger tells."""
    from codex_manager.ledger.errors import LedgerError
    from codex_manager.ledger.reader import Reader

    try:
        with Reader.open(paths.ledger_file) as reader:
            return {account_id: d.organization for account_id, d in reader.domains().items() if d.organization}
    except LedgerError:
        return {}
