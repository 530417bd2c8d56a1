"""Managing accounts for whoever asks over a page: each method one wish, checked whole, done or refused with a named error.

Blocks (a vault takes 0.3 s to open, OpenAI 5 s to answer): call it in a thread; several may at once. The vault is never held while
OpenAI is asked. Law: no key leaves by this but sealed under a passphrase (`export`); and a stored key never goes to another host
because of what is said here: an account's base URL changes only together with its keys. The command line has no such rule, because
who sits there has the vault itself.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from codex_manager.accounts import importing, transfer_format
from codex_manager.accounts.errors import MovedError, NoVaultError, PassphraseNeededError
from codex_manager.accounts.form import checked
from codex_manager.accounts.import_plan import Plan, Wish
from codex_manager.accounts.importing import Preview
from codex_manager.accounts.intake import Intake, local_keys
from codex_manager.accounts.limits import unheld
from codex_manager.accounts.lookup import by_id, find
from codex_manager.accounts.making import made
from codex_manager.accounts.notes import Note
from codex_manager.accounts.transfer_format import Parcel
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault import sealed_file
from codex_manager.vault.errors import VaultExistsError
from codex_manager.vault.store import Vault, has_vault, new_account


if TYPE_CHECKING:
    from codex_manager.provider.check import Finding

__all__ = ["Desk", "Done", "Preview"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a wish."""

    account: Account
    """As it is stored now."""
    notes: tuple[str, ...]
    """What its owner should hear about it, a sentence each."""


