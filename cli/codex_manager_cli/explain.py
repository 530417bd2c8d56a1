"""`explain`: why a request went where it went, and what became of it, from the ledger alone.

Law: reading locks nothing and asks nobody for a key. Where the vault can be opened without asking, accounts that nothing stood
against are named, too.
"""

import os
import time

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.talk import emit_json, fail, say


if TYPE_CHECKING:  # heavier than what `--help` may load
    from codex_manager.core.account import Account
    from codex_manager.core.record import Record
    from codex_manager.core.telling.story import Story
    from codex_manager.ledger import Reader

__all__ = ["explain", "same_request", "stories"]

LOOKED_AT: Final = 200
"""Records that a beginning may fit; a WebSocket's answers are records of one id with numbers behind it."""
SHOWN: Final = 20
"""Answers of one WebSocket."""
NAMED: Final = 4


@click.command()
@click.argument("request_id", required=False)
@click.option("--last", is_flag=True, help="The last request that was recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(request_id: str | None, *, last: bool, as_json: bool) -> None:
    """Show why a request went where it went, and what it cost.

    REQUEST_ID is what the answer's header `X-Codex-Manager-Request-Id` says, or a unique beginning of it.
    """
    from codex_manager.core.telling.story_data import as_data
    from codex_manager.core.telling.story_page import as_page
    from codex_manager.ledger import LedgerMissingError, Reader

    if (request_id is None) != last:
        fail("give the id of a request, or --last", hint="it is in the header X-Codex-Manager-Request-Id", exit_code=2)
    paths = Paths.locate()
    try:
        with Reader.open(paths.ledger_file) as reader:
            found = _newest(reader) if request_id is None else _named(reader, request_id.strip().lower(), paths)
            shown = stories(reader, found[:SHOWN], _accounts(paths))
    except LedgerMissingError:
        fail("nothing was recorded yet", hint=f"the first request through the proxy begins {paths.ledger_file}")
    if as_json:
        told = [as_data(story) for story in shown]
        emit_json(told[0] if len(told) == 1 else told)
        return
    now = time.time()
    click.echo("\n\n\n".join(as_page(story, now, None) for story in shown))
    if len(found) > SHOWN:
        say(f"these are the first {SHOWN} of {len(found)} answers on this WebSocket")


def _newest(reader: "Reader") -> "list[Record]":
    """The last request; the attempts it lost are told with it."""
    found = [record for record in reader.requests(limit=20) if "attempt_of" not in record.detail]
    if not found:
        fail("no request was recorded yet")
    return found[:1]


def _named(reader: "Reader", beginning: str, paths: Paths) -> "list[Record]":
    """The one request that is meant: one record, or all answers on one WebSocket."""
    fits = reader.like(beginning, LOOKED_AT) if beginning else []
    exact = [record for record in fits if record.id == beginning]
    if exact:
        return exact
    families: dict[str, list[Record]] = {}
    for record in reversed(fits):
        if (of := record.detail.get("attempt_of")) is None:
            families.setdefault(record.id.partition(".")[0], []).append(record)
        else:
            families.setdefault(str(of).partition(".")[0], [])
    if not families:
        _unknown(reader, beginning, paths)
    if len(families) > 1:
        listed = ", ".join(list(families)[:NAMED]) + (" …" if len(families) > NAMED else "")
        fail(f"several requests begin so: {listed}", hint="give more of the id")
    ((root, members),) = families.items()
    return members or reader.like(root, 1)


def _unknown(reader: "Reader", beginning: str, paths: Paths) -> None:
    from codex_manager.config.errors import ConfigError
    from codex_manager.config.load import load
    from codex_manager.core.telling.quoting import shorten

    oldest = reader.health().oldest
    try:
        section = load(paths).metering
        kept = f"single requests are kept for {section.retention_days} days (`metering.retention_days`)"
        if not section.enabled:
            kept = "since `metering.enabled` is off, nothing is recorded"
    except ConfigError:
        kept = "old requests are not kept"
    since = (
        ""
        if oldest is None
        else f", the oldest here is of {datetime.fromtimestamp(oldest, UTC).astimezone():%Y-%m-%d %H:%M}"
    )
    fail(
        f"no request '{shorten(beginning)}' is recorded in {paths.ledger_file}",
        hint=f"{kept}{since}; one that is still on its way is recorded when it ends, and a proxy with another"
        " CODEX_MANAGER_HOME has a ledger of its own",
    )


def same_request(reader: "Reader", request_id: str) -> "list[Record]":
    """The one request with this id, or all answers on one WebSocket, oldest first; empty when none is recorded."""
    fits = [each for each in reversed(reader.like(request_id, LOOKED_AT)) if "attempt_of" not in each.detail]
    exact = [each for each in fits if each.id == request_id]
    return exact or [each for each in fits if each.id.startswith(f"{request_id}.")]


def stories(reader: "Reader", records: "Sequence[Record]", accounts: "Sequence[Account]") -> "list[Story]":
    """Each of these requests with what belongs to it; `accounts` are those of the vault, as far as they are known."""
    from codex_manager.core.telling.story import Story
    from codex_manager_cli.usage_names import display_names

    labels: Mapping[str, str] = display_names({**reader.labels(), **{a.id: a.label for a in accounts}})
    told = []
    for record in records:
        lost = [each for each in reader.like(f"{record.id}-") if each.detail.get("attempt_of") == record.id]
        there = tuple(account.id for account in accounts if _since(account) <= record.time)
        told.append(Story(record, tuple(reversed(lost)), labels, there))
    return told


def _accounts(paths: Paths) -> "list[Account]":
    """Those of the vault, if it opens without asking anybody."""
    from codex_manager.vault import masterkey
    from codex_manager.vault.errors import VaultError

    try:
        with masterkey.open_vault(paths.vault_file, environ=os.environ, prompt=None) as vault:
            return vault.accounts()
    except (VaultError, OSError):
        return []


def _since(account: "Account") -> float:
    """Unix time at which the account was added; 0 when that is not known."""
    try:
        return datetime.fromisoformat(account.created_at).timestamp()
    except ValueError:
        return 0.0
