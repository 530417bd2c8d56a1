"""`status`: what the proxy and its accounts are doing, and whose fault it is when something goes wrong.

Law: asks nobody for a key and changes nothing. The exit status tells programs the same in a number.
"""

import json
import sys
import time

from typing import Any, Final

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import UserError, emit_json, say


__all__ = ["status"]

LOOK_S: Final = 2.0
SERVES, SERVES_NOT, LOCKED, NOBODY_THERE = 0, 1, 3, 4


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch a line a look.")
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
def status(*, as_json: bool, watch: bool) -> int:
    """Show what the proxy and its accounts are doing, and whose fault it is when something goes wrong.

    The exit status is 0 while requests can be served, 1 when none can, 3 when the vault is locked, and 4 when no proxy runs;
    then what ledger and vault know is shown.
    """
    if not watch:
        return _look(as_json=as_json, watching=False)
    result = SERVES
    try:
        while True:
            try:
                result = _look(as_json=as_json, watching=True)
            except UserError as error:  # such as one that is just being started again
                say(str(error))
                result = SERVES_NOT
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        return result


def _look(*, as_json: bool, watching: bool) -> int:
    from codex_manager_cli import control
    from codex_manager_cli.status_report import gathered
    from codex_manager_cli.status_view import as_page

    paths = Paths.locate()
    now = time.time()
    document = gathered(paths, control.ask(paths.data_dir, "status"), now)
    if as_json and watching:
        click.echo(json.dumps(document, ensure_ascii=False))
    elif as_json:
        emit_json(document)
    else:
        page = as_page(document, now)
        if watching and sys.stdout.isatty():
            click.clear()
        click.echo(page if not watching or sys.stdout.isatty() else f"{page}\n")
        if not watching:
            for note in document["notes"]:
                say(note)
    sys.stdout.flush()
    return _exit_status(document)


def _exit_status(document: dict[str, Any]) -> int:
    if not document["running"]:
        return NOBODY_THERE
    if document["locked"]:
        return LOCKED
    return SERVES if document["serving"] else SERVES_NOT
