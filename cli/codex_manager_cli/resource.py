"""`resource`: which account has a file, a batch, a conversation or anything else that lives in one account only.

Reads what the proxy has learned, from the ledger; `--probe` asks OpenAI. Law: without `--probe` nobody is asked, and no command but
`forget` and `find --probe` writes, and they only to what is known of one id.
"""

import re
import time

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from codex_manager.config.paths import Paths
from codex_manager_cli import suggest
from codex_manager_cli.talk import emit_json, fail, say, warn


if TYPE_CHECKING:  # heavier than what `--help` may load
    from codex_manager.core.account import Account
    from codex_manager.core.owners import Owner
    from codex_manager.ledger import Reader
    from codex_manager.provider.thing import Sight

__all__ = ["resource"]

SHOWN: Final = 100
LOOKED_AT: Final = 100_000
"""As many as a proxy keeps in memory."""
HIDDEN: Final = frozenset({"encrypted", "item"})
"""Reasoning and messages: no things of their own, and many. `--kind` shows them."""
_ID = re.compile(r"[A-Za-z0-9_:.\-]{1,200}")

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def resource() -> None:
    """Files, batches, conversations and other things that live in one account: which account has them."""


@resource.command()
@click.argument("name", metavar="ID")
@click.option("--probe", is_flag=True, help="Ask OpenAI with each account; costs nothing.")
@_json_option
def find(name: str, *, probe: bool, as_json: bool) -> None:
    """Tell which account has the thing ID."""
    from codex_manager.core.resources import kind_of
    from codex_manager_cli.resource_view import as_data, page, seen

    name, paths = _checked(name), Paths.locate()
    with ExitStack() as stack:
        reader = _reader(paths, stack)
        owner = reader.owner(name) if reader else None
        labels = dict(reader.labels()) if reader else {}
        family = owner.family if owner is not None else kind_of(name)
        sights: list[Sight] | None = None
        if probe:
            accounts = _accounts(paths)
            labels |= {account.id: account.label for account in accounts}
            sights = _probed(paths, accounts, family, name)
            owner = _learned(paths, reader, sights, accounts, family or "", name) or owner
    data = None if owner is None else as_data(name, owner, labels)
    if as_json:
        said = sights if sights is None else [
            {"account": labels[s.account_id], "account_id": s.account_id, "has": s.has, "error": s.why or None} for s in sights
        ]  # fmt: skip
        emit_json({"id": name, "kind": family, "owner": data, "probed": said})
    else:
        parts = [page(data)] if data is not None else []
        if sights is not None:
            parts.append(seen(sights, labels))
        if parts:
            click.echo("\n\n".join(parts))
    if sights is not None and not any(sight.has for sight in sights):
        unknown = [labels[sight.account_id] for sight in sights if sight.has is None]
        if unknown:
            fail(
                f"none of the accounts that answered has '{name}'", hint=f"nothing can be said of {', '.join(unknown)}"
            )
        fail(
            f"none of the accounts has '{name}'",
            hint=f"`codex-manager resource forget {name}` forgets where it was" if owner is not None else None,
        )
    if owner is None:
        hint = "`--probe` asks OpenAI with each account" if family else "it looks like no id of OpenAI's"
        fail(f"it is not known who has '{name}'", hint=hint)


@resource.command("list")
@click.option(
    "--account", metavar="LABEL", shell_complete=suggest.accounts, help="Only what this account has; label or id."
)
@click.option("--kind", metavar="KIND", help="Only these, such as file, batch, vector_store, conversation, response.")
@click.option(
    "--limit", type=click.IntRange(1, LOOKED_AT), default=SHOWN, show_default=True, help="Show at most so many."
)
@_json_option
def list_(account: str | None, kind: str | None, limit: int, *, as_json: bool) -> None:
    """List the things that have passed by, the last seen first.

    What OpenAI has beyond that, its own lists show: the proxy's `GET /v1/files` and its like are those of all accounts.
    """
    from codex_manager.core.resources import BY_NAME
    from codex_manager_cli.resource_view import as_data, as_table

    if kind is not None:
        kind = kind.strip().lower().removesuffix("s").replace("-", "_")
        kind = {"batche": "batch"}.get(kind, kind)
        if kind not in BY_NAME and kind not in HIDDEN:
            fail(f"there is no kind '{kind[:40]}'", hint=f"kinds are {', '.join(BY_NAME)}", exit_code=2)
    paths = Paths.locate()
    with ExitStack() as stack:
        reader = _reader(paths, stack)
        labels = dict(reader.labels()) if reader else {}
        current = _current(paths)
        labels |= current
        wanted = None if account is None else _ids(account, current, labels)
        rows: Sequence[tuple[str, Owner]] = reader.owners(family=kind, limit=LOOKED_AT) if reader else ()
        domains = _domains(reader, wanted)
    rows = [
        (name, owner)
        for name, owner in rows
        if (kind is not None or owner.family not in HIDDEN)
        and (wanted is None or owner.account_id in wanted or owner.domain in domains)
    ]
    shown = [as_data(name, owner, labels) for name, owner in rows[:limit]]
    if as_json:
        emit_json(shown)
        return
    if not shown:
        say("nothing has passed by yet" + ("" if kind is None and account is None else " that fits"))
        return
    click.echo(as_table(shown))
    if len(rows) > limit:
        say(f"these are the last {limit} of {len(rows)}; `--limit` shows more")


