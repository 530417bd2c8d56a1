"""`add`: one more account, its key checked before it is stored.

Law: everything that can be refused is refused before anything is written; a network that does not answer never keeps a
key out, only OpenAI's own refusal does.
"""

import dataclasses
import hashlib

from contextlib import ExitStack
from typing import Any

import click

from codex_manager.accounts.public import as_data
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault.names import folded
from codex_manager.vault.store import Vault, new_account
from codex_manager_cli import session
from codex_manager_cli.account_options import account_options, checked_fields, field_or_fail, only_dash
from codex_manager_cli.talk import emit_json, fail, say, warn
from codex_manager_cli.terminal import secret


__all__ = ["add", "check_online", "refuse_known_key"]


@click.command()
@click.argument("label")
@click.argument("key", required=False)
@account_options
@click.option(
    "--admin-key", metavar="-", callback=only_dash, help="Read an admin key, after the key, from stdin or the terminal."
)
@click.option("--disabled", is_flag=True, help="Store it, but let it not serve yet.")
@click.option("--no-check", is_flag=True, help="Do not ask OpenAI whether the key is good.")
@click.option("--json", "as_json", is_flag=True, help="Print the stored account as JSON, without its key.")
def add(
    label: str, key: str | None, *, admin_key: str | None, disabled: bool, no_check: bool, as_json: bool, **given: Any
) -> None:
    """Add an account under LABEL.

    KEY is best left out (then you are asked, without echo) or given as `-` (then it is read from stdin). A key on the
    command line works, but other programs and the shell's history can see it.
    """
    label = field_or_fail("label", label)
    fields = checked_fields(given) | {"enabled": not disabled}
    if key not in (None, "-"):
        warn(
            "a key on the command line is visible to other programs and kept in the shell's history; `-` reads it from stdin"
        )
    api_key = field_or_fail("api_key", secret("API key", key))
    if admin_key is not None:
        fields["admin_key"] = field_or_fail("admin_key", secret("admin key", admin_key))
    account = add_account(Paths.locate(), new_account(label, api_key, **fields), online=not no_check)
    if as_json:
        emit_json(as_data(account, pinned=False))
    say(f"added {account.label!r} ({account.api_key.hint()})")


def add_account(paths: Paths, account: Account, *, online: bool) -> Account:
    """Check, make the vault if there is none, store."""
    with ExitStack() as stack:
        vault = session.existing(paths, stack)
        if vault is not None:
            refuse_known_label(vault, account.label)
        refuse_known_key(paths, vault, account.api_key)
        said = None
        if online:
            account, said = check_online(paths, account)
        if vault is None:
            vault = session.made_on_the_way(paths, stack)
        names = {name for name in (account.organization, said) if name}
        if names and (same := same_organization(paths, vault, names)) is not None:
            warn(
                f"{account.label!r} belongs to the same organization as {same!r}: "
                "OpenAI's limits are the organization's, so this adds no extra capacity"
            )
        stored = vault.add(account)
    if said is not None and said != stored.organization:
        remember_organization(paths, stored, said)
    return stored


def same_organization(paths: Paths, vault: Vault, names: set[str]) -> str | None:
    """The label of an account whose settings or answers name one of these organizations; None when none is known to.

    Settings hold ids, answers of OpenAI say an id or a name (`acme-inc`); the ledger has kept what they said.
    """
    learned = learned_organizations(paths)
    for account in vault.accounts():
        if names & {account.organization, learned.get(account.id)}:
            return account.label
    return None


def remember_organization(paths: Paths, account: Account, name: str) -> None:
    """Keep a name that is no id, and so no setting, for the next key of that organization."""
    from codex_manager.ledger.clerk import Clerk
    from codex_manager.ledger.errors import LedgerError

    try:
        Clerk.open(paths.ledger_file).learn_domain(account.id, name, account.project)
    except LedgerError:
        return  # the first answer to a request tells it again


def learned_organizations(paths: Paths) -> dict[str, str]:
    """By account id, how answers of OpenAI named its organization; nothing where no ledger tells."""
    from codex_manager.ledger.errors import LedgerError
    from codex_manager.ledger.reader import Reader

    try:
        with Reader.open(paths.ledger_file) as reader:
            return {account_id: d.organization for account_id, d in reader.domains().items() if d.organization}
    except LedgerError:
        return {}


def refuse_known_label(vault: Vault, label: str) -> None:
    """Before anybody asks OpenAI about a key that cannot be stored."""
    for account in vault.accounts():
        if folded(account.label) == folded(label):
            fail(
                f"there is an account {account.label!r} already",
                hint=f"change its key with `codex-manager edit {account.label!r} --key -`",
            )


def refuse_known_key(paths: Paths, vault: Vault | None, key: Secret, *, own: str | None = None) -> None:
    """A key that clients send to us, or that another account (not the one with id `own`) has."""
    local = session.local_keys(paths)
    digest = hashlib.sha256(key.reveal().encode()).digest()
    named = {client.digest for client in vault.client_keys()} if vault else set()
    if key in local or digest in named:
        fail(
            "this is a local key of codex-manager, which clients send to the proxy; an account needs a key from OpenAI",
            hint="make one at https://platform.openai.com/api-keys",
        )
    for account in vault.accounts() if vault else ():
        if account.api_key == key and account.id != own:
            fail(f"this key is stored already, as {account.label!r}")


def check_online(paths: Paths, account: Account) -> tuple[Account, str | None]:
    """The account with what OpenAI told about it, and how OpenAI names its organization; a refused key ends the command."""
    from codex_manager.config.load import load
    from codex_manager.provider.check import check_key

    try:
        config = load(paths)
    except ConfigError as error:
        warn(f"the key was not checked, because the configuration cannot be read ({error})")
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
            fail(
                f"OpenAI refuses this key ({finding.detail}); nothing was stored",
                hint="copy the key again, or store it unchecked with --no-check",
            )
        case "limited":
            warn(f"OpenAI knows this key but would not serve it right now ({finding.detail})")
        case "unknown":
            warn(f"the key was not checked, because OpenAI could not be asked ({finding.detail})")
        case "good":
            say("OpenAI accepts the key" + (f"; {finding.detail}" if finding.detail else ""))
    return learned(account, finding.organization), finding.organization


def learned(account: Account, organization: str | None) -> Account:
    """Take over the organization when it was not given and is an id; a bare name would not be accepted as one later."""
    if organization is None or account.organization is not None:
        return account
    if not organization.startswith("org-"):
        return account
    say(f"its organization is {shorten(organization)}")
    return dataclasses.replace(account, organization=organization)
