"""`edit`: change any field of an account, its keys included.

Law: what was not given stays as it is, also when another process changes it at the same moment.
"""

import os

from contextlib import ExitStack
from typing import Any

import click

from codex_manager.accounts.intake import Intake
from codex_manager.accounts.lookup import find
from codex_manager.accounts.public import as_data
from codex_manager.config.paths import Paths
from codex_manager_cli import session, suggest
from codex_manager_cli.account_options import account_options, checked_fields, field_or_fail, only_dash
from codex_manager_cli.add import asked
from codex_manager_cli.talk import emit_json, fail, say
from codex_manager_cli.terminal import secret


__all__ = ["edit"]


@click.command()
@click.argument("identifier", shell_complete=suggest.accounts)
@click.option("--label", metavar="LABEL", help="A new label, as `rename` gives it.")
@account_options
@click.option(
    "--key", metavar="-", callback=only_dash, help="Read a new API key from stdin, or ask for it on the terminal."
)
@click.option("--new-key", is_flag=True, help="The same as `--key -`.")
@click.option("--admin-key", metavar="-", callback=only_dash, help="Read a new admin key, after the API key.")
@click.option("--no-admin-key", is_flag=True, help="Forget the admin key.")
@click.option("--enable/--disable", "enabled", default=None, help="Let it serve, or keep it from serving.")
@click.option("--no-check", is_flag=True, help="Do not ask OpenAI whether a new key is good.")
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON, without its keys.")
def edit(
    identifier: str,
    *,
    key: str | None,
    new_key: bool,
    admin_key: str | None,
    no_admin_key: bool,
    no_check: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Change the account IDENTIFIER: a label, an id, or a unique beginning of either.

    An empty text clears a field: `edit work --org ""`.
    """
    if admin_key and no_admin_key:
        fail("--admin-key and --no-admin-key contradict each other", exit_code=2)
    changes = checked_fields(given)
    wants_key = new_key or key is not None
    if not changes and not wants_key and admin_key is None and not no_admin_key:
        fail("nothing to change", hint="see what can be changed with `codex-manager edit --help`", exit_code=2)
    paths = Paths.locate()
    intake = Intake(paths, os.environ, session.tell)
    with ExitStack() as stack:
        vault = session.opened(paths, stack)
        account = find(vault, identifier)
        if wants_key:
            changes["api_key"] = field_or_fail("api_key", secret("new API key", "-"))
            intake.refuse_known_key(vault, changes["api_key"], own=account.id)
        if admin_key is not None:
            changes["admin_key"] = field_or_fail("admin_key", secret("admin key", "-"))
        if no_admin_key:
            changes["admin_key"] = None
        if wants_key and not no_check:
            checked, _ = asked(intake, account.replace(**changes))
            if checked.organization != account.organization:
                changes["organization"] = checked.organization
        stored = intake.change(vault, account.id, changes)
        if as_json:
            emit_json(as_data(stored, pinned=vault.pinned_account() == stored.id))
    say(f"changed {stored.label!r}: {', '.join(_called(field) for field in changes)}")


def _called(field: str) -> str:
    return field.removesuffix("_usd").replace("_", " ")
