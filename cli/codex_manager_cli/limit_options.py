"""The options that say what may be spent and with which models, alike for accounts and for client keys.

Knows click; the values are checked by `codex_manager.accounts.fields`.
"""

import os

from collections.abc import Callable, Mapping
from typing import Any

import click

from codex_manager.accounts.limits import unheld
from codex_manager.config.paths import Paths
from codex_manager_cli.talk import warn


__all__ = ["limit_options", "models_option", "warn_unless_held"]


def limit_options[F: Callable[..., Any]](command: F) -> F:
    """`--daily-limit` and `--monthly-limit`."""
    for option in (
        click.option(
            "--monthly-limit", "monthly_limit_usd", metavar="USD", help="US dollars a month, `none` takes it away."
        ),
        click.option("--daily-limit", "daily_limit_usd", metavar="USD", help="US dollars a day, `none` takes it away."),
    ):
        command = option(command)
    return command


def models_option[F: Callable[..., Any]](command: F) -> F:
    """`--models`."""
    return click.option(
        "--models", "--model", "models", multiple=True, metavar="PATTERNS",
        help="Models allowed: names with wildcards, `!` in front excludes; commas or repeated. Default: all.",
    )(command)  # fmt: skip


def warn_unless_held(fields: Mapping[str, Any]) -> None:
    """A limit was given, and the configuration says that nothing is counted."""
    note = unheld(Paths.locate(), os.environ, fields)
    if note is not None:
        warn(note.text)
