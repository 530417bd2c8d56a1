"""Requests as they are routed: those on their way on top, then those that are over, the newest first.

Law: bounded, whatever comes; a thousand a second are told in one go, and what was too much to be told is counted.
"""

import time

from collections import deque
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from codex_manager_cli.tui.grid import Cell, Column, Grid, Row
from codex_manager_cli.tui.source import RequestLine, Snapshot, Source, Traffic
from codex_manager_cli.tui.story import StoryPanel
from codex_manager_cli.tui.view import View, chosen
from codex_manager_cli.tui.words import clock, count, lasted, money, route, short_why, size, status, whole_why


__all__ = ["KEPT", "Live"]

KEPT: Final = 1000
"""Requests that are over; the oldest go first."""
CALM_S: Final = 0.5
BUSY_S: Final = 1.0
MANY: Final = 50
"""More than these between two looks are not read one by one: then it is looked half as often."""
RATE_S: Final = 10.0
LEFT: Final = frozenset({"gone", "neutral"})
"""The client went away."""

NARROW: Final = (
    Column("time", 8), Column("client", 7, grow=1, most=14, rank=4), Column("model", 11, grow=3, most=26),
    Column("account", 9, grow=2, most=20), Column("why", 9, rank=3), Column("st", 3), Column("try", 3, right=True, rank=5),
    Column("tokens", 6, right=True, rank=1), Column("cost", 7, right=True), Column("took", 5, right=True, rank=2),
)  # fmt: skip
WIDE: Final = (
    Column("time", 8), Column("client", 8, grow=1, most=16), Column("endpoint", 16, grow=1, most=20, rank=1), Column("model", 14, grow=1, most=26),
    Column("account", 12, grow=2, most=30), Column("why", 26, grow=6), Column("st", 3), Column("try", 3, right=True),
    Column("in", 6, right=True), Column("out", 6, right=True), Column("cost", 8, right=True), Column("took", 6, right=True),
)  # fmt: skip


