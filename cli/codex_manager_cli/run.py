"""`run`: start a command that uses the vault's accounts, as `aws-vault exec` does.

Here is the order of things; each thing has a module: guests (which way), shared_proxy (the proxy), command_key (the
key), guest_environment (the variables), child (the process). Law: the command's exit status is ours, its input and
output are untouched, and when it has ended nothing made for it is left.
"""

import os
import shutil

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import click

from codex_manager.config import storage, tenancy
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import VaultError
from codex_manager.vault.store import Vault
from codex_manager_cli import child, command_key, guest_environment, session
from codex_manager_cli.guests import Choice, choose
from codex_manager_cli.keeper import Keeper
from codex_manager_cli.shared_proxy import ProxyAt, Waiting, found, lets_in
from codex_manager_cli.talk import UserError, fail, say, warn
from codex_manager_cli.way_in import leading


__all__ = ["run"]

NOT_FOUND = 127  # as every shell says it
NOT_EXECUTABLE = 126


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--via",
    type=click.Choice(["base-url", "proxy", "auto"]),
    default="auto",
    show_default=True,
    help="How the command reaches us.",
)
@click.option("--name", metavar="NAME", help="Report usage under `run NAME`; else under the program's name.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENTS]...")
def run(*, via: Literal["base-url", "proxy", "auto"], name: str | None, command: tuple[str, ...]) -> int:
    """Run COMMAND with the vault's accounts, without telling it a key of OpenAI.

    Uses the proxy that runs, or starts one that ends with the command. COMMAND gets a local key of its own, revoked
    when it ends, and the variables that lead it here: a base URL, or HTTPS_PROXY with our certificate authority. `auto`
    takes the way that works for the program and says which.
    """
    path = _executable(command[0])
    choice = choose(command, via)
    paths = Paths.locate()
    with ExitStack() as stack:
        if not session.vault_there(paths):
            fail(session.NO_VAULT, hint=session.NO_VAULT_HINT)
        tenant = tenancy.enter(paths.data_dir)
        stack.callback(tenant.leave, cleared=True)
        running = found(paths.data_dir)
        waiting = _waiting(paths, stack) if running is None else None
        master_key, vault = session.proven(paths.vault_file, Vault.open)
        stack.enter_context(vault)
        _clear_remains(vault, paths.data_dir)
        key, secret = command_key.issue(vault, tenant, name or choice.name)
        stack.callback(command_key.revoke, vault, tenant, key)
        starting = stack.enter_context(ExitStack())  # one starts, the others wait and use it
        starting.enter_context(storage.exclusive(paths.data_dir / "proxy.start", patience_s=60.0))
        running = running or found(paths.data_dir)
        if running is not None and not lets_in(running, secret, key.name):
            running = None
        if running is None:
            waiting = waiting or _waiting(paths, stack)
            starting.callback(waiting.turn_out)  # before anybody else may look
            running = waiting.serve(master_key)
            keeper = Keeper(paths.data_dir, os.environ, running, master_key, starting=waiting, started=starting.close)
        else:
            if waiting is not None:
                waiting.turn_out()
            starting.close()
            keeper = Keeper(paths.data_dir, os.environ, running, master_key)
        lead = leading(paths, choice, running.url, secret)
        environ = _environment(vault, master_key, lead)
        words = choice.with_base_url(f"{running.url}/v1")
        _tell(choice, running)
        try:
            return child.run(path, words, environ, keeper.look)
        except OSError as error:
            fail(f"{command[0]}: {(error.strerror or 'cannot be started').lower()}", exit_code=NOT_EXECUTABLE)


def _executable(word: str) -> str:
    """The program's file."""
    path = shutil.which(word)
    if path is not None:
        return path
    if os.sep in word and Path(word).exists():
        raise UserError(f"{word}: not a program that can be executed", exit_code=NOT_EXECUTABLE)
    raise UserError(f"{word}: command not found", exit_code=NOT_FOUND)


def _waiting(paths: Paths, stack: ExitStack) -> Waiting:
    waiting = Waiting(paths.data_dir, os.environ)
    stack.callback(waiting.turn_out)
    return waiting


def _clear_remains(vault: Vault, data_folder: Path) -> None:
    try:
        count = command_key.clear_remains(vault, data_folder)
    except VaultError as error:
        warn(f"keys of commands that were killed could not be revoked: {error}")
        return
    if count:
        say(f"revoked {count} key{'' if count == 1 else 's'} of commands that were killed")


def _environment(vault: Vault, master_key: Secret, lead: guest_environment.Leading) -> dict[str, str]:
    accounts = vault.accounts()
    if not accounts:
        warn("there are no accounts yet, so requests will be refused; add one with `codex-manager add LABEL`")
    secrets = [secret for each in accounts for secret in (each.api_key, each.admin_key) if secret is not None]
    kept, held = guest_environment.without_secrets(os.environ, [*secrets, master_key])
    if held := [name for name in held if name not in {"OPENAI_API_KEY", "CODEX_API_KEY", "CAM_MASTER_KEY"}]:
        say(f"left out of the command's environment, because a key of the vault is in it: {', '.join(sorted(held))}")
    for variable, value in guest_environment.changes(kept, lead).items():
        if value is None:
            kept.pop(variable, None)
        else:
            kept[variable] = value
    return kept


def _tell(choice: Choice, running: ProxyAt) -> None:
    way = f"base URL {running.url}/v1" if choice.way == "base-url" else f"HTTPS proxy {running.url}"
    caveat = f" ({choice.caveat})" if choice.caveat else ""
    say(f"{choice.name} goes by {way}, because {choice.why}{caveat}")
