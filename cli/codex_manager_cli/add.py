"""`add`: one more account, its key checked before it is stored.

Law: everything that can be refused is refused before anything is written; a network that does not answer never keeps a
key out, only OpenAI's own refusal does.
"""

import os

from contextlib import ExitStack
from typing import Any

import click

from codex_manager.accounts.errors import KeyRefusedError
from codex_manager.accounts.intake import Intake
from codex_manager.accounts.public import as_data
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.vault.store import new_account
from codex_manager_cli import session
from codex_manager_cli.account_options import account_options, checked_fields, field_or_fail, only_dash
from codex_manager_cli.talk import emit_json, say, warn
from codex_manager_cli.terminal import secret


__all__ = ["add", "asked"]


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
    intake = Intake(paths, os.environ, session.tell)
    with ExitStack() as stack:
        vault = session.existing(paths, stack)
        if vault is not None:
            intake.refuse_known_label(vault, account.label)
        intake.refuse_known_key(vault, account.api_key)
        organization = None
        if online:
            account, organization = asked(intake, account)
        if vault is None:
            vault = session.made_on_the_way(paths, stack)
        return intake.add(vault, account, organization)


def asked(intake: Intake, account: Account) -> tuple[Account, str | None]:
    """What OpenAI says to the account's key, and to whoever it refuses how to go on here."""
    try:
        return intake.ask(account)
    except KeyRefusedError as error:
        error.hint = "copy the key again, or store it unchecked with --no-check"
        raise