class Live(View):
    """Mutable state: the requests, whether it is paused, and how many came lately."""

    title = "Live"
    every_s = CALM_S
    shown_keys = ("look", "pause", "clear")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "look", "why"),
        Binding("p", "pause", "pause"),
        Binding("c", "clear", "clear"),
    ]

    def __init__(self) -> None:
        super().__init__(id="live")
        self.grid = Grid(NARROW, id="requests")
        self.panel = StoryPanel()
        self._wide = False
        self._over: dict[str, RequestLine] = {}
        self._underway_lines: tuple[RequestLine, ...] = ()
        self._underway = 0
        self._recorded = True
        self._made: dict[str, Row] = {}
        self._cleared = 0.0
        self._paused = False
        self._came: deque[tuple[float, int]] = deque()
        self._first = True
        self._missed = 0

    def compose(self) -> ComposeResult:
        """The line, the table, and where there is room why the one under the cursor went where it went."""
        yield self.head
        yield self.grid
        yield self.panel

    def ask(self, source: Source) -> Traffic:
        """What is new."""
        return source.traffic()

    def told(self, value: Traffic) -> None:
        """Take it in; while it is paused what is shown stays."""
        new = [
            line
            for line in value.over
            if line.id not in self._over and line.time + (line.duration_s or 0.0) > self._cleared
        ]
        self._over.update((line.id, line) for line in new)
        if len(self._over) > KEPT:
            latest = sorted(self._over.values(), key=lambda line: line.time)[-KEPT:]
            self._over = {line.id: line for line in latest}
        self._underway_lines, self._underway, self._recorded = value.running, value.underway, value.recorded
        self._missed += value.missed
        self.every_s = BUSY_S if len(new) + value.missed > MANY else CALM_S
        if self._first:
            self._first = False  # what was there before is no rate
        else:
            self._came.append((time.monotonic(), len(new) + value.missed))
        if not self._paused:
            self.redraw()

    def glance(self, snapshot: Snapshot) -> None:
        """What an empty table says is of this moment."""
        super().glance(snapshot)
        if not self.grid.rows:
            self.redraw()

    def redraw(self) -> None:
        """The table and its line."""
        if self._wide != self.is_wide:
            self._wide, self._made = self.is_wide, {}
            self.grid.use(WIDE if self._wide else NARROW)
        self.grid.show(chosen(self._rows(), self.filter), empty=self._nothing())
        number = self._underway
        words = f"{number} on {'its' if number == 1 else 'their'} way" if number else "nothing on its way"
        rate = self._rate()
        told = f"{len(self._over):,} over" + (f", {count(self._missed)} not shown" if self._missed else "")
        self.describe(
            ("PAUSED: p goes on  " if self._paused else "") + words,
            right=" · ".join(
                part for part in (f"{rate:,.{1 if rate < 10 else 0}f} a second" if rate else "", told) if part
            ),
        )

    def on_resize(self) -> None:
        """Sentences where there is room."""
        self.panel.display = self.is_tall
        self.redraw()

    def action_pause(self) -> None:
        """Stop the table, or let it go on."""
        self._paused = not self._paused
        self.redraw()

    def action_clear(self) -> None:
        """Forget what is shown; what comes now is shown again."""
        self._over, self._missed, self._cleared = {}, 0, time.time()
        self._came.clear()
        self.redraw()

    def action_look(self) -> None:
        """Why it went where it went."""
        if (key := self.grid.cursor_key) is not None:
            self.manager.explain(key)

    @on(Grid.Chosen)
    def _chosen(self, event: Grid.Chosen) -> None:
        self.manager.explain(event.key)

    @on(Grid.Moved)
    def _moved(self, event: Grid.Moved) -> None:
        if self.panel.display:
            line = self._over.get(event.key or "")
            self.panel.show(event.key if line is not None else None)

    def _rows(self) -> list[Row]:
        """Those on their way, then those that are over, the newest first. Of the latter each row is made once."""
        now, made = time.time(), self._made
        make = self._wide_cells if self._wide else self._cells
        way = [line for line in self._underway_lines if line.id not in self._over]
        self._made = {
            line.id: made.get(line.id) or Row(line.id, make(line, now), "dim" if line.failure in LEFT else "")
            for line in sorted(self._over.values(), key=lambda line: -line.time)
        }
        return [
            *(Row(line.id, make(line, now)) for line in sorted(way, key=lambda line: -line.time)),
            *self._made.values(),
        ]

    def _rate(self) -> float:
        now = time.monotonic()
        while self._came and self._came[0][0] < now - RATE_S:
            self._came.popleft()
        return sum(number for _, number in self._came) / RATE_S

    def _nothing(self) -> str:
        if self.filter and (self._over or self._underway_lines):
            return f"nothing here has /{self.filter} in it: Esc takes the filter away"
        snapshot = self.snapshot
        if snapshot is not None and not snapshot.accounts and snapshot.vault in {"missing", "open"}:
            return "there are no accounts yet\n\npress 2, then a, to add the first one"
        if snapshot is not None and snapshot.proxy is None and not snapshot.trouble:
            return "no proxy runs on this home\n\nS starts one in the background; it stays when you quit here"
        if not self._recorded:
            return (
                "nothing is recorded, because metering.enabled is off\n\nrequests on their way are shown nevertheless"
            )
        if snapshot is not None and snapshot.proxy is not None:
            address = snapshot.proxy.address
            return f"no requests yet\n\nexport OPENAI_BASE_URL=http://{address}/v1\nor: codex-manager run -- COMMAND"
        return ""

    def _cells(self, line: RequestLine, now: float) -> tuple[Cell, ...]:
        return (
            clock(line.time), line.client, line.model or line.endpoint, _account(line), _why(line), (status(line),), _tries(line),
            _progress(line), _cost(line), _took(line, now),
        )  # fmt: skip

    def _wide_cells(self, line: RequestLine, now: float) -> tuple[Cell, ...]:
        tokens: tuple[Cell, Cell] = (
            (_progress(line), "") if line.running else (count(line.tokens_in), count(line.tokens_out))
        )
        return (
            clock(line.time), line.client, line.endpoint, line.model, ((route(line), "warn" if line.tried else ""),),
            ((line.by, "accent"),) if line.running else whole_why(line), (status(line),), _tries(line), *tokens, _cost(line),
            _took(line, now),
        )  # fmt: skip


def _account(line: RequestLine) -> Cell:
    if line.account:
        return ((line.account, "warn" if line.tried and not line.running else ""),)
    return (("nobody" if not line.running else "…", "bad" if line.failure else "dim"),)


def _why(line: RequestLine) -> Cell:
    if line.running:
        return ((line.by, "accent"),)
    return ((short_why(line), "dim"),)


def _tries(line: RequestLine) -> Cell:
    return ((str(line.tries), "warn"),) if line.tries > 1 else str(line.tries or "-")


def _progress(line: RequestLine) -> Cell:
    """Tokens, or while it is on its way how much has come."""
    if line.running:
        return ((size(line.bytes or 0).replace(" ", "") if line.bytes else "", "accent"),)
    if line.tokens_in is None and line.tokens_out is None:
        return ""
    return count((line.tokens_in or 0) + (line.tokens_out or 0))


def _cost(line: RequestLine) -> Cell:
    if line.usd is None:
        return ""
    return ((("~" if line.estimated else "") + money(line.usd), "dim" if line.estimated else ""),)


def _took(line: RequestLine, now: float) -> Cell:
    return ((lasted(max(0.0, now - line.time)), "accent"),) if line.running else lasted(line.duration_s)
