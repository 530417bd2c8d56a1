"""Finds the account somebody means, and says what they may have meant when there is none.

Law: a message quotes no more of the input than a line holds.
"""

import difflib

from collections.abc import Sequence

from codex_manager.core.account import Account
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault import names
from codex_manager.vault.errors import AccountNotFoundError, AmbiguousIdentifierError
from codex_manager.vault.store import Vault


__all__ = ["by_id", "find"]

NAMED_AT_MOST = 6
"""Candidates a message lists before it stops."""


def find(vault: Vault, identifier: str) -> Account:
    """The account with this label, id, or unique beginning of either.

    Raises:
        AccountNotFoundError, AmbiguousIdentifierError: it is not one.
    """
    accounts = vault.accounts()
    try:
        return names.find(identifier, accounts)
    except AmbiguousIdentifierError as error:
        raise AmbiguousIdentifierError(
            f"'{shorten(identifier)}' fits several accounts: {_listed(error.candidates)}",
            hint="give the whole label or the id",
            candidates=error.candidates,
        ) from None
    except AccountNotFoundError:
        labels = [account.label for account in accounts]
        raise AccountNotFoundError(
            f"there is no account '{shorten(identifier)}'", hint=_hint(identifier, labels)
        ) from None


def by_id(vault: Vault, account_id: str) -> Account:
    """The account with exactly this id, whatever others are labelled.

    Raises:
        AccountNotFoundError: it is not there any more.
    """
    for account in vault.accounts():
        if account.id == account_id:
            return account
    raise AccountNotFoundError(f"the account with the id '{shorten(account_id)}' is not in the vault any more")


def _hint(identifier: str, labels: Sequence[str]) -> str:
    if not labels:
        return "there are no accounts yet; add one with `codex-manager add LABEL`"
    by_folded = {names.folded(label): label for label in labels}
    near = difflib.get_close_matches(names.folded(identifier[:100]), by_folded, n=1, cutoff=0.6)
    return f"did you mean {by_folded[near[0]]!r}?" if near else f"the accounts are {_listed(labels)}"


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - NAMED_AT_MOST} more" if len(labels) > NAMED_AT_MOST else ""
    return ", ".join(repr(label) for label in labels[:NAMED_AT_MOST]) + more
