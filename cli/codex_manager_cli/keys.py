"""`keys`: the local keys that clients send to the proxy instead of an OpenAI key, and what each may spend.

Law: a key is printed once, when it is made, alone on stdout; the vault keeps only its digest. Usage and limits belong to
the name, so a key that is revoked and made again under its name goes on where the old one stopped.
"""

from contextlib import ExitStack
from typing import Any

import click

from codex_manager.accounts.fields import FieldError, check_label
from codex_manager.accounts.key_rack import DEFAULT_CLIENT
from codex_manager.config.paths import Paths
from codex_manager.core.telling.columns import columns
from codex_manager.core.telling.quoting import shorten
from codex_manager.vault.errors import ClientKeyNotFoundError
from codex_manager.vault.store import ClientKey
from codex_manager_cli import session, suggest
from codex_manager_cli.account_options import checked_fields
from codex_manager_cli.account_view import money, short, when
from codex_manager_cli.limit_options import limit_options, models_option
from codex_manager_cli.talk import emit_json, fail, say


__all__ = ["keys"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def keys() -> None:
    """Local keys that clients send, one a client, so that each can be told apart, limited and revoked."""


@keys.command()
@click.argument("name")
@models_option
@limit_options
@_json_option
def add(name: str, *, as_json: bool, **given: Any) -> None:
    """Make a key for the client NAME and print it, this once.

    Limits count what the client's requests cost, whichever accounts serve them.
    """
    try:
        name = check_label(name, "name")
    except FieldError as error:
        fail(str(error), exit_code=2)
    if name.casefold() == DEFAULT_CLIENT:
        fail(f"{name!r} is the name of the clients that send `proxy.api_key`", hint="choose another name", exit_code=2)
    fields = checked_fields(given)
    with ExitStack() as stack:
        key, secret = session.opened(Paths.locate(), stack).add_client_key(name, **fields)
    if as_json:
        emit_json(_as_data(key) | {"key": secret.reveal()})
    else:
        click.echo(secret.reveal())
    say(f"this is the key of {key.name!r}; it is not shown again, and `codex-manager keys revoke` ends it")
    say("give it to the client with the proxy's address, for example:")
    say("  export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=<the key>")


@keys.command("list")
@_json_option
def list_(*, as_json: bool) -> None:
    """List the named keys with their limits; the keys themselves are not kept."""
    with ExitStack() as stack:
        vault = session.existing(Paths.locate(), stack)
        found = vault.client_keys() if vault else []
    if as_json:
        emit_json([_as_data(key) for key in found])
    elif found:
        rows = [("NAME", "MODELS", "PER DAY", "PER MONTH", "CREATED", "ID")]
        rows += [
            (
                key.name,
                short(key.models) if key.models else "all",
                money(key.daily_limit_usd),
                money(key.monthly_limit_usd),
                when(key.created_at),
                key.id,
            )
            for key in found
        ]
        click.echo(columns(rows))
    else:
        say(
            "no named keys; clients use the one in the configuration (`codex-manager config get proxy.api_key --reveal`)"
        )


@keys.command()
@click.argument("name", shell_complete=suggest.client_keys)
@models_option
@limit_options
@_json_option
def edit(name: str, *, as_json: bool, **given: Any) -> None:
    """Change what the key NAME (its name or id) may do; the key itself stays good.

    `none` takes a limit away, `--models ""` allows every model. A running proxy follows within two seconds.
    """
    changes = checked_fields(given)
    if not changes:
        fail("nothing to change", hint="see what can be changed with `codex-manager keys edit --help`", exit_code=2)
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        try:
            key = vault.edit_client_key(name, **changes)
        except ClientKeyNotFoundError as error:  # told again, because the name may be the key itself
            fail(f"there is no key named '{shorten(name)}'", hint=error.hint)
    if as_json:
        emit_json(_as_data(key))
    say(f"changed {key.name!r}: {', '.join(field.removesuffix('_usd').replace('_', ' ') for field in changes)}")


@keys.command()
@click.argument("name", shell_complete=suggest.client_keys)
def revoke(name: str) -> None:
    """End the key NAME (its name or id): a running proxy refuses it within two seconds."""
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        try:
            key = vault.revoke_client_key(name)
        except ClientKeyNotFoundError as error:  # told again, because the name may be the key itself
            fail(f"there is no key named '{shorten(name)}'", hint=error.hint)
    say(f"revoked {key.name!r}")


def _as_data(key: ClientKey) -> dict[str, Any]:
    """For `--json`; names and order stay from release to release."""
    return {
        "id": key.id,
        "name": key.name,
        "created_at": key.created_at,
        "models": list(key.models),
        "daily_limit_usd": key.daily_limit_usd,
        "monthly_limit_usd": key.monthly_limit_usd,
    }
