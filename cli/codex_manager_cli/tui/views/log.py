"""What the proxy says, as it says it: the last lines, the newest at the bottom."""

from collections import deque
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from codex_manager_cli.tui.grid import Column, Grid, Row
from codex_manager_cli.tui.source import LogLine, LogLines, Source
from codex_manager_cli.tui.story import TextPage
from codex_manager_cli.tui.view import View, chosen
from codex_manager_cli.tui.words import clock


__all__ = ["Log"]

KEPT: Final = 2000
COLUMNS: Final = (
    Column("time", 8), Column("level", 8), Column("from", 20, grow=1, most=34, from_width=120), Column("what", 30, grow=6),
)  # fmt: skip
TONES: Final = {"error": "bad", "critical": "bad", "warning": "warn", "debug": "dim"}
GRAVE: Final = frozenset({"warning", "error", "critical"})


class Log(View):
    """Mutable state: the lines, and whether only grave ones are shown."""

    title = "Log"
    every_s = 1.0
    shown_keys = ("level", "look")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "level", "only warnings"),
        Binding("enter", "look", "whole line"),
    ]

    def __init__(self) -> None:
        super().__init__(id="log")
        self.grid = Grid(COLUMNS, id="lines", tail=True)
        self._lines: deque[LogLine] = deque(maxlen=KEPT)
        self._origin = ""
        self._grave = False

    def compose(self) -> ComposeResult:
        """The line and the table."""
        yield self.head
        yield self.grid

    def ask(self, source: Source) -> LogLines:
        """What is new."""
        return source.log()

    def told(self, value: LogLines) -> None:
        """Take it in."""
        if value.fresh:
            self._lines.clear()
        self._lines.extend(value.lines)
        self._origin = value.origin
        self.redraw()

    def redraw(self) -> None:
        """The table and its line."""
        lines = [each for each in self._lines if each.level in GRAVE or not self._grave]
        rows = [Row(f"{each.number} {each.time}", self._cells(each)) for each in lines]
        self.grid.show(chosen(rows, self.filter), empty=self._nothing(bool(lines)))
        self.describe(f"{len(lines)} lines" + (", warnings and worse" if self._grave else ""), right=self._origin)

    def action_level(self) -> None:
        """Only warnings and worse, or all."""
        self._grave = not self._grave
        self.redraw()

    @on(Grid.Chosen)
    def action_look(self) -> None:
        """The whole line."""
        key = self.grid.cursor_key
        line = next((each for each in self._lines if f"{each.number} {each.time}" == key), None)
        if line is not None:
            self.app.push_screen(TextPage(f"{clock(line.time)}  {line.level}  {line.logger}", Text(line.text)))

    def _cells(self, line: LogLine) -> tuple[str | tuple[tuple[str, str], ...], ...]:
        tone = TONES.get(line.level, "")
        return (
            clock(line.time),
            ((line.level, tone),),
            ((line.logger, "dim"),),
            ((line.text, tone if tone != "dim" else ""),),
        )

    def _nothing(self, some: bool) -> str:
        if some:
            return f"no line has /{self.filter} in it: Esc takes the filter away"
        if self._grave and self._lines:
            return "no warnings: all is well\n\nl shows all lines"
        if self._origin:
            return "nothing was said yet"
        if self.snapshot is not None and self.snapshot.proxy is None:
            return "no proxy runs, so nobody says anything\n\nS starts one in the background"
        return "this proxy keeps no log for others; it may be of an older version"
