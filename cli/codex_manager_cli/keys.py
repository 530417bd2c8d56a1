"""`keys`: the local keys that clients send to the proxy instead of an OpenAI key.

Law: a key is printed once, when it is made, alone on stdout; the vault keeps only its digest.
"""

from contextlib import ExitStack

import click

from codex_manager.config.paths import Paths
from codex_manager.vault.errors import ClientKeyNotFoundError
from codex_manager_cli import session
from codex_manager_cli.account_fields import FieldError, check_label, shorten
from codex_manager_cli.account_view import columns, when
from codex_manager_cli.talk import emit_json, fail, say


__all__ = ["keys"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def keys() -> None:
    """Local keys that clients send, one a client, so that each can be told apart and revoked."""


@keys.command()
@click.argument("name")
@_json_option
def add(name: str, *, as_json: bool) -> None:
    """Make a key for the client NAME and print it, this once."""
    try:
        name = check_label(name, "name")
    except FieldError as error:
        fail(str(error), exit_code=2)
    with ExitStack() as stack:
        key, secret = session.opened(Paths.locate(), stack).add_client_key(name)
    if as_json:
        emit_json({"id": key.id, "name": key.name, "created_at": key.created_at, "key": secret.reveal()})
    else:
        click.echo(secret.reveal())
    say(f"this is the key of {key.name!r}; it is not shown again, and `codex-manager keys revoke` ends it")
    say("give it to the client with the proxy's address, for example:")
    say("  export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=<the key>")


@keys.command("list")
@_json_option
def list_(*, as_json: bool) -> None:
    """List the named keys; the keys themselves are not kept."""
    with ExitStack() as stack:
        vault = session.existing(Paths.locate(), stack)
        found = vault.client_keys() if vault else []
    if as_json:
        emit_json([{"id": key.id, "name": key.name, "created_at": key.created_at} for key in found])
    elif found:
        click.echo(columns([("NAME", "CREATED", "ID"), *((key.name, when(key.created_at), key.id) for key in found)]))
    else:
        say(
            "no named keys; clients use the one in the configuration (`codex-manager config get proxy.api_key --reveal`)"
        )


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """End the key NAME (its name or id): a running proxy refuses it within two seconds."""
    with ExitStack() as stack:
        vault = session.opened(Paths.locate(), stack)
        try:
            key = vault.revoke_client_key(name)
        except ClientKeyNotFoundError as error:  # told again, because the name may be the key itself
            fail(f"there is no key named '{shorten(name)}'", hint=error.hint)
    say(f"revoked {key.name!r}")
