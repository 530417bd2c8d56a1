"""A table that draws only what is seen: thousands of rows cost no more than a screenful.

Columns say how wide they are and which of them go first when there is little room; one or more take what is left. The cursor stays
with its row while rows come and go above it, and stays on top while it is there, so that whoever watches sees the newest and whoever
reads is not disturbed (`tail`: at the end, for tables that grow there). Law: a cell is text, never markup, so nothing that came from a client can style or click anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size, Spacing
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from codex_manager_cli.tui.tone import tone_of


__all__ = ["Cell", "Column", "Grid", "Row", "text_of"]

type Cell = str | tuple[tuple[str, str], ...]
"""Text, or pieces of text each with a tone."""
TONES: Final = ("dim", "faint", "good", "warn", "bad", "accent", "strong")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Widths in cells."""

    title: str
    width: int
    """The least it is good for."""
    grow: int = 0
    """Its part of what is left over."""
    most: int = 1000
    right: bool = False
    rank: int = 0
    """When there is no room, the column of the highest rank goes first; 0 stays."""
    from_width: int = 0
    """Shown only where the table is at least so wide."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line."""

    key: str
    cells: Sequence[Cell]
    tone: str = ""
    """Of all pieces that have none of their own."""


class Grid(ScrollView, can_focus=True):
    """Mutable state: the rows, the cursor, and how wide columns are at the present width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"grid--{tone}" for tone in TONES} | {
        "grid--plain",
        "grid--head",
        "grid--cursor",
        "grid--away",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False),
        Binding("home,g", "end(-1)", "first", show=False),
        Binding("end,G", "end(1)", "last", show=False),
        Binding("enter", "choose", "look closer", show=False),
    ]
    DEFAULT_CSS = """
    Grid { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Grid > .grid--head { color: $text-muted; text-style: bold; background: $panel; }
    Grid > .grid--cursor { background: $primary 35%; }
    Grid > .grid--away { background: $foreground 9%; }
    Grid > .grid--dim { color: $text-muted; }
    Grid > .grid--faint { color: $foreground 22%; }
    Grid > .grid--good { color: $text-success; }
    Grid > .grid--warn { color: $text-warning; }
    Grid > .grid--bad { color: $text-error; }
    Grid > .grid--accent { color: $text-accent; }
    Grid > .grid--strong { text-style: bold; }
    """

    @dataclass
    class Moved(Message):
        """The cursor is on another row; None: there are none."""

        grid: "Grid"
        key: str | None

        @property
        def control(self) -> "Grid":
            """For `@on` with a selector."""
            return self.grid

    @dataclass
    class Chosen(Message):
        """Enter, or a second click."""

        grid: "Grid"
        key: str

        @property
        def control(self) -> "Grid":
            """For `@on` with a selector."""
            return self.grid

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "",
        tail: bool = False,
        id: str | None = None,  # noqa: A002 - textual's name for it
    ) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._rows: tuple[Row, ...] = ()
        self._cursor = 0
        self._empty = empty
        self._tail = tail
        self._widths: tuple[int, list[tuple[int, int]]] = (-1, [])
        self._told: str | None = None

    # Contents --------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is shown."""
        return self._rows

    @property
    def cursor_key(self) -> str | None:
        """The row the cursor is on."""
        return self._rows[self._cursor].key if self._rows else None

    def show(self, rows: Sequence[Row], *, empty: str | None = None) -> None:
        """Show these instead. The cursor stays with its row; where that is gone, at its place."""
        before, key = self._cursor, self.cursor_key
        at_end = self._cursor == (len(self._rows) - 1 if self._tail else 0) or not self._rows
        if empty is not None and empty != self._empty:
            self._empty = empty
            self.refresh()
        new = tuple(rows)
        if new == self._rows:
            return
        self._rows = new
        if at_end:
            self._cursor = len(new) - 1 if self._tail else 0
        else:
            self._cursor = next((i for i, row in enumerate(new) if row.key == key), min(before, len(new) - 1))
        self._cursor = max(0, min(self._cursor, len(new) - 1))
        self._measure()
        if at_end and self._tail:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        elif not at_end and self._cursor != before:  # what is read stays where it is on the screen
            self.scroll_to(y=max(0, self.scroll_y + self._cursor - before), animate=False, immediate=True)
        self._tell()
        self.refresh()

    def use(self, columns: Sequence[Column]) -> None:
        """Have other columns; the rows that fit them come next."""
        self._columns, self._rows, self._cursor = tuple(columns), (), 0
        self._widths = (-1, [])
        self._measure()
        self.scroll_to(y=0, animate=False, immediate=True)
        self.refresh()

    def select(self, key: str) -> bool:
        """Put the cursor on this row; whether it is there."""
        for i, row in enumerate(self._rows):
            if row.key == key:
                self._go(i)
                return True
        return False

    # Moving ----------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """A screenful."""
        self._go(self._cursor + by * max(1, self.size.height - 2))

    def action_end(self, which: int) -> None:
        """To the first or the last row."""
        self._go(0 if which < 0 else len(self._rows) - 1)

    def action_choose(self) -> None:
        """Look closer."""
        if (key := self.cursor_key) is not None:
            self.post_message(self.Chosen(self, key))

    def on_click(self, event: events.Click) -> None:
        """Go to the row; a second click looks closer."""
        row = int(self.scroll_y) + event.y - 1
        if event.y < 1 or not 0 <= row < len(self._rows):
            return
        self._go(row)
        if event.chain > 1:
            self.action_choose()

    def on_resize(self) -> None:
        """Columns are as wide as the table lets them."""
        self._measure()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _go(self, row: int) -> None:
        if not self._rows:
            return
        self._cursor = max(0, min(row, len(self._rows) - 1))
        self.scroll_to_region(
            Region(0, self._cursor + 1, 1, 1), spacing=Spacing(1, 0, 0, 0), animate=False, immediate=True
        )
        self._tell()
        self.refresh()

    def _tell(self) -> None:
        if (key := self.cursor_key) != self._told:
            self._told = key
            self.post_message(self.Moved(self, key))

    # Drawing ---------------------------------------------------------------------------------------------------------

    @property
    def _width(self) -> int:
        """The place of the scroll bar is always kept, so that nothing moves when it comes."""
        return max(1, self.scrollable_content_region.width)

    def _measure(self) -> None:
        width = self._width
        self.virtual_size = Size(width, len(self._rows) + 1)
        if self._widths[0] != width:
            self._widths = width, _widths(self._columns, width)

    def render_line(self, y: int) -> Strip:
        """The head, a row, or the words for an empty table."""
        width = self._width
        if self._widths[0] != width:
            self._widths = width, _widths(self._columns, width)
        if y == 0:
            style = self.get_component_rich_style("grid--head")
            cells = [column.title for column in self._columns]
            return self._strip(cells, style, {}, width)
        if not self._rows:
            return self._words(y, width)
        number = y - 1 + int(self.scroll_y)
        if number >= len(self._rows):
            return Strip.blank(width, self.get_component_rich_style("grid--plain"))
        row = self._rows[number]
        base = self.get_component_rich_style("grid--plain")
        if number == self._cursor:
            base = self.get_component_rich_style("grid--cursor" if self.has_focus else "grid--away")
        tones = {tone: tone_of(self, f"grid--{tone}") for tone in TONES}
        return self._strip(row.cells, base + tones[row.tone] if row.tone else base, tones, width)

    def _strip(self, cells: Sequence[Cell], base: Style, tones: dict[str, Style], width: int) -> Strip:
        segments = []
        for index, size in self._widths[1]:
            segments.append(Segment(" ", base))
            if index < len(cells):
                segments += _cell(cells[index], size, base, tones, right=self._columns[index].right)
            else:
                segments.append(Segment(" " * size, base))
        return Strip(segments).adjust_cell_length(width, base)

    def _words(self, y: int, width: int) -> Strip:
        lines = self._empty.splitlines()
        top = max(2, (self.size.height - len(lines)) // 3)
        text = lines[y - top] if 0 <= y - top < len(lines) else ""
        style = self.get_component_rich_style("grid--plain") + tone_of(self, "grid--dim")
        shown = text[:width]
        return Strip(
            [Segment(" " * max(0, (width - cell_len(shown)) // 2), style), Segment(shown, style)]
        ).adjust_cell_length(width, style)


def text_of(cells: Sequence[Cell]) -> str:
    """What is written in a row, for finding words in it."""
    return " ".join(cell if isinstance(cell, str) else "".join(text for text, _ in cell) for cell in cells)


def _cell(cell: Cell, size: int, base: Style, tones: dict[str, Style], *, right: bool) -> list[Segment]:
    """One cell, cut or filled to exactly its width."""
    pieces = ((cell, ""),) if isinstance(cell, str) else cell
    length = sum(cell_len(text) for text, _ in pieces)
    if length > size:
        return _cut(pieces, size, base, tones)
    made = [Segment(text, base + tones[tone] if tone in tones else base) for text, tone in pieces if text]
    gap = Segment(" " * (size - length), base)
    return [gap, *made] if right else [*made, gap]


def _cut(pieces: Sequence[tuple[str, str]], size: int, base: Style, tones: dict[str, Style]) -> list[Segment]:
    made, left = [], size - 1
    for text, tone in pieces:
        style = base + tones[tone] if tone in tones else base
        if cell_len(text) > left:
            made.append(Segment(set_cell_size(text, left) + "…", style))
            break
        made.append(Segment(text, style))
        left -= cell_len(text)
    return made


def _widths(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Which columns are shown, and how wide: those of high rank go, and what is left over is given to those that grow."""
    shown = [i for i, column in enumerate(columns) if column.from_width <= width]

    def need() -> int:
        return sum(columns[i].width + 1 for i in shown)

    while len(shown) > 1 and need() > width:
        ranked = max(shown, key=lambda i: (columns[i].rank, i))
        if not columns[ranked].rank:
            break
        shown.remove(ranked)
    widths = {i: columns[i].width for i in shown}
    left = width - need()
    while left > 0:
        growing = [i for i in shown if columns[i].grow and widths[i] < columns[i].most]
        if not growing:
            break
        parts = sum(columns[i].grow for i in growing)
        given = 0
        for i in growing:
            more = min(max(1, left * columns[i].grow // parts), columns[i].most - widths[i], left - given)
            widths[i] += more
            given += more
        if not given:
            break
        left -= given
    return [(i, widths[i]) for i in shown]