class Desk:
    """No state of its own; the vault decides between two who want something at once."""

    def __init__(
        self, paths: Paths, environ: Mapping[str, str], open_vault: Callable[[], AbstractContextManager[Vault]]
    ) -> None:
        """`open_vault` lends the vault that is there, open."""
        self._paths = paths
        self._environ = environ
        self._open_vault = open_vault

    # Looking ---------------------------------------------------------------------------------------------------------

    def listed(self) -> tuple[list[Account], str | None]:
        """All accounts, oldest first, and the id of the one that everything is switched to. Nothing, before there is a vault.

        Raises:
            VaultError: it is locked, or does not open.
        """
        if not has_vault(self._paths.vault_file):
            return [], None
        with self._open_vault() as vault:
            return vault.accounts(), vault.pinned_account()

    def find(self, identifier: str) -> Account:
        """The account with this label, id, or unique beginning of either: for people who type.

        Raises:
            AccountNotFoundError, AmbiguousIdentifierError: it is not one; the hint says what may be meant.
        """
        with self._there() as vault:
            return find(vault, identifier)

    def check(self, account_id: str) -> "Finding":
        """Ask OpenAI, where this account's API lives, whether its key is good. Changes nothing.

        Raises:
            AccountNotFoundError, ConfigError: there is nobody to ask about, or no way to ask.
        """
        from codex_manager.config.load import load
        from codex_manager.provider.check import check_key

        with self._there() as vault:
            account = by_id(vault, account_id)
        config = load(self._paths, self._environ)
        return check_key(
            account.base_url or config.proxy.openai_base_url,
            account.api_key,
            organization=account.organization,
            project=account.project,
            ca_file=config.upstream.ca_file,
            proxy=config.upstream.proxy,
        )

    # Changing --------------------------------------------------------------------------------------------------------

    def add(self, values: Mapping[str, object], *, online: bool) -> Done:
        """One more account, of a form's values by field of `Account`; `label` and `api_key` are needed.

        `online`: ask OpenAI about the key first. Where there is no vault yet, it is made on the way.

        Raises:
            FieldsError, KnownLabelError, KnownKeyError, LocalKeyError, KeyRefusedError: nothing was stored.
        """
        fields = checked(values, needed=("label", "api_key"))
        notes: list[Note] = []
        intake = Intake(self._paths, self._environ, notes.append)
        self._note_unheld(fields, notes)
        account = new_account(fields.pop("label"), fields.pop("api_key"), **fields)
        if has_vault(self._paths.vault_file):
            with self._open_vault() as vault:
                intake.refuse_known_label(vault, account.label)
                intake.refuse_known_key(vault, account.api_key)
        else:
            intake.refuse_known_key(None, account.api_key)
        organization = None
        if online:
            account, organization = intake.ask(account)
        with self._made_on_the_way(notes) as vault:
            return _done(intake.add(vault, account, organization), notes)

    def edit(self, account_id: str, changes: Mapping[str, object], *, online: bool) -> Done:
        """Change fields, of a form's values by field of `Account`; what is as it was already is left alone.

        A page never shows a key, so an empty `api_key` means the one that is stored. An empty `admin_key` forgets it: send it
        only when that is meant. `online`: ask OpenAI about a new API key first.

        Raises:
            MovedError: `base_url` changes, and not all stored keys are given again.
            FieldsError, KnownLabelError, KnownKeyError, LocalKeyError, KeyRefusedError, AccountNotFoundError: nothing was changed.
        """
        fields = checked({name: value for name, value in changes.items() if name != "api_key" or not _is_blank(value)})
        notes: list[Note] = []
        intake = Intake(self._paths, self._environ, notes.append)
        with self._there() as vault:
            account = by_id(vault, account_id)
            _refuse_move(account, fields)
            new = _different(account, fields)
            if "label" in new:
                intake.refuse_known_label(vault, new["label"], own=account_id)
            if "api_key" in new:
                intake.refuse_known_key(vault, new["api_key"], own=account_id)
        if not new:
            return Done(account, ())
        self._note_unheld(new, notes)
        if online and "api_key" in new:
            asked, _ = intake.ask(account.replace(**new))
            if asked.organization != account.organization:
                new["organization"] = asked.organization
        with self._there() as vault, vault.transaction():
            if "base_url" in new:
                _refuse_move(by_id(vault, account_id), fields)
            return _done(intake.change(vault, account_id, new), notes)

    def remove(self, account_id: str) -> Account:
        """Take it and its keys out of the vault; returns what it was.

        Raises:
            AccountNotFoundError: it is not there any more.
        """
        with self._there() as vault, vault.transaction():
            account = by_id(vault, account_id)
            vault.remove(account.id)
            return account

    def enable(self, account_id: str, on: bool) -> Account:
        """Let it serve, or keep it from serving.

        Raises:
            AccountNotFoundError: it is not there any more.
        """
        with self._there() as vault, vault.transaction():
            account = by_id(vault, account_id)
            return account if account.enabled == on else vault.update(account.replace(enabled=on))

    def switch(self, account_id: str | None) -> Account | None:
        """Send everything to one account; None lets the configured strategy choose again. Returns that account.

        Raises:
            AccountNotFoundError: it is not there any more.
        """
        with self._there() as vault, vault.transaction():
            account = None if account_id is None else by_id(vault, account_id)
            vault.pin(account_id)
            return account

    # Carrying elsewhere ----------------------------------------------------------------------------------------------

    def export(self, passphrase: Secret) -> str:
        """All accounts, sealed under the passphrase: the text of a file that `import_` and `codex-manager import` read.

        Raises:
            PassphraseNeededError: it is empty.
        """
        if not passphrase:
            raise PassphraseNeededError("an export needs a passphrase")
        with self._there() as vault:
            accounts = vault.accounts()
        return sealed_file.seal_text(transfer_format.dump(accounts, now=datetime.now(UTC)), passphrase)

    def preview(self, text: bytes, passphrase: Secret | None, wish: Wish | None) -> Preview:
        """What `import_` would do; nothing is written.

        Raises:
            ImportConflictError: accounts are there already and there is no wish, or one that does not help.
            ImportRefusedError, PassphraseNeededError, WrongPassphraseError, MovedError: it would be refused.
        """
        parcel = self._parcel(text, passphrase)
        return importing.preview_of(_planned(self.listed()[0], parcel, wish), parcel)

    def import_(self, text: bytes, passphrase: Secret | None, wish: Wish | None) -> Preview:
        """Take over the accounts of an export, sealed or plain; all of it or nothing.

        Raises:
            As `preview`; nothing was imported.
        """
        parcel = self._parcel(text, passphrase)
        with self._made_on_the_way([]) as vault, vault.transaction():
            done = _planned(vault.accounts(), parcel, wish)
            importing.carry_out(vault, done)
        return importing.preview_of(done, parcel)

    def _parcel(self, data: bytes, passphrase: Secret | None) -> Parcel:
        text = importing.text_of(data)
        if sealed_file.is_sealed(text):
            if not passphrase:
                raise PassphraseNeededError("the file is sealed; its passphrase is needed")
            text = sealed_file.open_text(text, passphrase)
        parcel = importing.parcel_of(text)
        importing.refuse_local_keys(local_keys(self._paths, self._environ, lambda _: None), parcel)
        return parcel

    # The vault -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _there(self) -> Iterator[Vault]:
        """The vault that is there; nothing makes one by looking for an account."""
        if not has_vault(self._paths.vault_file):
            raise NoVaultError("no vault yet", hint="add the first account, which makes it")
        with self._open_vault() as vault:
            yield vault

    @contextmanager
    def _made_on_the_way(self, notes: list[Note]) -> Iterator[Vault]:
        if not has_vault(self._paths.vault_file):
            try:
                vault, note = made(self._paths, self._environ, None)
            except VaultExistsError:
                pass  # somebody else did, a moment ago
            else:
                vault.close()
                notes.append(note)
        with self._open_vault() as vault:
            yield vault

    def _note_unheld(self, fields: Mapping[str, Any], notes: list[Note]) -> None:
        if (note := unheld(self._paths, self._environ, fields)) is not None:
            notes.append(note)


def _done(account: Account, notes: list[Note]) -> Done:
    return Done(account, tuple(note.text for note in notes))


def _planned(stored: list[Account], parcel: Parcel, wish: Wish | None) -> Plan:
    done = importing.planned(stored, parcel, wish)
    for draft, account in done.replace:
        _refuse_move(account, draft.fields)
    return done


def _different(account: Account, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if getattr(account, name) != value}


def _refuse_move(account: Account, given: Mapping[str, Any]) -> None:
    """Whoever names another host must have the keys that will go there. Clearing the URL is a move, too."""
    if "base_url" not in given or given["base_url"] == account.base_url:
        return
    if "api_key" not in given:
        raise MovedError(
            f"the base URL of {account.label!r} is where its stored key goes; it changes together with the key only",
            hint="give the API key again, too",
        )
    if account.admin_key is not None and "admin_key" not in given:
        raise MovedError(
            f"the base URL of {account.label!r} is where its stored admin key goes; it changes together with that only",
            hint="give the admin key again, too, or take it away",
        )


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
