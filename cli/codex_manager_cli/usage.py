"""`usage`: what was used and what it cost, from the ledger, while the proxy writes or without one.

Law: reading never locks the ledger and never needs the vault; where the vault cannot be opened the report goes without
limits and says so. Only `usage reset` writes (see usage_reset).
"""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager_cli import suggest
from codex_manager_cli.talk import emit_json, fail, warn
from codex_manager_cli.usage_reset import reset
from codex_manager_cli.usage_view import as_csv


if TYPE_CHECKING:  # heavier than what `--help` may load
    from codex_manager.config.schema import MeteringSection


__all__ = ["usage"]


@click.group(invoke_without_command=True, subcommand_metavar="[COMMAND]")
@click.option(
    "--by",
    type=click.Choice(["account", "model", "client", "endpoint", "hour", "day", "month"]),
    default="account",
    show_default=True,
    help="What each line is about.",
)
@click.option("--since", metavar="WHEN", help="From when: 2026-11-01, 2026-11, `2026-11-01 14:00`, yesterday, 24h, 7d.")
@click.option("--until", metavar="WHEN", help="Until when, likewise; a day or month given here is included.")
@click.option(
    "--account",
    metavar="IDENTIFIER",
    shell_complete=suggest.accounts,
    help="Of this account only: a label, an id, or a unique beginning.",
)
@click.option("--model", metavar="PATTERN", help="Of these models only: a name; `*` and `?` are wildcards.")
@click.option(
    "--client",
    metavar="NAME",
    shell_complete=suggest.client_keys,
    help="Of this client key only; `default` is `proxy.api_key`.",
)
@click.option("--chart/--no-chart", default=None, help="Draw bars. Default: on a terminal, by hour, day and month.")
@click.option("--csv", "as_csv_", is_flag=True, help="Print the lines as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def usage(
    context: click.Context, /, *, by: str, as_csv_: bool, as_json: bool, chart: bool | None, **given: Any
) -> None:
    """Show what was used and what it cost, with limits, OpenAI's own figure and a forecast.

    Without --since it is this month; by hour today, by month everything.
    """
    if context.invoked_subcommand is not None:
        return
    if as_csv_ and as_json:
        fail("give --csv or --json, not both", exit_code=2)
    from codex_manager.ledger import LedgerMissingError, Reader
    from codex_manager_cli.usage_page import Report

    paths = Paths.locate()
    settings = _settings(paths)
    with ExitStack() as stack:
        try:
            reader: Reader | None = stack.enter_context(Reader.open(paths.ledger_file))
        except LedgerMissingError:
            reader = None
        zone = reader.calendar().zone if reader else _zone(settings)
        report = Report(paths, reader, settings.warn_at, datetime.now(zone), by=by, given=given, with_vault=not as_csv_)
    if as_csv_:
        click.echo(as_csv(report.lines, by), nl=False)
    elif as_json:
        emit_json(report.data())
    else:
        report.show(chart=chart)
    report.tell()


usage.add_command(reset)


def _settings(paths: Paths) -> "MeteringSection":
    """Those of metering; a configuration that cannot be read does not keep anybody from reading a report."""
    from codex_manager.config.load import load
    from codex_manager.config.schema import MeteringSection

    try:
        return load(paths).metering
    except ConfigError as error:
        warn(f"the configuration cannot be read: {error}")
        return MeteringSection()


def _zone(settings: "MeteringSection") -> Any:
    return UTC if settings.timezone == "UTC" else ZoneInfo(settings.timezone)
