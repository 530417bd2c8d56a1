"""`import` and `export`: accounts from one machine to another, or from the original product.

Law: an import is decided whole and written in one transaction, or not at all. An export is sealed unless plain text was
asked for, goes to a new file that only its owner can read, and never overwrites.
"""

import os
import sys

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from codex_manager.accounts import importing, transfer_format
from codex_manager.accounts.errors import ImportConflictError
from codex_manager.accounts.import_plan import Plan, Wish
from codex_manager.accounts.intake import local_keys
from codex_manager.accounts.transfer_format import Parcel
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault import sealed_file
from codex_manager_cli import session, terminal
from codex_manager_cli.talk import emit_json, fail, say, warn


__all__ = ["PASSPHRASE_VARIABLE", "export", "import_"]

PASSPHRASE_VARIABLE = "CODEX_MANAGER_EXPORT_PASSPHRASE"  # noqa: S105 - the name of a variable, not a passphrase
SHORT_PASSPHRASE = 15
"""Below this many characters a sealed file that travels deserves a warning (NIST SP 800-63B-4 asks as many of a lone password)."""

_passphrase_option = click.option(
    "--passphrase-stdin",
    is_flag=True,
    help=f"Read the passphrase from stdin; else from {PASSPHRASE_VARIABLE} or the terminal.",
)


@click.command("import")
@click.argument("file")
@click.option(
    "--on-conflict",
    type=click.Choice(["skip", "replace", "rename"]),
    help="What to do with accounts that are there already. Default: stop, and name them.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
@_passphrase_option
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def import_(file: str, *, on_conflict: Wish | None, dry_run: bool, passphrase_stdin: bool, as_json: bool) -> None:
    """Import accounts from FILE (`-` for stdin): an export of codex-manager, sealed or plain, or of the original."""
    if passphrase_stdin and file == "-":
        fail("stdin cannot carry both the file and its passphrase", hint=f"set {PASSPHRASE_VARIABLE}", exit_code=2)
    text = _read(file)
    if sealed_file.is_sealed(text):
        text = sealed_file.open_text(text, _passphrase(new=False, from_stdin=passphrase_stdin))
    parcel = importing.parcel_of(text)
    paths = Paths.locate()
    with ExitStack() as stack:
        vault = session.existing(paths, stack)
        importing.refuse_local_keys(local_keys(paths, os.environ, session.tell), parcel)
        if dry_run:
            done = _planned(vault.accounts() if vault else [], parcel, on_conflict)
        else:
            vault = vault or session.made_on_the_way(paths, stack)
            with vault.transaction():
                done = _planned(vault.accounts(), parcel, on_conflict)
                importing.carry_out(vault, done)
    if parcel.ignored:
        warn(f"left out, because codex-manager has no such field: {', '.join(parcel.ignored[:10])}")
    _report(done, dry_run=dry_run, as_json=as_json)


@click.command()
@click.argument("file", required=False)
@click.option("--plaintext", is_flag=True, help="Write keys in clear. Whoever reads the file can use the accounts.")
@click.option("--force", is_flag=True, help="With --plaintext: print keys even on a terminal.")
@_passphrase_option
def export(file: str | None, *, plaintext: bool, force: bool, passphrase_stdin: bool) -> None:
    """Export all accounts, sealed under a passphrase, to a new FILE; without FILE, or with `-`, to stdout."""
    to_stdout = file in (None, "-")
    if plaintext and passphrase_stdin:
        fail("--plaintext has no passphrase", exit_code=2)
    if plaintext and to_stdout and sys.stdout.isatty() and not force:
        fail("keys in clear are not printed on a terminal", hint="give a FILE, or --force to mean it", exit_code=2)
    if not to_stdout and os.path.lexists(str(file)):
        fail(f"{shorten(str(file))} exists; an export never overwrites", hint="choose another name")
    with ExitStack() as stack:
        accounts = session.opened(Paths.locate(), stack).accounts()
    text = transfer_format.dump(accounts, now=datetime.now(UTC))
    if not plaintext:
        text = sealed_file.seal_text(text, _passphrase(new=True, from_stdin=passphrase_stdin))
    if to_stdout:
        click.echo(text, nl=False)
    else:
        _write_new(Path(str(file)), text)
    what = f"{len(accounts)} account{'' if len(accounts) == 1 else 's'}"
    where = "" if to_stdout else f" to {file}"
    say(
        f"exported {what}{where}, "
        + ("keys in clear: delete it when it is no longer needed" if plaintext else "sealed under your passphrase")
    )


def _planned(stored: list[Account], parcel: Parcel, wish: Wish | None) -> Plan:
    try:
        return importing.planned(stored, parcel, wish)
    except ImportConflictError as error:
        if wish is None:
            error.hint = "choose with --on-conflict skip, replace or rename"
        raise


def _report(done: Plan, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        emit_json(
            {
                "dry_run": dry_run,
                "added": [addition.label for addition in done.add],
                "replaced": [{"label": draft.label, "stored_as": stored.label} for draft, stored in done.replace],
                "skipped": [
                    {"label": draft.label, "stored_as": stored.label, "reason": reason}
                    for draft, stored, reason in done.skip
                ],
            }
        )
    for remark in importing.remarks(done):
        say(remark)
    verb = "would import" if dry_run else "imported"
    more = (f", {len(done.replace)} replaced" if done.replace else "") + (
        f", {len(done.skip)} left out" if done.skip else ""
    )
    say(f"{verb} {len(done.add)} new account{'' if len(done.add) == 1 else 's'}{more}")


def _passphrase(*, new: bool, from_stdin: bool) -> Secret:
    """For a sealed file: stdin when asked for, else the environment, else the terminal."""
    if from_stdin:
        passphrase = terminal.one_line_of_stdin("passphrase")
    elif text := os.environ.get(PASSPHRASE_VARIABLE):
        passphrase = Secret(text)
    elif not terminal.can_ask():
        fail(
            "no passphrase for the sealed file and no terminal to ask on",
            hint=f"set {PASSPHRASE_VARIABLE}, or pipe it in with --passphrase-stdin",
            exit_code=2,
        )
    else:
        passphrase = terminal.ask_new("passphrase") if new else Secret(terminal.ask("passphrase of the file"))
    if new and len(passphrase.reveal()) < SHORT_PASSPHRASE:
        warn("this passphrase is short; a file that travels should have one of several words")
    return passphrase


def _read(file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(importing.FILE_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(importing.FILE_MAX + 1)
    except FileNotFoundError:
        fail(f"there is no file {shorten(file, 200)}")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file name"
        fail(f"{shorten(file, 200)} cannot be read: {reason.lower()}")
    return importing.text_of(data)


def _write_new(path: Path, text: str) -> None:
    """A file that did not exist, readable by its owner alone from its first moment on; all of it or none."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError:
        fail(f"{shorten(str(path), 200)} exists; an export never overwrites", hint="choose another name")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file name"
        fail(f"{shorten(str(path), 200)} cannot be made: {reason.lower()}")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        fail(f"{shorten(str(path), 200)} could not be written: {(error.strerror or 'unknown error').lower()}")