@resource.command()
@click.argument("name", metavar="ID")
def forget(name: str) -> None:
    """Forget which account has the thing ID, so that the proxy looks for it anew. Nothing is deleted at OpenAI."""
    from codex_manager.config import presence
    from codex_manager.core.owners import Change
    from codex_manager.ledger.clerk import Clerk
    from codex_manager.ledger.remembered import OwnersKept

    name, paths = _checked(name), Paths.locate()
    with ExitStack() as stack:
        reader = _reader(paths, stack)
        owner = reader.owner(name) if reader else None
    if owner is None:
        fail(f"it is not known who has '{name}', so there is nothing to forget")
    Clerk.open(paths.ledger_file).write(OwnersKept.of([Change(name, None)]))
    say(f"forgot who has {name}")
    if presence.running(paths.data_dir) is not None:
        warn("the running proxy knows it until it is started again, or OpenAI tells it otherwise")


def _checked(name: str) -> str:
    from codex_manager.core.telling.quoting import shorten

    name = name.strip()
    if _ID.fullmatch(name) is None:
        fail(f"'{shorten(name)}' is no id", hint="ids look like file-abc, batch_abc, conv_abc", exit_code=2)
    return name


def _reader(paths: Paths, stack: ExitStack) -> "Reader | None":
    from codex_manager.ledger import LedgerMissingError, Reader

    try:
        return stack.enter_context(Reader.open(paths.ledger_file))
    except LedgerMissingError:
        return None


def _current(paths: Paths) -> dict[str, str]:
    """Labels by id as the vault has them, if it opens without asking anybody."""
    import os

    from codex_manager.vault import masterkey
    from codex_manager.vault.errors import VaultError

    try:
        with masterkey.open_vault(paths.vault_file, environ=os.environ, prompt=None) as vault:
            return {account.id: account.label for account in vault.accounts()}
    except (VaultError, OSError):
        return {}


def _ids(identifier: str, current: Mapping[str, str], labels: Mapping[str, str]) -> frozenset[str]:
    from codex_manager_cli.usage_names import FilterError, account_ids

    try:
        try:
            return account_ids(identifier, current or labels)
        except FilterError:
            return account_ids(identifier, labels)
    except FilterError as error:
        fail(str(error), hint="`codex-manager list` shows the accounts")


def _domains(reader: "Reader | None", account_ids: frozenset[str] | None) -> frozenset[str]:
    """Where these accounts live: what any account of it has, they have."""
    if reader is None or account_ids is None:
        return frozenset()
    known = reader.domains()
    return frozenset(
        f"{known[each].organization}/{known[each].project or '-'}"
        for each in account_ids
        if each in known and known[each].organization
    )


def _accounts(paths: Paths) -> "list[Account]":
    from codex_manager_cli import session

    with ExitStack() as stack:
        accounts = session.opened(paths, stack).accounts()
    if not accounts:
        fail("there is no account to ask", hint="add one with `codex-manager add LABEL`")
    return accounts


def _probed(paths: Paths, accounts: "Sequence[Account]", family: str | None, name: str) -> "list[Sight]":
    """What each account says, all asked at the same time."""
    import threading

    from codex_manager.config.load import load
    from codex_manager.provider.line import Way
    from codex_manager.provider.thing import Sight, can_look, look

    if family is None or not can_look(family):
        what = (
            "it looks like no id of OpenAI's"
            if family is None
            else f"OpenAI shows no {family.replace('_', ' ')} by its id alone"
        )
        fail(f"'{name}' cannot be asked for: {what}", exit_code=2)
    config = load(paths)
    found: dict[str, Sight] = {}

    def ask(account: "Account") -> None:
        url = account.base_url or config.proxy.openai_base_url
        try:
            found[account.id] = look(account, Way(url, config.upstream.ca_file, config.upstream.proxy), family, name)
        except Exception as error:  # noqa: BLE001 - a thread's end; nothing is to be said of this account
            found[account.id] = Sight(account.id, None, type(error).__name__)

    threads = [threading.Thread(target=ask, args=(account,), name="probe", daemon=True) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found.get(account.id) or Sight(account.id, None, "no answer in time") for account in accounts]


def _learned(
    paths: Paths,
    reader: "Reader | None",
    sights: "Sequence[Sight]",
    accounts: "Sequence[Account]",
    family: str,
    name: str,
) -> "Owner | None":
    """Write down who has it; None when nobody has."""
    from codex_manager.core.owners import Change, Owner
    from codex_manager.core.state import State
    from codex_manager.ledger.clerk import Clerk
    from codex_manager.ledger.errors import LedgerError
    from codex_manager.ledger.remembered import OwnersKept

    has = next((sight for sight in sights if sight.has), None)
    if has is None:
        return None
    known = (reader.domains() if reader else {}).get(has.account_id)
    account = next(each for each in accounts if each.id == has.account_id)
    state = State()
    standing = state.add(account)
    if has.organization:
        state.learn_domain(standing, has.organization, has.project)
    elif known is not None and known.organization:
        state.learn_domain(standing, known.organization, known.project)
    owner = Owner(standing.domain, has.account_id, family, True, time.time())
    try:
        Clerk.open(paths.ledger_file).write(OwnersKept.of([Change(name, owner)]))
    except LedgerError as error:
        warn(f"what OpenAI told was not kept: {error}")
    return owner
