"""The vault: accounts, client keys and the pinned account, each record sealed whole.

What it knows: which records there are and which rules hold between them. What it must not know: where the master key
comes from (`masterkey`), how SQLite is driven (`database`), how bytes are sealed (`envelope`).

Laws. A label is unique without regard to case, decided inside the transaction that writes it. Several processes and
threads may use one vault at once: every method is one transaction, `transaction()` groups several.
Not promised: that a record put back from an older copy of the same vault is noticed (docs/security.md).
"""

import hashlib
import secrets
import uuid

from typing import Final

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault import codec, names
from codex_manager.vault.codec import ClientKey
from codex_manager.vault.errors import (
    AccountNotFoundError,
    ClientKeyNotFoundError,
    KeyNameTakenError,
    LabelTakenError,
)
from codex_manager.vault.files import timestamp
from codex_manager.vault.opened import has_vault
from codex_manager.vault.records import Records, reading
from codex_manager.vault.upkeep import Upkeep


__all__ = ["CLIENT_KEY_PREFIX", "ClientKey", "Vault", "has_vault", "new_account"]

CLIENT_KEY_PREFIX: Final = "sk-cm-"
PINNED: Final = "pinned"


def new_account(label: str, api_key: Secret, **fields: object) -> Account:
    """An account that was not there before: a new id and the time of now. `fields` are Account's own."""
    now = timestamp()
    return Account(id=str(uuid.uuid4()), label=label, api_key=api_key, created_at=now, updated_at=now).replace(**fields)


class Vault(Upkeep):
    """An open vault with its accounts; see `OpenVault` for opening and closing, `Upkeep` for the care of it."""

    # Accounts --------------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        """All accounts, oldest first.

        Raises:
            VaultTamperedError: a record does not open; the error names it.
        """
        with self._reading() as records:
            return _accounts(records)

    def account(self, identifier: str) -> Account:
        """The account with this label, id, or unique beginning of either.

        Raises:
            AccountNotFoundError, AmbiguousIdentifierError: none or several are meant.
        """
        return names.find(identifier, self.accounts())

    def add(self, account: Account) -> Account:
        """Store a new account; returns it as stored.

        Raises:
            LabelTakenError, LabelRefusedError: its label cannot be used.
        """
        account = account.replace(label=names.checked_label(account.label))
        with self._writing() as records:
            _refuse_taken(account, _accounts(records))
            records.put("account", account.id, codec.account_to(account))
        return account

    def update(self, account: Account) -> Account:
        """Store an account over the one with its id; `updated_at` becomes now.

        Raises:
            AccountNotFoundError: it was removed meanwhile.
            LabelTakenError, LabelRefusedError: its new label cannot be used.
        """
        account = account.replace(label=names.checked_label(account.label), updated_at=timestamp())
        with self._writing() as records:
            _refuse_taken(account, [other for other in _accounts(records) if other.id != account.id])
            stored = records.get("account", account.id)
            if stored is None:
                raise AccountNotFoundError(f"the account {account.label!r} is not in the vault any more")
            records.put("account", account.id, codec.account_to(account, over=stored))
        return account

    def edit(self, identifier: str, **changes: object) -> Account:
        """Change some fields of an account in one transaction, so that another process's change of others stays."""
        with self._writing():
            return self.update(self.account(identifier).replace(**changes))

    def remove(self, identifier: str) -> None:
        """Delete an account. By its whole id this works on a record that does not open, too.

        Raises:
            AccountNotFoundError, AmbiguousIdentifierError: none or several are meant.
        """
        with self._writing() as records:
            record = identifier if identifier in records.ids("account") else self.account(identifier).id
            records.drop("account", record)
            if self.pinned_account() == record:
                records.drop("setting", PINNED)

    def pinned_account(self) -> str | None:
        """The id of the account that serves everything, if one does."""
        with self._reading() as records:
            payload = records.get("setting", PINNED)
            if payload is None:
                return None
            with reading("setting", PINNED):
                return str(payload["account"])

    def pin(self, account_id: str | None) -> None:
        """Let one account serve everything; None lets the strategy decide again.

        Raises:
            AccountNotFoundError: there is no account with this id.
        """
        with self._writing() as records:
            if account_id is None:
                records.drop("setting", PINNED)
            elif account_id not in records.ids("account"):
                raise AccountNotFoundError(f"there is no account with the id {account_id}")
            else:
                records.put("setting", PINNED, {"account": account_id})

    # Client keys -----------------------------------------------------------------------------------------------------

    def client_keys(self) -> list[ClientKey]:
        """All client keys, oldest first."""
        with self._reading() as records:
            return _client_keys(records)

    def add_client_key(self, name: str, **fields: object) -> tuple[ClientKey, Secret]:
        """Make a key for a client. The key itself is returned this once; the vault keeps its digest.

        `fields` are ClientKey's own: models and limits.

        Raises:
            KeyNameTakenError, LabelRefusedError: the name cannot be used.
        """
        name = names.checked_label(name, "name")
        text = CLIENT_KEY_PREFIX + secrets.token_urlsafe(32)
        key = ClientKey(
            id=str(uuid.uuid4()), name=name, digest=hashlib.sha256(text.encode()).digest(), created_at=timestamp()
        ).replace(**fields)
        with self._writing() as records:
            if any(names.folded(other.name) == names.folded(name) for other in _client_keys(records)):
                raise KeyNameTakenError(
                    f"there is a key named {name!r} already", hint="choose another name, or revoke it"
                )
            records.put("client_key", key.id, codec.client_key_to(key))
        return key, Secret(text)

    def edit_client_key(self, name: str, **changes: object) -> ClientKey:
        """Change some fields of a client key (its name or id) in one transaction; the key itself stays good.

        Raises:
            ClientKeyNotFoundError: there is none.
        """
        with self._writing() as records:
            key = _client_key(records, name).replace(**changes)
            records.put("client_key", key.id, codec.client_key_to(key, over=records.get("client_key", key.id)))
        return key

    def revoke_client_key(self, name: str) -> ClientKey:
        """Delete a client key by its name or id.

        Raises:
            ClientKeyNotFoundError: there is none.
        """
        with self._writing() as records:
            key = _client_key(records, name)
            records.drop("client_key", key.id)
        return key


def _accounts(records: Records) -> list[Account]:
    found = []
    for payload in records.all("account"):
        with reading("account", str(payload.get("id"))):
            found.append(codec.account_from(payload))
    return sorted(found, key=lambda account: (account.created_at, account.id))


def _client_keys(records: Records) -> list[ClientKey]:
    found = []
    for payload in records.all("client_key"):
        with reading("client_key", str(payload.get("id"))):
            found.append(codec.client_key_from(payload))
    return sorted(found, key=lambda key: (key.created_at, key.id))


def _client_key(records: Records, name: str) -> ClientKey:
    """The one with this name or id."""
    everyone = _client_keys(records)
    for key in everyone:
        if names.folded(key.name) == names.folded(name.strip()) or key.id == name:
            return key
    known = ", ".join(key.name for key in everyone)
    raise ClientKeyNotFoundError(
        f"there is no key named {name!r}",
        hint=f"the keys are: {known}" if known else "make one with `codex-manager keys add`",
    )


def _refuse_taken(account: Account, others: list[Account]) -> None:
    for other in others:
        if names.folded(other.label) == names.folded(account.label):
            raise LabelTakenError(
                f"there is an account labelled {other.label!r} already",
                hint=f"choose another label, or change that one with `codex-manager edit {other.label!r}`",
            )
