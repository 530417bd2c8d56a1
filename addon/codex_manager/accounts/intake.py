"""A key on its way into the vault: is it one of ours, is it stored already, what does OpenAI say to it, whose is it.

Law: everything that can be refused is refused before anything is written; a network that does not answer never keeps a key out, only
OpenAI's own refusal does. `ask` waits for the network, so no vault need be held meanwhile; what was looked at before is looked at
again in the transaction that writes.
"""

import dataclasses
import hashlib

from collections.abc import Mapping
from typing import Any

from codex_manager.accounts.errors import KeyRefusedError, KnownKeyError, KnownLabelError, LocalKeyError
from codex_manager.accounts.lookup import by_id
from codex_manager.accounts.notes import Note, Tell
from codex_manager.accounts.organizations import remember, same_organization
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault.names import folded
from codex_manager.vault.store import Vault


__all__ = ["Intake", "local_keys"]


def local_keys(paths: Paths, environ: Mapping[str, str], tell: Tell) -> tuple[Secret, ...]:
    """The keys clients send to the proxy, as configured; an unreadable configuration leaves the default ones."""
    from codex_manager.config.load import load
    from codex_manager.config.schema import Config

    defaults = Config().local_keys
    try:
        return (*defaults, *load(paths, environ).local_keys)
    except ConfigError as error:
        tell(Note(f"the configuration cannot be read: {error}", is_warning=True))
        return defaults


class Intake:
    """The steps, in their order: refuse what is known, `ask` OpenAI, then `add`, or `change` an account that is there."""

    def __init__(self, paths: Paths, environ: Mapping[str, str], tell: Tell) -> None:
        self._paths = paths
        self._environ = environ
        self._tell = tell

    def refuse_known_label(self, vault: Vault, label: str, *, own: str | None = None) -> None:
        """Before anybody asks OpenAI about a key that cannot be stored.

        Raises:
            KnownLabelError: an account other than the one with the id `own` has it.
        """
        for account in vault.accounts():
            if folded(account.label) == folded(label) and account.id != own:
                raise KnownLabelError(
                    f"there is an account {account.label!r} already",
                    hint=f"change its key with `codex-manager edit {account.label!r} --key -`",
                )

    def refuse_known_key(self, vault: Vault | None, key: Secret, *, own: str | None = None) -> None:
        """A key that clients send to us, or that another account (not the one with the id `own`) has.

        Raises:
            LocalKeyError, KnownKeyError: it is one of these.
        """
        local = local_keys(self._paths, self._environ, self._tell)
        digest = hashlib.sha256(key.reveal().encode()).digest()
        named = {client.digest for client in vault.client_keys()} if vault else set()
        if key in local or digest in named:
            raise LocalKeyError(
                "this is a local key of codex-manager, which clients send to the proxy; an account needs a key from OpenAI",
                hint="make one at https://platform.openai.com/api-keys",
            )
        if vault is not None:
            _refuse_stored(vault, key, own)

    def ask(self, account: Account) -> tuple[Account, str | None]:
        """The account with what OpenAI told about it, and how OpenAI names its organization. Blocks, five seconds at most.

        Raises:
            KeyRefusedError: OpenAI does not take the key.
        """
        from codex_manager.config.load import load
        from codex_manager.provider.check import check_key

        try:
            config = load(self._paths, self._environ)
        except ConfigError as error:
            self._warn(f"the key was not checked, because the configuration cannot be read ({error})")
            return account, None
        finding = check_key(
            account.base_url or config.proxy.openai_base_url,
            account.api_key,
            organization=account.organization,
            project=account.project,
            ca_file=config.upstream.ca_file,
            proxy=config.upstream.proxy,
        )
        match finding.verdict:
            case "refused":
                raise KeyRefusedError(
                    f"OpenAI refuses this key ({finding.detail}); nothing was stored",
                    hint="copy the key again, or store it without asking OpenAI",
                )
            case "limited":
                self._warn(f"OpenAI knows this key but would not serve it right now ({finding.detail})")
            case "unknown":
                self._warn(f"the key was not checked, because OpenAI could not be asked ({finding.detail})")
            case "good":
                self._say("OpenAI accepts the key" + (f"; {finding.detail}" if finding.detail else ""))
        return self._learned(account, finding.organization), finding.organization

    def add(self, vault: Vault, account: Account, organization: str | None) -> Account:
        """Store it; `organization` is how OpenAI names it, if it was asked.

        Raises:
            KnownKeyError, VaultError: it was added meanwhile, or cannot be written.
        """
        names = {name for name in (account.organization, organization) if name}
        if names and (same := same_organization(self._paths, vault, names)) is not None:
            self._warn(
                f"{account.label!r} belongs to the same organization as {same!r}: "
                "OpenAI's limits are the organization's, so this adds no extra capacity"
            )
        with vault.transaction():
            _refuse_stored(vault, account.api_key, None)
            stored = vault.add(account)
        if organization is not None and organization != stored.organization:
            remember(self._paths, stored, organization)
        return stored

    def change(self, vault: Vault, account_id: str, changes: Mapping[str, Any]) -> Account:
        """Change these fields and no others, also when another process changes others at the same moment.

        Raises:
            AccountNotFoundError, KnownKeyError, LabelTakenError: it cannot be so any more.
        """
        with vault.transaction():
            account = by_id(vault, account_id)
            if "api_key" in changes:
                _refuse_stored(vault, changes["api_key"], account_id)
            return vault.update(account.replace(**changes))

    def _learned(self, account: Account, organization: str | None) -> Account:
        """Take over the organization when it was not given and is an id; a bare name would not be accepted as one later."""
        if organization is None or account.organization is not None:
            return account
        if not organization.startswith("org-"):
            return account
        self._say(f"its organization is {shorten(organization)}")
        return dataclasses.replace(account, organization=organization)

    def _say(self, text: str) -> None:
        self._tell(Note(text))

    def _warn(self, text: str) -> None:
        self._tell(Note(text, is_warning=True))


def _refuse_stored(vault: Vault, key: Secret, own: str | None) -> None:
    for account in vault.accounts():
        if account.api_key == key and account.id != own:
            raise KnownKeyError(f"this key is stored already, as {account.label!r}")
