"""What was used: a chart of hours, days or months, and below it who it was."""

from collections.abc import Callable
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from codex_manager_cli.tui.chart import columns_chart
from codex_manager_cli.tui.grid import Column, Grid, Row
from codex_manager_cli.tui.source import Bar, Figures, Measure, Source, Span
from codex_manager_cli.tui.view import View, chosen
from codex_manager_cli.tui.words import amount, bar, count, money


__all__ = ["Usage"]

SPANS: Final[dict[Span, str]] = {"hour": "the last 24 hours", "day": "the last 30 days", "month": "the last 12 months"}
MEASURES: Final[tuple[Measure, ...]] = ("account", "model", "client")
SHOWN: Final[dict[str, Callable[[Bar], float]]] = {
    "dollars": lambda each: each.usd,
    "requests": lambda each: each.requests,
    "tokens": lambda each: each.tokens_in + each.tokens_out,
}
COLUMNS: Final = (
    Column("who", 14, grow=3, most=50), Column("requests", 8, right=True), Column("failed", 6, right=True, rank=2),
    Column("in", 7, right=True), Column("out", 7, right=True), Column("cost", 9, right=True), Column("share", 20, grow=1, most=44, rank=1),
)  # fmt: skip


class Usage(View):
    """Mutable state: what is asked for, and what came of it."""

    title = "Usage"
    every_s = 3.0
    shown_keys = ("span('hour')", "span('day')", "span('month')", "by", "shown")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "span('hour')", "hours"),
        Binding("d", "span('day')", "days"),
        Binding("m", "span('month')", "months"),
        Binding("b", "by", "by account, model, client"),
        Binding("v", "shown", "dollars, requests, tokens"),
    ]
    DEFAULT_CSS = """
    Usage #chart { height: 2fr; min-height: 6; padding: 0 1; background: $surface; }
    Usage Grid { height: 3fr; }
    """

    def __init__(self) -> None:
        super().__init__(id="usage")
        self.chart = Static("", id="chart", markup=False)
        self.grid = Grid(COLUMNS, id="usage-table", empty="nothing was used in this time")
        self.span: Span = "hour"
        self.by: Measure = "account"
        self.shown = "dollars"
        self._known: Figures | None = None

    def compose(self) -> ComposeResult:
        """The chart above, the table below."""
        yield self.head
        yield self.chart
        yield self.grid

    def ask(self, source: Source) -> Figures:
        """The sums."""
        return source.figures(self.span, self.by)

    def told(self, value: Figures) -> None:
        """Show them, unless others have been asked for meanwhile."""
        if (value.span, value.by) == (self.span, self.by):
            self._known = value
            self.redraw()

    def on_resize(self) -> None:
        """The chart is as large as there is room."""
        self.call_after_refresh(self.redraw)

    def action_span(self, span: Span) -> None:
        """Hours, days or months."""
        self.span = span
        self.manager.ask_again()

    def action_by(self) -> None:
        """Keep others apart."""
        self.by = MEASURES[(MEASURES.index(self.by) + 1) % len(MEASURES)]
        self.manager.ask_again()

    def action_shown(self) -> None:
        """Draw something else."""
        names = list(SHOWN)
        self.shown = names[(names.index(self.shown) + 1) % len(names)]
        self.redraw()

    def redraw(self) -> None:
        """The chart and the table."""
        known = self._known
        if known is None:
            return
        value = SHOWN[self.shown]
        whole = Bar(
            "", sum(each.requests for each in known.bars), tokens_in=sum(each.tokens_in + each.tokens_out for each in known.bars),
            usd=sum(each.usd for each in known.bars),
        )  # fmt: skip
        self.describe(
            f"{self.shown} by {known.span}, {SPANS[known.span]}",
            right=f"{count(whole.requests) or 0} requests · {count(whole.tokens_in) or 0} tokens · {amount(whole.usd)}",
        )
        tones = self.manager.tones
        size = self.chart.content_size
        self.chart.update(
            columns_chart(
                [(each.name, value(each)) for each in known.bars],
                max(20, size.width),
                max(4, size.height),
                _scale if self.shown == "dollars" else (lambda number: count(round(number)) or "0"),
                color=tones["primary"],
                lit=True,
                lit_color=tones["accent"],
            )
            if known.bars
            else Text("\nnothing was recorded yet", "dim")
        )
        highest = max((value(each) for each in known.rows), default=0.0)
        total = sum(value(each) for each in known.rows)
        rows = [Row(each.name, self._cells(each, value(each), highest, total)) for each in known.rows]
        self.grid.show(chosen(rows, self.filter))

    def _cells(
        self, each: Bar, value: float, highest: float, total: float
    ) -> tuple[str | tuple[tuple[str, str], ...], ...]:
        share = f" {value / total:.0%}" if total else ""
        return (
            each.name, f"{each.requests:,}", ((f"{each.errors:,}" if each.errors else "", "bad"),), count(each.tokens_in),
            count(each.tokens_out), money(each.usd), ((bar(value / highest if highest else 0.0, 14), "good"), (share, "")),
        )  # fmt: skip


def _scale(usd: float) -> str:
    """Beside the chart: as exact as the whole of it needs."""
    return f"${usd:.4f}" if 0 < usd < 0.1 else amount(usd)
