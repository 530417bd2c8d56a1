"""`refresh`: asks OpenAI now what the accounts have spent, keeps the answers, and lays them beside our own figures.

Law: asking never changes a figure of ours; an account that cannot be asked does not keep the others from being asked. What is
shown is kept in the ledger under its lock, so a proxy may be writing meanwhile.
"""

import queue
import sys
import threading
import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import click

from codex_manager.accounts.lookup import find
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.snapshot import Snapshot
from codex_manager_cli import session, suggest
from codex_manager_cli.talk import emit_json, fail, say, warn


if TYPE_CHECKING:
    from codex_manager.config.schema import Config

__all__ = ["ask_all", "keep", "projects", "refresh"]

AT_ONCE = 4
"""Accounts asked at the same time."""

type Own = Mapping[str, tuple[Decimal, Decimal]]
"""By account id: what we counted in OpenAI's day and month."""


@click.command()
@click.argument("identifier", required=False, shell_complete=suggest.accounts)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def refresh(identifier: str | None, *, as_json: bool) -> None:
    """Ask OpenAI now what the accounts have spent; without IDENTIFIER all that are enabled.

    OpenAI's figures stand beside our own; where they are more than 10 % apart, the line says so. Costs need an admin key
    (`codex-manager edit LABEL --admin-key -`). A running proxy asks by itself, see `polling`.
    """
    from codex_manager.config.load import load

    paths = Paths.locate()
    config = load(paths)
    with ExitStack() as stack:
        vault = session.opened(paths, stack)
        everyone = vault.accounts()
        chosen = [find(vault, identifier)] if identifier is not None else [a for a in everyone if a.enabled]
    if not chosen:
        fail("there is no account to ask about", hint="add one with `codex-manager add LABEL`, or enable one")
    known = _projects(paths)
    snapshots = _ask(chosen, config, known)
    _keep(paths, config, snapshots)
    own = _own(paths, snapshots[0])
    shown = [(snapshot, _covered(snapshot, everyone, known, own)) for snapshot in snapshots]
    if as_json:
        emit_json([_data(snapshot, figures) for snapshot, figures in shown])
    else:
        _show(shown)
    for snapshot in snapshots:
        _say_trouble(snapshot)
    if not any(snapshot.ok for snapshot in snapshots):
        fail("OpenAI told nothing about what was spent")


