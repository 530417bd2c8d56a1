"""The small verbs on accounts: list, show, rename, enable, disable, remove, switch. `add` and `edit` have files of
their own and are named here for the table of commands.

Law: each verb opens the vault once, changes one thing in one transaction, and prints keys as their last four
characters at most.
"""

import sys

from contextlib import ExitStack

import click

from codex_manager.accounts.lookup import find
from codex_manager.accounts.public import as_data
from codex_manager.config.paths import Paths
from codex_manager.vault.errors import VaultTamperedError
from codex_manager.vault.store import Vault
from codex_manager_cli import session, suggest
from codex_manager_cli.account_options import field_or_fail
from codex_manager_cli.account_view import as_page, as_table
from codex_manager_cli.add import add
from codex_manager_cli.edit import edit
from codex_manager_cli.talk import emit_json, fail, say, warn


__all__ = ["add", "disable", "edit", "enable", "list_", "remove", "rename", "show", "switch"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("list")
@_json_option
def list_(*, as_json: bool) -> None:
    """List the accounts. Keys are shown by their last four characters."""
    with ExitStack() as stack:
        vault = session.existing(Paths.locate(), stack)
        accounts = vault.accounts() if vault else []
        pinned = vault.pinned_account() if vault else None
    if as_json:
        emit_json([as_data(account, pinned=account.id == pinned) for account in accounts])
    elif accounts:
        click.echo(as_table(accounts, pinned=pinned))
    if vault is None:
        say("no vault yet; make one with `codex-manager init`, or add the first account with `codex-manager add LABEL`")
    elif not accounts:
        say("no accounts yet; add one with `codex-manager add LABEL`")


@click.command()
@click.argument("identifier", shell_complete=suggest.accounts)
@_json_option
def show(identifier: str, *, as_json: bool) -> None:
    """Show the account IDENTIFIER: a label, an id, or a unique beginning of either.

    The key is never shown; `codex-manager export --plaintext` writes keys to a file.
    """
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        account = find(vault, identifier)
        pinned = vault.pinned_account() == account.id
    if as_json:
        emit_json(as_data(account, pinned=pinned))
    else:
        click.echo(as_page(account, pinned=pinned))


@click.command()
@click.argument("identifier", shell_complete=suggest.accounts)
@click.argument("new_label")
def rename(identifier: str, new_label: str) -> None:
    """Give the account IDENTIFIER the label NEW_LABEL."""
    label = field_or_fail("label", new_label)
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        account = find(vault, identifier)
        vault.edit(account.id, label=label)
    say(f"{account.label!r} is now {label!r}")


@click.command()
@click.argument("identifier", shell_complete=suggest.accounts)
def enable(identifier: str) -> None:
    """Let the account IDENTIFIER serve again."""
    _set_enabled(identifier, enabled=True)


@click.command()
@click.argument("identifier", shell_complete=suggest.accounts)
def disable(identifier: str) -> None:
    """Keep the account IDENTIFIER from serving; it stays in the vault."""
    _set_enabled(identifier, enabled=False)


def _set_enabled(identifier: str, *, enabled: bool) -> None:
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        account = find(vault, identifier)
        state = "enabled" if enabled else "disabled"
        if account.enabled == enabled:
            say(f"{account.label!r} is {state} already")
            return
        vault.edit(account.id, enabled=enabled)
        say(f"{account.label!r} is {state}")
        if not enabled and vault.pinned_account() == account.id:
            warn("everything is switched to this account; `codex-manager switch --auto` lets others serve")


@click.command()
@click.argument("identifier", shell_complete=suggest.accounts)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def remove(identifier: str, *, yes: bool) -> None:
    """Remove the account IDENTIFIER and its key from the vault."""
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        label, account_id = _removable(vault, identifier)
        if not yes:
            _confirm(label)
        vault.remove(account_id)
    say(f"removed {label!r}")


def _removable(vault: Vault, identifier: str) -> tuple[str, str]:
    """Label and id. A record that does not open any more can still be removed, by the id that its error names."""
    try:
        account = find(vault, identifier)
    except VaultTamperedError as error:
        if error.kind != "account" or error.record != identifier:
            raise
        return identifier, identifier
    return account.label, account.id


def _confirm(label: str) -> None:
    if not sys.stdin.isatty():
        fail(f"there is no terminal to ask on, so {label!r} was not removed", hint="give --yes to mean it", exit_code=2)
    if not click.confirm(f"codex-manager: remove {label!r} and its key?", err=True):
        fail("nothing was done")


@click.command()
@click.argument("identifier", required=False, shell_complete=suggest.accounts)
@click.option("--auto", is_flag=True, help="Let the configured strategy choose again.")
@_json_option
def switch(identifier: str | None, *, auto: bool, as_json: bool) -> None:
    """Send everything to the account IDENTIFIER, or back to all with --auto; without either, show where it goes.

    A running proxy follows within two seconds. An account that is limited or refused is still passed over.
    """
    if identifier is not None and auto:
        fail("give an account or --auto, not both", exit_code=2)
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        if identifier is not None:
            account = find(vault, identifier)
            vault.pin(account.id)
            if not account.enabled:
                warn(f"{account.label!r} is disabled and serves nothing until `codex-manager enable {account.label!r}`")
        elif auto:
            vault.pin(None)
        pinned = vault.pinned_account()
        target = next((account for account in vault.accounts() if account.id == pinned), None)
    if as_json:
        emit_json({"switched_to": as_data(target, pinned=True) if target else None})
    elif identifier is None and not auto:
        click.echo(target.label if target else "auto")
    else:
        say(f"everything goes to {target.label!r}" if target else "the configured strategy chooses the account")
