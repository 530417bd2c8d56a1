"""`vault`: the care of the vault file as a whole.

Law: what cannot be taken back (`restore`, a lock that forgets its key) asks or wants the master key first; a lock
itself needs no key, so that it is always one command away.
"""

import os
import sys

from contextlib import ExitStack
from pathlib import Path

import click

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault import masterkey, upkeep
from codex_manager.vault.errors import WrongKeyError
from codex_manager.vault.restore import restore as restore_vault
from codex_manager_cli import session, terminal
from codex_manager_cli.init import make_vault, prompt_option
from codex_manager_cli.services.plan import SEALED_FILE
from codex_manager_cli.talk import emit_json, fail, say, warn


__all__ = ["vault"]

_stdin_option = click.option(
    "--key-stdin", is_flag=True, help="Read the master key from stdin instead of the terminal."
)


@click.group()
def vault() -> None:
    """Make, lock, unlock, rekey, verify and back up the vault."""


@vault.command()
@prompt_option
def init(*, choose: bool) -> None:
    """Make the vault, if there is none; `codex-manager init` makes the configuration as well."""
    make_vault(Paths.locate(), choose=choose)


@vault.command()
@click.option("--forget-key", is_flag=True, help="Also take the master key out of the keyring; asks for it first.")
@_stdin_option
def lock(*, forget_key: bool, key_stdin: bool) -> None:
    """Lock the vault: every command refuses, and a running proxy drops its keys within two seconds."""
    file = _file()
    if key_stdin and not forget_key:
        fail("--key-stdin goes with --forget-key; a lock needs no key", exit_code=2)
    if not forget_key:
        upkeep.lock(file)
        say("the vault is locked; open it with `codex-manager vault unlock`")
        return
    key = _typed(key_stdin)
    try:
        forgotten = masterkey.forget(file, key)
    except WrongKeyError as error:
        error.hint = "nothing was forgotten; if the keyring's random key was never shown, choose one with `codex-manager vault rekey` first"
        raise
    upkeep.lock(file)
    say("the vault is locked, and the keyring " + ("has forgotten its key" if forgotten else "had no key of it"))


@vault.command()
@_stdin_option
@click.option("--remember", is_flag=True, help="Keep the master key in the system's keyring from now on.")
def unlock(*, key_stdin: bool, remember: bool) -> None:
    """Unlock the vault; the master key must open it."""
    file = _file()
    if key_stdin:
        key = terminal.one_line_of_stdin("master key")
        upkeep.unlock(file, key)
    else:
        key, _ = session.proven(file, upkeep.unlock, even_locked=True)
    if remember:
        masterkey.keep(file, key)
    say("the vault is unlocked" + (", and the keyring keeps its key" if remember else ""))


@vault.command()
@click.option("--generate", is_flag=True, help="Make a random key and keep it in the system's keyring.")
@_stdin_option
def rekey(*, generate: bool, key_stdin: bool) -> None:
    """Give the vault a new master key: typed twice, from stdin, or random. The old one opens it no more."""
    if generate and key_stdin:
        fail("--generate and --key-stdin contradict each other", exit_code=2)
    _file()
    with ExitStack() as stack:
        opened = session.opened(Paths.locate(), stack)
        new: Secret | None = None
        if key_stdin:
            new = terminal.one_line_of_stdin("new master key")
        elif not generate:
            if not terminal.can_ask():
                fail(
                    "no terminal to ask for a new master key on",
                    hint="pipe it in with --key-stdin, or use --generate",
                    exit_code=2,
                )
            new = terminal.ask_new("master key")
        kept = masterkey.rekey(opened, new)
    say("the vault has a new master key" + (", kept in the keyring" if kept else ""))
    if os.environ.get(masterkey.VARIABLE):
        warn(
            f"{masterkey.VARIABLE} still holds the old key and would be tried first; "
            + ("unset it" if generate else "change it")
        )
    if (Paths.locate().data_dir / SEALED_FILE).exists():
        warn("the service still has the old key; `codex-manager service install` gives it the new one")
    say("backups made before open with the old key only")


@vault.command()
def rotate() -> None:
    """Seal every record anew under a fresh data key; the master key stays, a running proxy goes on."""
    with ExitStack() as stack:
        session.opened(Paths.locate(), stack).rotate()
    say("every record is sealed under a fresh data key")


@vault.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(ctx: click.Context, *, as_json: bool) -> None:
    """Open every record and check the file; exit status 1 when something is wrong."""
    with ExitStack() as stack:
        report = session.opened(Paths.locate(), stack).verify()
    if as_json:
        emit_json(
            {
                "ok": report.ok, "vault_id": report.vault_id, "format_version": report.format_version, "accounts": report.accounts,
                "client_keys": report.client_keys, "problems": list(report.problems), "sqlite_version": report.sqlite_version,
            }
        )  # fmt: skip
    if report.ok:
        say(
            f"the vault is whole, every record opens; accounts: {report.accounts}, named local keys: {report.client_keys}"
        )
        return
    for problem in report.problems:
        warn(problem)
    say(f"{len(report.problems)} problem{'' if len(report.problems) == 1 else 's'} found")
    ctx.exit(1)


@vault.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Write a copy to FILE, sealed as the vault is; an existing file is never overwritten."""
    with ExitStack() as stack:
        session.opened(Paths.locate(), stack).backup(file)
    say(f"the backup {file} opens with the vault's master key of today")


@vault.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def restore(file: Path, *, yes: bool) -> None:
    """Put the backup FILE in the vault's place; the vault that was there is kept beside it."""
    paths = Paths.locate()
    there = session.vault_there(paths)
    if there and not yes:
        if not sys.stdin.isatty():
            fail(
                "there is no terminal to ask on, so the vault was not replaced",
                hint="give --yes to mean it",
                exit_code=2,
            )
        if not click.confirm(f"codex-manager: replace the vault {paths.vault_file} by {file}?", err=True):
            fail("nothing was done")
    _, aside = session.proven(file, lambda backup_file, key: restore_vault(paths.vault_file, backup_file, key))
    say(f"the vault is restored from {file}" + (f"; the one before is {aside}" if aside else ""))


@vault.command()
def path() -> None:
    """Print where the vault is, or would be."""
    click.echo(Paths.locate().vault_file)


def _file() -> Path:
    """The vault's file; having none ends the command."""
    paths = Paths.locate()
    if not session.vault_there(paths):
        fail("no vault yet", hint="make one with `codex-manager init`")
    return paths.vault_file


def _typed(key_stdin: bool) -> Secret:
    """A master key from a person or a pipe, never from where it is kept."""
    if key_stdin:
        return terminal.one_line_of_stdin("master key")
    if not terminal.can_ask():
        fail("no terminal to ask for the master key on", hint="pipe it in with --key-stdin", exit_code=2)
    return Secret(terminal.ask("master key"))