def _ask(accounts: Sequence[Account], config: "Config", known: Mapping[str, str]) -> list[Snapshot]:
    """As `ask_all`, with a progress bar for whoever watches."""
    with click.progressbar(
        length=len(accounts), label="codex-manager: asking OpenAI", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        return ask_all(accounts, config, known, lambda: bar.update(1))


def ask_all(
    accounts: Sequence[Account], config: "Config", known: Mapping[str, str], seen: Callable[[], None] | None = None
) -> list[Snapshot]:
    """One snapshot each, in the order of the accounts; `known` are their projects, `seen` is called with each answer. Blocks."""
    from codex_manager.provider.line import Way
    from codex_manager.provider.poll import poll

    upstream, default, now = config.upstream, config.proxy.openai_base_url, time.time()
    ways = {url: Way(url, upstream.ca_file, upstream.proxy) for url in {a.base_url or default for a in accounts}}

    def look(account: Account) -> Snapshot:
        return poll(account, ways[account.base_url or default], now=now, project=known.get(account.id))

    found: dict[str, Snapshot] = {}
    for snapshot in _each(look, accounts):
        found[snapshot.account_id] = snapshot
        if seen is not None:
            seen()
    return [found[account.id] for account in accounts]


def _each(look: Callable[[Account], Snapshot], accounts: Sequence[Account]) -> Iterator[Snapshot]:
    """Answers as they come. Daemon threads and no executor: Ctrl-C waits for nobody."""
    waiting: queue.SimpleQueue[Account] = queue.SimpleQueue()
    answers: queue.SimpleQueue[Snapshot | Exception] = queue.SimpleQueue()
    for account in accounts:
        waiting.put(account)

    def work() -> None:
        try:
            while True:
                answers.put(look(waiting.get_nowait()))
        except queue.Empty:
            return
        except Exception as error:  # noqa: BLE001 - a thread's end; raised where it is waited for
            answers.put(error)

    for _ in range(min(AT_ONCE, len(accounts))):
        threading.Thread(target=work, name="refresh", daemon=True).start()
    for _ in accounts:
        answer = answers.get()
        if isinstance(answer, Exception):
            raise answer
        yield answer


def _covered(
    snapshot: Snapshot, everyone: Sequence[Account], projects: Mapping[str, str], own: Own
) -> tuple[Decimal, Decimal]:
    """Our figures for what OpenAI's are about: an organization's or a project's are those of all its accounts here."""
    about = next((account for account in everyone if account.id == snapshot.account_id), None)
    ids = {snapshot.account_id}
    if snapshot.source == "costs" and about is not None:
        project = about.project or projects.get(about.id)
        ids |= {
            account.id
            for account in everyone
            if account.admin_key == about.admin_key
            and (snapshot.organization_wide or (account.project or projects.get(account.id)) == project)
        }
    figures = [own[account_id] for account_id in ids if account_id in own]
    return sum((day for day, _ in figures), Decimal(0)), sum((month for _, month in figures), Decimal(0))


def projects(paths: Paths) -> dict[str, str]:
    """The accounts' projects as answers of OpenAI named them; none where nothing was recorded yet.

    Raises:
        LedgerError: it cannot be read.
    """
    from codex_manager.ledger.errors import LedgerMissingError
    from codex_manager.ledger.reader import Reader

    try:
        with Reader.open(paths.ledger_file) as reader:
            return {account_id: d.project for account_id, d in reader.domains().items() if d.project}
    except LedgerMissingError:
        return {}


def keep(paths: Paths, config: "Config", snapshots: Sequence[Snapshot]) -> None:
    """Write them down.

    Raises:
        LedgerError: it cannot be written.
    """
    import zoneinfo

    from codex_manager.ledger.clerk import Clerk

    Clerk.open(paths.ledger_file, zone=zoneinfo.ZoneInfo(config.metering.timezone)).snapshot(*snapshots)


def _projects(paths: Paths) -> dict[str, str]:
    from codex_manager.ledger.errors import LedgerError

    try:
        return projects(paths)
    except LedgerError as error:
        warn(str(error))
        return {}


def _keep(paths: Paths, config: "Config", snapshots: Sequence[Snapshot]) -> None:
    """What cannot be written is still shown."""
    from codex_manager.ledger.errors import LedgerError

    try:
        keep(paths, config, snapshots)
    except LedgerError as error:
        warn(f"what OpenAI told was not kept: {error}")


def _own(paths: Paths, snapshot: Snapshot) -> Own:
    """What we counted in OpenAI's present day and month."""
    from codex_manager.ledger.errors import LedgerError
    from codex_manager.ledger.reader import Reader

    try:
        with Reader.open(paths.ledger_file) as reader:
            today = {str(row.key[0]): row.usd for row in reader.usage("account", since=snapshot.day_start)}
            month = {str(row.key[0]): row.usd for row in reader.usage("account", since=snapshot.month_start)}
    except LedgerError:
        return {}  # said by who read it before
    return {account_id: (today.get(account_id, Decimal(0)), usd) for account_id, usd in month.items()}


def _show(shown: Sequence[tuple[Snapshot, tuple[Decimal, Decimal]]]) -> None:
    """A line for each figure that OpenAI told, ours beside it; then its limits, where it told any."""
    import datetime as dt

    from codex_manager.core.telling.amounts import dollars
    from codex_manager.core.telling.columns import columns
    from codex_manager_cli.usage_limits import Comparison, comparison_table

    def line(snapshot: Snapshot, window: Literal["day", "month"], own: Decimal, provider: Decimal) -> Comparison:
        taken_at = dt.datetime.fromtimestamp(snapshot.taken_at, dt.UTC)
        return Comparison(
            account=snapshot.account,
            window=window,
            own=own,
            provider=provider,
            taken_at=taken_at,
            source=snapshot.source,
        )

    lines = []
    for snapshot, (day, month) in shown:
        if snapshot.today is not None:
            lines.append(line(snapshot, "day", day, snapshot.today))
        if snapshot.month is not None:
            lines.append(line(snapshot, "month", month, snapshot.month))
    if lines:
        click.echo(comparison_table(lines, now=dt.datetime.now(dt.UTC)))
    limits = [(s.account, f"{dollars(s.hard_limit)} a month") for s, _ in shown if s.hard_limit is not None]
    if limits:
        click.echo(("\n" if lines else "") + columns([("ACCOUNT", "OPENAI'S LIMIT"), *limits]))


def _data(snapshot: Snapshot, figures: tuple[Decimal, Decimal]) -> dict[str, Any]:
    """For programs."""
    from codex_manager.core.snapshot import DRIFT_AT, drift
    from codex_manager.core.telling.amounts import number

    drifts = {"day": drift(snapshot.today, figures[0]), "month": drift(snapshot.month, figures[1])}
    money = {"today_usd": snapshot.today, "month_usd": snapshot.month, "hard_limit_usd": snapshot.hard_limit}
    return {
        "account": snapshot.account,
        "account_id": snapshot.account_id,
        "taken_at": snapshot.taken_at,
        "source": snapshot.source or None,
        "organization_wide": snapshot.organization_wide,
        **{name: None if usd is None else number(usd) for name, usd in money.items()},
        "own_today_usd": number(figures[0]),
        "own_month_usd": number(figures[1]),
        "drift_today": drifts["day"],
        "drift_month": drifts["month"],
        "drifts": any(share is not None and abs(share) > DRIFT_AT for share in drifts.values()),
        **{
            name: getattr(snapshot, name)
            for name in (
                "requests_today", "requests_month", "input_today", "input_month", "output_today", "output_month",
            )
        },
        "offered": snapshot.offered,
        "error": snapshot.error or None,
    }  # fmt: skip


def _say_trouble(snapshot: Snapshot) -> None:
    if not snapshot.offered:
        say(f"{snapshot.account!r}: {snapshot.error}")
    elif snapshot.error:
        warn(f"{snapshot.account!r}: {snapshot.error}")
    if snapshot.organization_wide:
        say(f"{snapshot.account!r}: these are figures of the whole organization, because its project is not known")
