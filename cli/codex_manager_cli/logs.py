"""`logs`: what the proxy said. From its file where it writes one, as it does in the background; else from its memory, while it runs."""

import os
import time

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import UserError, fail


if TYPE_CHECKING:
    from codex_manager_cli import log_reader

__all__ = ["logs"]

LOOK_S: Final = 0.5
MOST: Final = 1_000_000


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what is said from now on, until Ctrl-C.")
@click.option(
    "--lines", "-n", type=click.IntRange(0, MOST), default=50, show_default=True, help="So many of the last ones."
)
@click.option("--json", "as_json", is_flag=True, help="Print an object a line: time, level, logger, message.")
def logs(*, follow: bool, lines: int, as_json: bool) -> None:
    """Show what the proxy that runs on this home has said; what one in the background said stays when it has ended."""
    from codex_manager.config import presence
    from codex_manager_cli import log_reader
    from codex_manager_cli.background import log_file

    paths = Paths.locate()
    running = presence.running(paths.data_dir)
    file = log_file(paths, os.environ) if running is None else Path(running.log) if running.log else None
    try:
        if file is None:
            _print(_remembered(paths.data_dir, lines, follow=follow), as_json=as_json)
            return
        _print(iter(log_reader.last(file, lines)), as_json=as_json)
        if follow:
            _print(log_reader.following(file), as_json=as_json)
    except FileNotFoundError:
        fail(
            f"there is no log yet: {file}",
            hint="a proxy writes one when it runs in the background, `codex-manager proxy --background`",
        )
    except KeyboardInterrupt:
        return


def _print(entries: "Iterator[log_reader.Entry]", *, as_json: bool) -> None:
    for entry in entries:
        click.echo(entry.as_json() if as_json else entry.as_text())


def _remembered(folder: Path, count: int, *, follow: bool) -> "Iterator[log_reader.Entry]":
    """What a proxy at a terminal has in memory."""
    from codex_manager_cli.control import Line
    from codex_manager_cli.log_reader import Entry

    number, limit = 0, max(min(count, 1000), 1)
    with Line(folder) as line:
        while True:
            try:
                told = line.log(number, limit)
            except UserError:
                if not number:
                    raise
                told = None  # it ends, or starts again
            if told is not None:
                if number or count:
                    yield from (Entry(each.time, each.level, each.logger, each.message) for each in told.lines)
                number, limit = told.number, 1000
            if not follow:
                return
            time.sleep(LOOK_S)
