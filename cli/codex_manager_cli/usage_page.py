"""One report on usage as it is shown: gathered whole, then told to people or to programs.

Knows the ledger's reader, given, and opens the vault for limits, without which it goes as well. Law: data on stdout; what the
reader of the figures should know of them on stderr.
"""

import sys

from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.telling.amounts import dollars, number
from codex_manager.ledger import Reader
from codex_manager.vault.errors import VaultError
from codex_manager.vault.store import ClientKey
from codex_manager_cli import session, usage_report
from codex_manager_cli.bars import bars, can_draw
from codex_manager_cli.period import Period, PeriodError, period
from codex_manager_cli.talk import fail, say, warn
from codex_manager_cli.usage_limits import (
    Comparison,
    Standing,
    comparison_data,
    comparison_table,
    standing_data,
    standing_table,
)
from codex_manager_cli.usage_names import FilterError, Filters, account_ids, client_named, display_names
from codex_manager_cli.usage_report import OPEN_END, STRETCHES
from codex_manager_cli.usage_view import Line, as_data, as_table


__all__ = ["Report"]

BARS_AT_MOST = 60


class Report:
    """One report, read whole when it is made, so that its parts are of one moment."""

    def __init__(
        self, paths: Paths, reader: Reader | None, warn_at: float, now: datetime, *, by: str, given: dict[str, Any],
        with_vault: bool,
    ) -> None:  # fmt: skip
        self.now, self.by, self.warn_at = now, by, warn_at
        self.when = self._period(given)
        kept = self._vault(paths) if with_vault else None
        self.limits_known = kept is not None
        accounts, keys = kept or ([], [])
        labels = {**(reader.labels() if reader else {}), **{account.id: account.label for account in accounts}}
        names = display_names(labels)
        self.filters = self._filters(reader, labels, [key.name for key in keys], given)
        self.lines: list[Line] = []
        self.standings: list[Standing] = []
        self.comparisons: list[Comparison] = []
        self.outlook = self.health = None
        if reader is not None:
            # what has no end yet is asked for without one: then the sums of whole days and months answer
            asked = replace(self.when, until=OPEN_END) if self.when.until > now.timestamp() else self.when
            self.lines = usage_report.lines(reader, by, asked, self.filters, names)  # type: ignore[arg-type]  # options of click come as Any  # a word of the choice
            self.outlook = usage_report.outlook(reader, self.filters, now)
            self.health = reader.health()
        if self.filters.model is None:  # limits and OpenAI know no models
            picked = self.filters.accounts
            self.standings = usage_report.standings(
                reader,
                [each for each in accounts if (picked is None or each.id in picked) and self.filters.client is None],
                [each for each in keys if self.filters.client in {None, each.name} and picked is None],
                now,
            )
            if reader is not None and self.filters.client is None:
                shown = {each: name for each, name in names.items() if picked is None or each in picked}
                self.comparisons = usage_report.comparisons(reader, shown, now)

    def _period(self, given: dict[str, Any]) -> Period:
        default = {"hour": "day", "month": "all"}.get(self.by, "month")
        try:
            return period(given["since"], given["until"], now=self.now, default=default)  # type: ignore[arg-type]
        except PeriodError as error:
            fail(str(error), exit_code=2)

    def _vault(self, paths: Paths) -> tuple[list[Account], list[ClientKey]] | None:
        """Accounts and client keys; None where the vault cannot be opened."""
        try:
            with ExitStack() as stack:
                vault = session.existing(paths, stack)
                return (vault.accounts(), vault.client_keys()) if vault else ([], [])
        except VaultError as error:
            warn(f"limits are left out, because they are in the vault: {error}")
            return None

    def _filters(
        self, reader: Reader | None, labels: dict[str, str], clients: list[str], given: dict[str, Any]
    ) -> Filters:
        try:
            client = given["client"]
            if client is not None:
                recorded = [str(row.key[0]) for row in reader.usage("client")] if reader else []
                client = client_named(client, [*recorded, *clients, "default"])
            accounts = None if given["account"] is None else account_ids(given["account"], labels)
            return Filters(accounts, client, given["model"])
        except FilterError as error:
            fail(str(error), hint="see all of them without the filter")

    def show(self, *, chart: bool | None) -> None:
        """For people."""
        parts = [as_table(self.lines, self.by)] if self.lines else []
        if chart or (chart is None and self.by in STRETCHES and sys.stdout.isatty()):
            parts.append(self._chart())
        if self.standings:
            parts.append(standing_table(self.standings, now=self.now, warn_at=self.warn_at))
        if self.comparisons:
            parts.append(comparison_table(self.comparisons, now=self.now))
        if self.outlook is not None and self.outlook.expected > 0:
            parts.append(
                f"this month: {dollars(self.outlook.month)} so far, some {dollars(self.outlook.expected)} by its end "
                "at the pace of the last seven days"
            )
        if any(parts):
            click.echo("\n\n".join(part for part in parts if part))

    def data(self) -> dict[str, Any]:
        """For programs; names and order stay from release to release."""
        health, outlook = self.health, self.outlook
        return {
            "by": self.by,
            "since": self._iso(self.when.since),
            "until": self._iso(self.when.until),
            "timezone": str(self.now.tzinfo),
            "lines": [as_data(line) for line in self.lines],
            "total": as_data(Line.total(self.lines)),
            "limits": [standing_data(each) for each in self.standings] if self.limits_known else None,
            "provider": [comparison_data(each) for each in self.comparisons],
            "forecast": outlook
            and {
                "month_usd": number(outlook.month),
                "expected_usd": number(outlook.expected),
                "until": outlook.until.isoformat(),
            },
            "ledger": health
            and {
                "path": str(health.path),
                "requests": health.requests,
                "dropped": sum(each.dropped for each in health.sessions),
                "killed": sum(each.killed for each in health.sessions),
                "interrupted": sum(each.interrupted for each in health.sessions),
                "damaged": [str(path) for path in health.damaged],
            },
        }

    def tell(self) -> None:
        """What the reader of the figures should know of them; on stderr."""
        if self.health is None:
            say("nothing was recorded yet; the first request through the proxy begins the ledger")
            return
        if not self.lines:
            say("nothing was recorded in this time" + (" for what the filters pick" if self.filters else ""))
        unpriced = sum(line.unpriced for line in self.lines)
        if unpriced:
            warn(
                f"{unpriced:,} {'request was of a model' if unpriced == 1 else 'requests were of models'}"
                " without a known price, and counted as the dearest of its family: "
                "see `codex-manager prices`"
            )
        for each in self.health.sessions:
            if each.seen < self.when.since or each.started > self.when.until:
                continue
            if each.killed:
                booked = f"; {each.interrupted} requests on their way were booked as estimates, {dollars(each.interrupted_usd)}"
                warn(
                    f"a proxy was killed at {self._iso(each.seen)}: what it did in its last 200 ms may be missing"
                    + (booked if each.interrupted else "")
                )
            if each.dropped:
                warn(f"{each.dropped} requests since {self._iso(each.started)} could not be recorded one by one")
        for path in self.health.damaged:
            warn(f"the ledger was damaged once, and what it held is in {path}")

    def _chart(self) -> str:
        """A bar for each line; of dollars, or of requests where nothing cost anything."""
        shown = self.lines
        if self.by in STRETCHES:
            shown = usage_report.stretches(self.by, self.lines, self.when, self.now, BARS_AT_MOST)
        plain = not can_draw(sys.stdout.encoding)
        if any(line.usd > 0 for line in shown):
            return bars([(line.name, float(line.usd), dollars(line.usd)) for line in shown], plain=plain)
        return bars([(line.name, float(line.requests), f"{line.requests:,}") for line in shown], plain=plain)

    def _iso(self, seconds: float) -> str:
        return datetime.fromtimestamp(min(seconds, 250_000_000_000), self.now.tzinfo).isoformat(timespec="seconds")
