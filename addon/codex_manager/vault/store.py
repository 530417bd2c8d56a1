"""The vault: accounts, client keys and the pinned account, each record sealed whole.

What it knows: which records there are and which rules hold between them. What it must not know: where the master key
comes from (`masterkey`), how SQLite is driven (`database`), how bytes are sealed (`envelope`).

Laws. A label is unique without regard to case, decided inside the transaction that writes it. Several processes and
threads may use one vault at once: every method is one transaction, `transaction()` groups several. Each transaction
looks at the header first: a vault that was locked meanwhile drops its keys and refuses; one that was rotated is
followed with the key-encryption key held here; one that was rekeyed goes on with the data key it has.

Not promised: that a record put back from an older copy of the same vault is noticed (docs/security.md).
"""

import hashlib
import secrets
import uuid

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from argon2 import Parameters

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault import codec, envelope, names
from codex_manager.vault.codec import ClientKey
from codex_manager.vault.database import BUSY_TIMEOUT_S, Database, State
from codex_manager.vault.errors import (
    AccountNotFoundError,
    ClientKeyNotFoundError,
    KeyNameTakenError,
    LabelTakenError,
    VaultExistsError,
    VaultLockedError,
    WrongKeyError,
)
from codex_manager.vault.files import create_private, make_private_dirs, timestamp
from codex_manager.vault.header import Header
from codex_manager.vault.kdf import RFC_9106_LOW_MEMORY, KdfParams, derive
from codex_manager.vault.records import Records, reading


__all__ = ["CLIENT_KEY_PREFIX", "ClientKey", "Vault", "has_vault", "locked_error", "new_account"]

CLIENT_KEY_PREFIX: Final = "sk-cm-"
PINNED: Final = "pinned"


def new_account(label: str, api_key: Secret, **fields: object) -> Account:
    """An account that was not there before: a new id and the time of now. `fields` are Account's own."""
    now = timestamp()
    return Account(id=str(uuid.uuid4()), label=label, api_key=api_key, created_at=now, updated_at=now).replace(**fields)


def has_vault(path: Path) -> bool:
    """Whether there is a vault at the path. An empty file is none: making it was interrupted, and may be done again."""
    return path.exists() and path.stat().st_size > 0


def locked_error(path: Path) -> VaultLockedError:
    """The refusal while the lock marker is set."""
    return VaultLockedError(f"the vault {path} is locked", hint="unlock it with `codex-manager vault unlock`")


