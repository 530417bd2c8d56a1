"""The accounts: how each does, what it has spent of its limits, and everything that can be done with it."""

import time

from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from codex_manager_cli.tui.account_page import account_page
from codex_manager_cli.tui.grid import Cell, Column, Grid, Row
from codex_manager_cli.tui.source import AccountLine, Limit, Snapshot
from codex_manager_cli.tui.story import TextPage
from codex_manager_cli.tui.view import View, chosen
from codex_manager_cli.tui.words import STATES, amount, count, left, meter


__all__ = ["Accounts"]

NARROW: Final = (
    Column("", 1), Column("account", 12, grow=3, most=30), Column("state", 9), Column("back in", 7, right=True, rank=3),
    Column("now", 3, right=True), Column("today", 18), Column("month", 18, rank=2), Column("prio", 4, right=True, rank=4),
)  # fmt: skip
WIDE: Final = (
    Column("", 1), Column("account", 14, grow=2, most=30), Column("state", 9), Column("back in", 7, right=True),
    Column("now", 3, right=True), Column("requests", 8, right=True, rank=1), Column("today", 26), Column("month", 26), Column("prio", 4, right=True),
    Column("models", 12, grow=2, most=30, rank=2), Column("why", 14, grow=3, rank=3),
)  # fmt: skip
WARN_AT: Final = 0.8
OTHER_LINES: Final = 6
"""Above and below, and an empty one."""
LEAST_PANEL: Final = 7
MOST_PANEL: Final = 20
"""Lines."""


