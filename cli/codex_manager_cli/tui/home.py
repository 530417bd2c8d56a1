"""The source of a home: its proxy's pages while one runs, its ledger and vault otherwise, whichever way it is right now.

Knows control, ledger, vault and configuration as the other commands do; knows no textual. Law: reads only, never asks anybody for a
key, and every wait has an end. What cannot be read is said in a note, and the rest is shown.
"""

import threading
import time

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from codex_manager.accounts.public import as_data
from codex_manager.config.load import load
from codex_manager.config.paths import Paths
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.telling.story_page import as_page
from codex_manager.ledger import LedgerMissingError, Reader
from codex_manager_cli import control, explain, status_report
from codex_manager_cli.tui.feed import LATEST, PATIENCE_S, Feed
from codex_manager_cli.tui.figures import figures_of
from codex_manager_cli.tui.keyholder import Keyholder
from codex_manager_cli.tui.lines import account_of, blame_of, proxy_of, request_of
from codex_manager_cli.tui.source import (
    Conversation,
    Figures,
    LogLines,
    Measure,
    Routing,
    Snapshot,
    Span,
    Thing,
    Traffic,
)
from codex_manager_cli.tui.words import plain
from codex_manager_cli.usage_names import display_names


if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Home"]

MOST_THINGS: Final = 500
ANSWERS: Final = 20
"""Of one WebSocket, told together."""


class Home:
    """See `Source`. Mutable state: where the last questions ended, and the configuration last read."""

    def __init__(self, paths: Paths, keyholder: Keyholder) -> None:
        self.paths = paths
        self.keyholder = keyholder
        self._feed = Feed(paths)
        self._line = control.Line(paths.data_dir, patience_s=PATIENCE_S)
        self._turn = threading.Lock()
        self._config: tuple[object, str, str] | None = None

    def close(self) -> None:
        """Hang up; safe to call twice."""
        self._line.close()
        self._feed.close()

    # How it goes -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """How it goes now."""
        now = time.time()
        accounts, pinned = self.keyholder.accounts()
        vault, why = self.keyholder.look()
        trouble, told = "", None
        try:
            with self._turn:
                told = self._line.ask("status")
        except CodexManagerError as error:
            trouble = f"{error}; {error.hint}" if error.hint else str(error)
        document = status_report.gathered(
            self.paths, told, now, known=lambda: None if accounts is None else list(accounts)
        )
        kept = {each.id: as_data(each, pinned=each.id == pinned) for each in accounts or ()}
        strategy, complaint = self._strategy()
        today = document["today"] or {}
        return Snapshot(
            at=now,
            proxy=None if told is None else proxy_of(document),
            trouble=plain(trouble, 300),
            accounts=tuple(account_of(each, kept.get(each["id"])) for each in document["accounts"]),
            vault=vault,
            vault_says=plain(why, 300),
            strategy=strategy,
            pinned=next((each["label"] for each in kept.values() if each["switched_to"]), ""),
            blame=blame_of(document),
            requests_today=today.get("requests"),
            errors_today=today.get("errors", 0),
            today=today.get("usd"),
            notes=tuple(plain(note, 300) for note in (*document["notes"], *complaint.splitlines())),
        )

    def _strategy(self) -> tuple[str, str]:
        """The configured strategy, and what is wrong with the configuration."""
        try:
            stamp: object = self.paths.config_file.stat().st_mtime_ns
        except OSError:
            stamp = None
        if self._config is None or self._config[0] != stamp:
            try:
                self._config = stamp, load(self.paths, self.keyholder.environ).routing.strategy, ""
            except CodexManagerError as error:
                self._config = stamp, "", f"the configuration cannot be read: {error}"
        return self._config[1:]

    # Requests --------------------------------------------------------------------------------------------------------

    def traffic(self) -> Traffic:
        """Requests since the last question."""
        return self._feed.traffic()

    def story(self, request_id: str) -> Sequence[str]:
        """Why a request went where it went."""
        accounts = self.keyholder.accounts()[0] or ()
        with self._reader() as reader:
            found = [] if reader is None else explain.same_request(reader, request_id)
            if reader is None or not found:
                return ()
            return [as_page(each, time.time(), None) for each in explain.stories(reader, found[:ANSWERS], accounts)]

    def routing(self) -> Routing:
        """Conversations, things, decisions."""
        with self._reader() as reader:
            if reader is None:
                return Routing()
            names = display_names(
                {**reader.labels(), **{each.id: each.label for each in self.keyholder.accounts()[0] or ()}}
            )

            def label(account_id: str | None) -> str:
                return plain(names.get(account_id, f"({account_id[:8]})"), 64) if account_id else ""

            return Routing(
                tuple(
                    Conversation(plain(session, 64), label(each.home), label(each.detour), each.seen)
                    for session, each in reader.bindings()[:MOST_THINGS]
                ),
                tuple(
                    Thing(plain(name, 100), plain(each.family, 40), label(each.account_id), each.strong, each.seen)
                    for name, each in reader.owners(limit=MOST_THINGS)
                ),
                tuple(request_of(each) for each in reader.requests(limit=LATEST) if "attempt_of" not in each.detail),
            )

    # The rest --------------------------------------------------------------------------------------------------------

    def figures(self, span: Span, by: Measure) -> Figures:
        """Usage over the last 24 hours, 30 days or 12 months."""
        with self._reader() as reader:
            if reader is None:
                return Figures(span, by=by)
            labels = {each.id: each.label for each in self.keyholder.accounts()[0] or ()}
            return figures_of(reader, span, by, labels, time.time())

    def log(self) -> LogLines:
        """Lines since the last question."""
        return self._feed.log()

    @contextmanager
    def _reader(self) -> "Iterator[Reader | None]":
        """The ledger; None while nothing was recorded."""
        try:
            reader = Reader.open(self.paths.ledger_file)
        except LedgerMissingError:
            yield None
            return
        with reader:
            yield reader
