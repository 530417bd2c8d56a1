"""Who is who in a report: names of accounts from the vault and from the ledger, and what a filter picks.

Pure. The ledger knows the label an account had at its last request, also of accounts that are gone; the vault knows
better where it can be opened. Law: what a filter names and nobody has is an error, never an empty report.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from codex_manager.core.account import Account
from codex_manager.core.models import allows, check_scope
from codex_manager.core.secret import Secret
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault import names
from codex_manager.vault.errors import AccountNotFoundError, AmbiguousIdentifierError


__all__ = ["NOBODY", "FilterError", "Filters", "account_ids", "client_named", "display_names"]

NOBODY: Final = "(none)"
"""Requests that reached no account, or named no model."""


class FilterError(ValueError):
    """A filter that picks nothing that is there; the text is a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which requests count; None: all."""

    accounts: frozenset[str] | None = None
    """Ids."""
    client: str | None = None
    model: str | None = None
    """A pattern as in a model scope."""

    def __post_init__(self) -> None:
        if self.model is not None:
            try:
                check_scope((self.model,))
            except ValueError as error:
                raise FilterError(f"--model: {shorten(str(error), 120)}") from None

    def __bool__(self) -> bool:
        return self != Filters()

    def take(self, *, account: str, client: str, model: str) -> bool:
        """Whether a request of these is picked."""
        return (
            (self.accounts is None or account in self.accounts)
            and (self.client is None or client == self.client)
            and (self.model is None or (bool(model) and allows((self.model,), model)))
        )


def account_ids(identifier: str, labels: Mapping[str, str]) -> frozenset[str]:
    """The accounts that are meant, by label, id, or unique beginning of either; several where a label was used again.

    Raises:
        FilterError: none is, or more than one may be.
    """
    same = frozenset(each for each, label in labels.items() if names.folded(label) == names.folded(identifier.strip()))
    if same:
        return same
    nothing = Secret("")
    try:
        known = (Account(id=each, label=label, api_key=nothing) for each, label in labels.items())
        return frozenset({names.find(identifier, known).id})
    except AmbiguousIdentifierError as error:
        listed = ", ".join(repr(label) for label in error.candidates[:6])
        raise FilterError(f"'{shorten(identifier)}' fits several accounts: {listed}") from None
    except AccountNotFoundError:
        raise FilterError(f"nothing is known of an account '{shorten(identifier)}'") from None


def client_named(name: str, known: Iterable[str]) -> str:
    """The client's name as it is recorded.

    Raises:
        FilterError: nobody has this name.
    """
    for each in known:
        if names.folded(each) == names.folded(name.strip()):
            return each
    raise FilterError(f"nothing is known of a client '{shorten(name)}'")


def display_names(labels: Mapping[str, str]) -> dict[str, str]:
    """Label by account id; where two accounts had the same, part of the id tells them apart."""
    times = Counter(names.folded(label) for label in labels.values())
    return {
        account_id: label if times[names.folded(label)] == 1 else f"{label} ({account_id[:8]})"
        for account_id, label in labels.items()
    }