class Accounts(View):
    """Mutable state: none but what is shown."""

    title = "Accounts"
    shown_keys = ("add", "edit", "enable", "switch", "check", "refresh", "remove")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add"),
        Binding("e", "edit", "edit"),
        Binding("space", "enable", "on/off"),
        Binding("s", "switch", "switch"),
        Binding("d", "remove", "delete"),
        Binding("r", "refresh", "refresh"),
        Binding("t", "check", "test key"),
        Binding("enter", "look", "all about it"),
    ]

    DEFAULT_CSS = """
    #about-panel { background: $surface; padding: 0 1; border-top: solid $panel; display: none; scrollbar-size-vertical: 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="accounts")
        self.grid = Grid(NARROW, id="account-table")
        self._page = Static("", markup=False)
        self.panel = VerticalScroll(self._page, id="about-panel", can_focus=False)
        self._wide = False

    def compose(self) -> ComposeResult:
        """The line, the table, and where there is room all about the one under the cursor."""
        yield self.head
        yield self.grid
        yield self.panel

    @property
    def current(self) -> AccountLine | None:
        """The one under the cursor."""
        key = self.grid.cursor_key
        return None if key is None or self.snapshot is None else self.snapshot.account(key)

    def glance(self, snapshot: Snapshot) -> None:
        """Show them as they are now."""
        super().glance(snapshot)
        self.redraw()

    def redraw(self) -> None:
        """The table and its line."""
        if self._wide != self.is_wide:
            self._wide = self.is_wide
            self.grid.use(WIDE if self._wide else NARROW)
        snapshot = self.snapshot
        if snapshot is None:
            return
        now = time.time()
        rows = [
            Row(each.id, self._cells(each, now), "dim" if each.state == "disabled" else "")
            for each in snapshot.accounts
        ]
        self.grid.show(chosen(rows, self.filter), empty=self._nothing(snapshot))
        self._place(len(rows))
        ready = sum(each.state == "ready" for each in snapshot.accounts)
        number = len(snapshot.accounts)
        words = f"{number} account{'' if number == 1 else 's'}, {ready} ready" if number else "no accounts"
        vault = {"closed": "the vault is closed: u opens it", "locked": "the vault is locked: u unlocks it"}.get(
            snapshot.vault, ""
        )
        self.describe(words, right=vault or (f"strategy {snapshot.strategy}" if snapshot.strategy else ""))
        self._about()

    def on_resize(self) -> None:
        """Sentences where there is room."""
        self.redraw()

    def action_add(self) -> None:
        """One more."""
        self.manager.add_account()

    def action_edit(self) -> None:
        """Change the one under the cursor."""
        if (account := self.current) is not None:
            self.manager.edit_account(account.id)

    def action_enable(self) -> None:
        """Let it serve, or keep it from serving."""
        if (account := self.current) is not None:
            self.manager.enable_account(account, on=account.state == "disabled")

    def action_switch(self) -> None:
        """Send everything there, or let the strategy choose again."""
        if (account := self.current) is not None:
            self.manager.switch_to(account)

    def action_remove(self) -> None:
        """Take it out of the vault, after a question."""
        if (account := self.current) is not None:
            self.manager.remove_account(account)

    def action_refresh(self) -> None:
        """Ask OpenAI what was spent."""
        self.manager.ask_openai()

    def action_check(self) -> None:
        """Ask OpenAI whether its key is good."""
        if (account := self.current) is not None:
            self.manager.check_key(account)

    def action_look(self) -> None:
        """All about it."""
        if (account := self.current) is not None:
            self.app.push_screen(TextPage(account.label, account_page(account, time.time(), self.manager.tones)))

    @on(Grid.Chosen)
    def _chosen(self) -> None:
        self.action_look()

    @on(Grid.Moved)
    def _moved(self) -> None:
        self._about()

    def _place(self, rows: int) -> None:
        """The panel takes what the table does not need, if that is worth it."""
        free = self.app.size.height - OTHER_LINES - rows
        self.panel.display = bool(rows) and free >= LEAST_PANEL
        self.panel.styles.height = min(free, MOST_PANEL)

    def _about(self) -> None:
        if self.panel.display:
            account = self.current
            self._page.update(Text("") if account is None else account_page(account, time.time(), self.manager.tones))

    def _nothing(self, snapshot: Snapshot) -> str:
        if self.filter and snapshot.accounts:
            return f"no account has /{self.filter} in it: Esc takes the filter away"
        if snapshot.vault in {"closed", "locked"}:
            return f"{snapshot.vault_says}\n\nu asks for its key"
        if snapshot.vault == "broken":
            return snapshot.vault_says
        return "there are no accounts yet\n\na adds the first one; you need a key from\nhttps://platform.openai.com/api-keys"

    def _cells(self, account: AccountLine, now: float) -> tuple[Cell, ...]:
        kept = account.kept or {}
        mark = (("→", "accent"),) if kept.get("switched_to") else " "
        word, tone = STATES.get(account.state or "", (account.state or "?", "dim"))
        flight = (
            "" if account.in_flight is None else ((str(account.in_flight), "accent" if account.in_flight else "dim"),)
        )
        common: tuple[Cell, ...] = (
            mark,
            account.label,
            ((word, tone),),
            ((left(account.retry_at, now), "warn"),),
            flight,
        )
        priority = "" if not kept else str(kept.get("priority", 0))
        cells = 14 if self._wide else 7
        spent = (
            _spent(account.limit("day"), account.today, cells),
            _spent(account.limit("month"), account.month, cells),
        )
        if not self._wide:
            return (*common, *spent, priority)
        models = ", ".join(kept.get("models", ())) or "all" if kept else ""
        return (*common, count(account.requests_today), *spent, priority, models, ((account.reason, "dim"),))


def _spent(limit: Limit | None, spent: float | None, cells: int) -> Cell:
    """A bar against the limit, or what was spent where there is none."""
    if limit is None:
        return ((" " * (cells + 1), ""), (amount(spent), "dim" if not spent else ""))
    counted = spent if limit.spent is None else limit.spent
    share = 0.0 if not counted else counted / limit.most
    tone = "bad" if share >= 1 else "warn" if share >= WARN_AT else "good"
    most = amount(limit.most).replace(".00", "")
    used, rest = meter(share, cells)
    words = f" {amount(counted)}/{most[1:]}"
    return ((used, tone), (rest, "faint"), (words, tone if share >= WARN_AT else ""))