class Vault:
    """An open vault. Mutable state: the header last seen, the two keys (zeroed by `close` and by a lock)."""

    def __init__(self, database: Database, header: Header, *, kek: bytearray, dek: bytearray) -> None:
        self._database = database
        self._header = header
        self._kek = kek
        self._kek_params = header.kdf
        self._dek = dek

    # Making, opening, closing ----------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        master_key: Secret,
        *,
        profile: Parameters = RFC_9106_LOW_MEMORY,
        before_commit: Callable[[Header], None] | None = None,
    ) -> "Vault":
        """Make a vault where there is none and open it. `before_commit` sees the header first (to keep the key).

        Raises:
            VaultExistsError: there is a file already.
            VaultUnwritableError, VaultFullError: it cannot be made there.
        """
        make_private_dirs(path.parent)
        if has_vault(path):
            raise _exists(path)
        kdf = KdfParams.fresh(profile)
        kek, dek = derive(master_key, kdf), envelope.new_key()
        header = Header.wrap(str(uuid.uuid4()), str(uuid.uuid4()), kdf, kek=kek, dek=dek)
        database = Database(path)
        try:
            if before_commit is not None:
                before_commit(header)
            with suppress(FileExistsError):  # empty: a creation that was interrupted; `create` decides who completes it
                create_private(path)
            with database.create(header.to_json()):
                pass
        except BaseException as error:
            database.close()
            envelope.wipe(kek)
            envelope.wipe(dek)
            if isinstance(error, FileExistsError):
                raise _exists(path) from None
            raise
        return cls(database, header, kek=kek, dek=dek)

    @classmethod
    def open(cls, path: Path, master_key: Secret, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> "Vault":
        """Open a vault; writes nothing. Takes as long as the key derivation does (0.3 s).

        Raises:
            VaultMissingError, VaultCorruptError, VaultHeaderRefusedError, VaultTooNewError: there is nothing to open.
            VaultLockedError: the lock marker is set.
            WrongKeyError: the key does not fit.
        """
        database = Database(path, busy_timeout_s=busy_timeout_s)
        try:
            with database.read() as state:
                if state.locked_at:
                    raise locked_error(path)
            header = Header.from_json(state.header)
            kek = derive(master_key, header.kdf)
            return cls(database, header, kek=kek, dek=header.unwrap(kek))
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Zero the keys and close the file; safe to call twice."""
        self._drop_keys()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Vault {self.path}>"

    @property
    def path(self) -> Path:
        """The vault's file."""
        return self._database.path

    @property
    def vault_id(self) -> str:
        """Named in every record's AAD and in the keyring entry; no secret."""
        return self._header.vault_id

    @property
    def header(self) -> Header:
        """The header last seen."""
        return self._header

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

    def add_client_key(self, name: str) -> tuple[ClientKey, Secret]:
        """Make a key for a client. The key itself is returned this once; the vault keeps its digest.

        Raises:
            KeyNameTakenError, LabelRefusedError: the name cannot be used.
        """
        name = names.checked_label(name, "name")
        text = CLIENT_KEY_PREFIX + secrets.token_urlsafe(32)
        key = ClientKey(
            id=str(uuid.uuid4()), name=name, digest=hashlib.sha256(text.encode()).digest(), created_at=timestamp()
        )
        with self._writing() as records:
            if any(names.folded(other.name) == names.folded(name) for other in _client_keys(records)):
                raise KeyNameTakenError(
                    f"there is a key named {name!r} already", hint="choose another name, or revoke it"
                )
            records.put("client_key", key.id, codec.client_key_to(key))
        return key, Secret(text)

    def revoke_client_key(self, name: str) -> ClientKey:
        """Delete a client key by its name or id.

        Raises:
            ClientKeyNotFoundError: there is none.
        """
        with self._writing() as records:
            everyone = _client_keys(records)
            for key in everyone:
                if names.folded(key.name) == names.folded(name.strip()) or key.id == name:
                    records.drop("client_key", key.id)
                    return key
        known = ", ".join(key.name for key in everyone)
        raise ClientKeyNotFoundError(
            f"there is no key named {name!r}",
            hint=f"the keys are: {known}" if known else "make one with `codex-manager keys add`",
        )

    # Transactions ----------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group changes: all of them or none."""
        with self._writing():
            yield

    def change_token(self) -> int:
        """Differs after any process changed, locked or replaced the vault; costs some 50 µs and needs no key."""
        with self._database.read() as state:
            if state.locked_at:
                self._drop_keys()
        return hash((self._database.file, state.generation))

    @contextmanager
    def _reading(self) -> Iterator[Records]:
        with self._database.read() as state:
            yield self._records(state)

    @contextmanager
    def _writing(self) -> Iterator[Records]:
        with self._database.write() as state:
            yield self._records(state)

    def _records(self, state: State) -> Records:
        self._follow(state)
        return Records(self._database.connection, self._header.vault_id, self._dek)

    def _follow(self, state: State) -> None:
        """Have the keys of the vault as it is now, or refuse."""
        if state.locked_at:
            self._drop_keys()
        if not self._dek:
            raise locked_error(self.path)
        header = Header.from_json(state.header)
        if header == self._header:
            return
        if (header.vault_id, header.key_id) != (self._header.vault_id, self._header.key_id):
            if header.kdf != self._kek_params:
                raise WrongKeyError(
                    f"the vault {self.path} has got another master key since it was opened here",
                    hint="start this process again",
                )
            old, self._dek = self._dek, header.unwrap(self._kek)
            envelope.wipe(old)
        self._header = header

    def _drop_keys(self) -> None:
        with self._database.lock:  # no seal is under way while the keys go
            for key in (self._kek, self._dek):
                envelope.wipe(key)
                key.clear()


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


def _refuse_taken(account: Account, others: list[Account]) -> None:
    for other in others:
        if names.folded(other.label) == names.folded(account.label):
            raise LabelTakenError(
                f"there is an account labelled {other.label!r} already",
                hint=f"choose another label, or change that one with `codex-manager edit {other.label!r}`",
            )


def _exists(path: Path) -> VaultExistsError:
    return VaultExistsError(f"there is a vault at {path} already", hint="see what is in it with `codex-manager list`")
