"""`simulate`: where a request would go now, and what the last hours would have been under another strategy.

Law: nothing is sent to OpenAI, nothing is written, nothing of the proxy's changes. What is shown is what core.decision returned.
"""

import re
import time

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from codex_manager.config.paths import Paths
from codex_manager_cli import suggest
from codex_manager_cli.talk import UserError, emit_json, fail, say, warn


if TYPE_CHECKING:  # heavier than what `--help` may load
    from codex_manager.config.schema import Config
    from codex_manager.ledger import Reader
    from codex_manager_cli.known_state import Kept

__all__ = ["simulate"]

SPANS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
LONGEST_S: Final = 31 * 86_400.0
MOST: Final = 200_000
"""Requests of one replay: half a minute, half a gigabyte."""


@click.command()
@click.option("--model", metavar="MODEL", help="The model that is asked for.")
@click.option(
    "--tokens", type=click.IntRange(0, 100_000_000), default=1000, show_default=True, help="Of the request, about."
)
@click.option(
    "--session", metavar="NAME", help="The conversation: what `X-Codex-Manager-Session` or `prompt_cache_key` says."
)
@click.option(
    "--client",
    metavar="NAME",
    default="default",
    show_default=True,
    shell_complete=suggest.client_keys,
    help="The client key's name.",
)
@click.option("--replay", "span", metavar="SPAN", help="Replay the requests of this time, such as 30m, 1h, 2d.")
@click.option(
    "--strategy",
    type=click.Choice(["least_utilized", "round_robin", "priority", "sticky"]),
    help="Another one than is configured.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(*, span: str | None, strategy: str | None, as_json: bool, **asked: Any) -> None:
    """Show where a request would go now, and why the others are out; nothing is sent.

    With --replay, lay what happened beside what would have happened under --strategy: requests, dollars and failovers of
    each account.
    """
    from codex_manager.config.load import load
    from codex_manager.ledger import LedgerMissingError, Reader

    seconds = None if span is None else _seconds(span)
    if seconds is not None and (given := _given("model", "tokens", "session", "client")):
        fail(f"--replay takes no --{given}: it replays what was asked", exit_code=2)
    paths = Paths.locate()
    config = load(paths)
    with ExitStack() as stack:
        kept = _kept(paths)
        try:
            reader: Reader | None = stack.enter_context(Reader.open(paths.ledger_file))
        except LedgerMissingError:
            reader = None
        if seconds is None:
            _now(config, kept, reader, strategy, asked, _moment(paths), as_json=as_json)
        elif reader is None:
            fail("nothing was recorded yet, so there is nothing to replay")
        else:
            _replay(config, kept, reader, seconds, strategy, as_json=as_json)


def _given(*names: str) -> str | None:
    """The first of these options that was given on the command line."""
    context = click.get_current_context()
    return next(
        (name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE), None
    )


def _seconds(span: str) -> float:
    found = re.fullmatch(r"(\d{1,5}) ?([mhd])", span.strip().lower(), re.ASCII)
    seconds = int(found[1]) * SPANS[found[2]] if found else 0.0
    if not 0 < seconds <= LONGEST_S:
        fail(f"--replay takes a time up to 31d, such as 30m, 1h, 2d, not '{span[:40]}'", exit_code=2)
    return seconds


def _kept(paths: Paths) -> "Kept":
    """What the vault has for decisions."""
    from codex_manager_cli import session
    from codex_manager_cli.known_state import Kept

    with ExitStack() as stack:
        vault = session.opened(paths, stack)
        kept = Kept(vault.accounts(), vault.client_keys(), vault.pinned_account())
    if not kept.accounts:
        fail("there is no account to choose from", hint="add one with `codex-manager add LABEL`")
    return kept


def _moment(paths: Paths) -> dict[str, Any] | None:
    """What a running proxy tells of this moment; None without one, or when it does not answer."""
    from codex_manager_cli import control

    try:
        told = control.ask(paths.data_dir, "status")
    except UserError as error:
        warn(f"the running proxy was not asked: {error}")
        return None
    return None if told is None else told.document


def _now(
    config: "Config",
    kept: "Kept",
    reader: "Reader | None",
    strategy: str | None,
    asked: dict[str, Any],
    status: dict[str, Any] | None,
    *,
    as_json: bool,
) -> None:
    from codex_manager_cli import dry_run

    wall, now = time.time(), time.monotonic()
    outcome = dry_run.decide(config, kept, reader, strategy, status, wall=wall, now=now, **asked)
    if as_json:
        emit_json(dry_run.as_data(outcome))
        return
    click.echo(dry_run.as_page(outcome))
    say(f"nothing was sent; decided over {outcome.source}")


def _replay(
    config: "Config", kept: "Kept", reader: "Reader", seconds: float, strategy: str | None, *, as_json: bool
) -> None:
    from codex_manager_cli import replay_view, replayed

    until = time.time()
    records = reader.requests(since=until - seconds, limit=MOST + 1)
    if not records:
        fail("no request was recorded in this time", hint="give a longer one, such as --replay 1d")
    if len(records) > MOST:
        warn(f"only the last {MOST:,} requests are replayed")
        records = records[:MOST]
    shown = replayed.replayed(config, kept, reader, records, strategy)
    if as_json:
        emit_json(replay_view.as_data(shown))
        return
    click.echo(replay_view.as_table(shown))
    for note in replay_view.notes(shown):
        say(note)
