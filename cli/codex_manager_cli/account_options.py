"""The options that `add` and `edit` share, and what becomes of them.

Knows click and the checks; knows no vault. A field that was not given is not in the result; an empty text clears it.
"""

from collections.abc import Callable
from typing import Any

import click

from codex_manager.accounts.fields import CHECKS, FieldError, check
from codex_manager_cli.limit_options import limit_options, models_option, warn_unless_held
from codex_manager_cli.talk import fail


__all__ = ["account_options", "checked_fields", "field_or_fail", "only_dash"]

_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--organization", "--org", "--org-id", "-o", "organization", metavar="ORG", help="OpenAI organization id."
    ),
    click.option("--project", metavar="PROJECT", help="OpenAI project id."),
    click.option("--base-url", metavar="URL", help="Where this account's API lives, when not at the configured place."),
    models_option,
    limit_options,
    click.option("--priority", metavar="N", help="Higher goes first under `priority`. Default: 0."),
    click.option("--weight", metavar="X", help="Share of the turns under `round_robin`. Default: 1."),
    click.option("--tag", "--tags", "tags", multiple=True, metavar="TAG", help="A word of your own; repeatable."),
    click.option("--notes", metavar="TEXT", help="Anything to remember about it."),
)  # fmt: skip


def account_options[F: Callable[..., Any]](command: F) -> F:
    """Add the options, in the order above."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def checked_fields(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, checked, by field of `Account`; ends the command at the first value that cannot be."""
    fields = {
        field: field_or_fail(field, value)
        for field, value in given.items()
        if field in CHECKS and value not in (None, ())
    }
    warn_unless_held(fields)
    return fields


def field_or_fail(field: str, value: object) -> Any:
    """One checked value, or the end of the command with status 2."""
    try:
        return check(field, value)
    except FieldError as error:
        fail(str(error), exit_code=2)


def only_dash(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """An option that names where a secret comes from; the secret itself on the command line is refused, not repeated."""
    if value not in (None, "-"):
        fail(
            f"--{(parameter.name or '').replace('_', '-')} takes `-` only: the key comes from stdin or the terminal",
            exit_code=2,
        )
    return value
