"""Money in a running proxy: prices, ledger, spending limits and what OpenAI says of them, put together for the engine.

Knows who tells whom; each part knows its own rules. The ledger's figures reach the limits, and with them spending from
before a restart; what answers teach about domains reaches the ledger, and the engine again after a restart, with all else it
has learned (remembering). Law: nothing here keeps a request waiting but the first moments of the prices; a ledger that cannot
be written is said and counted by itself, and stops nothing. Without `metering.enabled` nothing is recorded and nobody is polled.
"""

import asyncio
import contextlib
import logging

from collections.abc import Callable
from typing import Final

from codex_manager.config.paths import Paths
from codex_manager.config.schema import Config
from codex_manager.core.account import Account
from codex_manager.core.snapshot import Snapshot
from codex_manager.core.window import Window
from codex_manager.engine.engine import Engine
from codex_manager.ledger import Health, Ledger, Totals
from codex_manager.provider.poller import Poller
from codex_manager.proxy import translate
from codex_manager.proxy.bookkeeper import Bookkeeper
from codex_manager.proxy.domains import Domains, project_in
from codex_manager.proxy.late_prices import LatePrices
from codex_manager.proxy.metrics import Metrics
from codex_manager.proxy.moment import Moment, moment_of
from codex_manager.proxy.remembering import Kept, Remembering, read


__all__ = ["Accounting"]

log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0  # a flush takes milliseconds; a disk that hangs does not hold up the end for longer
LIMITS: Final[dict[Window, str]] = {
    "day": "daily limit",
    "month": "monthly limit",
    "provider": "monthly limit at OpenAI",
}


