"""The options that say what may be spent and with which models, alike for accounts and for client keys.

Knows click and the configuration's switch for metering; the values are checked by `account_fields`. A limit is held by the
proxy, so a configuration that turns counting off deserves a word when one is set.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager_cli.talk import warn


__all__ = ["LIMITS", "limit_options", "models_option", "warn_unless_held"]

LIMITS: Final = ("daily_limit_usd", "monthly_limit_usd")


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
    if all(fields.get(name) is None for name in LIMITS):
        return
    from codex_manager.config.load import load

    try:
        held = load(Paths.locate()).metering.enabled
    except ConfigError:  # told by whoever needs the configuration
        return
    if not held:
        warn(
            "no limit is held while `metering.enabled` is false: turn it on with `codex-manager config set metering.enabled true`"
        )