class Accounting:
    """Make it, `open` it, give its `book` and `prices` to an engine and that to `serve`; `aclose` at the end.

    Mutable state: the ledger, once it is open, and whom it works for.
    """

    def __init__(self, paths: Paths, config: Config) -> None:
        self.metrics = Metrics()
        self.book = Bookkeeper(self.metrics)
        self.prices = LatePrices(config.prices.overrides())
        self._paths = paths
        self._config = config
        self._ledger: Ledger | None = None
        self._domains: Domains | None = None
        self._engine: Engine | None = None
        self._poller: Poller | None = None
        self._kept = Kept()
        self._remembering: Remembering | None = None
        if config.metering.enabled:
            self.prices.load()

    @property
    def health(self) -> str:
        """Whether requests are recorded: `ok`, `failing`, or `off`."""
        if self._ledger is None or not self._config.metering.enabled:
            return "off"
        return "ok" if self._ledger.health().ok else "failing"

    @property
    def ledger_health(self) -> Health | None:
        """How the ledger does; None without one."""
        return None if self._ledger is None else self._ledger.health()

    async def open(self) -> None:
        """Open the ledger, if usage is counted."""
        if self._ledger is None and self._config.metering.enabled:
            ledger = await asyncio.to_thread(self._open)
            self._kept = await asyncio.to_thread(read, self._paths.ledger_file)
            self._ledger, self._domains = ledger, Domains(ledger.opening.domains, ledger.learn_domain)
            self.book.use(ledger, self._domains)

    def _open(self) -> Ledger:
        with contextlib.suppress(OSError):  # then the ledger says what is wrong
            self._paths.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Ledger.open(
            self._paths.ledger_file,
            retention_days=self._config.metering.retention_days,
            zone=translate.zone(self._config),
        )

    def serve(self, engine: Engine) -> None:
        """Keep this engine informed, from before its first request on."""
        self._engine = engine
        self._inform()
        self._poller = Poller(
            accounts=lambda: [candidate.account for candidate in engine.candidates],
            settings=lambda: translate.poller_settings(self._config),
            deliver=self._polled,
            projects=self._projects,
        )
        self._poller.start()

    async def follow(self, config: Config) -> None:
        """Take over a changed configuration."""
        before, self._config = self._config.metering, config
        self.prices.follow(config.prices.overrides())
        if not config.metering.enabled:
            return
        self.prices.load()
        if self._ledger is None:
            await self.open()
            self._inform()
        elif (before.retention_days, before.timezone) != (config.metering.retention_days, config.metering.timezone):
            self._ledger.configure(retention_days=config.metering.retention_days, zone=translate.zone(config))

    def recall(self) -> None:
        """Accounts have come or were edited: let the engine know what was learned of them."""
        engine = self._engine
        if engine is not None and self._domains is not None:
            for candidate in engine.candidates:
                self._domains.recall(candidate.account, engine.state)
            if self._remembering is not None:  # domains first: marks are about them
                self._remembering.recall()

    async def ask(self, account: Account) -> Snapshot | None:
        """Ask OpenAI now what this account has spent, and take it over; None while nobody is served."""
        return None if self._poller is None else await self._poller.ask(account)

    def moment(self, uptime_s: float) -> Moment:
        """What goes on now, for `/metrics`."""
        engine = self._engine
        assert engine is not None
        health = None if self._ledger is None else self._ledger.health()
        return moment_of(engine, started_at=engine.clock.time() - uptime_s, model=self.metrics.model, health=health)

    async def aclose(self) -> None:
        """Stop polling and write what is left. The engine must have ended: what it breaks off is recorded, too."""
        poller, self._poller = self._poller, None
        if poller is not None:
            await poller.aclose()
        remembering, self._remembering = self._remembering, None
        if remembering is not None:
            await remembering.aclose()
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.on_batch = None
            if not await asyncio.to_thread(ledger.close, CLOSE_S):
                log.warning("the ledger could not be written to its end; what is missing was not kept")

    # Who tells whom --------------------------------------------------------------------------------------------------

    def _inform(self) -> None:
        """What is known from before: spending, OpenAI's figures, domains."""
        engine, ledger = self._engine, self._ledger
        if engine is None or ledger is None:
            return
        loop = asyncio.get_running_loop()
        ledger.on_batch = _on(loop, self._counted)
        self._counted(ledger.totals())
        assert self._domains is not None
        self._remembering, self._kept = Remembering(self._kept, ledger, engine, self._domains), Kept()
        self.recall()  # before OpenAI's figures: whose they are depends on the project
        for snapshot in ledger.opening.snapshots.values():
            self._told(snapshot)
        self._remembering.start()

    def _counted(self, totals: Totals) -> None:
        """The ledger has new figures."""
        if self._engine is None:
            return
        spending = self._engine.state.spending
        spending.load(totals.spent, totals.through, day_start=totals.day_start, month_start=totals.month_start)
        self._warn()

    def _polled(self, snapshot: Snapshot) -> None:
        """OpenAI has told of an account."""
        if self._ledger is not None:
            self._ledger.snapshot(snapshot)
        self._told(snapshot)
        self._warn()

    def _told(self, snapshot: Snapshot) -> None:
        """Hold OpenAI's figures against the limits: those of a project are about all accounts in it."""
        if self._engine is None or not self._config.metering.enabled:
            return
        accounts = self._engine.state.accounts
        domain = accounts[snapshot.account_id].domain if snapshot.account_id in accounts else None
        beside = [name for name, other in accounts.items() if other.domain == domain and name != snapshot.account_id]
        self._engine.state.spending.learn(snapshot, beside)

    def _warn(self) -> None:
        """Say once that a limit is near, or reached."""
        engine = self._engine
        if engine is None or not self._config.metering.enabled:
            return
        labels = {candidate.account.id: candidate.account.label for candidate in engine.candidates}
        for (kind, name), window, share in engine.state.spending.warnings():
            who = f"account {labels.get(name, name)!r}" if kind == "account" else f"client key {name!r}"
            log.warning("%s has %s its %s", who, "reached" if share >= 1 else f"used {share:.0%} of", LIMITS[window])

    def _projects(self) -> dict[str, str]:
        """The accounts' projects, as answers have told them."""
        assert self._engine is not None
        known = {account_id: project_in(s.domain) for account_id, s in self._engine.state.accounts.items()}
        return {account_id: project for account_id, project in known.items() if project is not None}


def _on[T](loop: asyncio.AbstractEventLoop, told: Callable[[T], None]) -> Callable[[T], None]:
    """The same, for another thread to call."""

    def tell(what: T) -> None:
        loop.call_soon_threadsafe(told, what)

    return tell
