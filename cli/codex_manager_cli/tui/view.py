"""What all views have in common: a line that says what is seen, a filter, something to ask for now and then, and keys.

Law: `ask` runs beside the loop and touches no widget; `told` and `glance` run on the loop and never wait.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding
from textual.containers import Vertical

from codex_manager_cli.tui.bars import Line
from codex_manager_cli.tui.grid import Grid, Row, text_of
from codex_manager_cli.tui.source import Snapshot, Source


if TYPE_CHECKING:
    from codex_manager_cli.tui.app import Manager

__all__ = ["View", "chosen", "shown"]


class View(Vertical):
    """Mutable state: the last snapshot, and the filter."""

    DEFAULT_CSS = """
    View { height: 1fr; }
    View > Line { background: $background; }
    """
    title: ClassVar[str] = ""
    every_s: float | None = None
    """How often it is asked for while it is seen; None: what the snapshot says is enough."""
    shown_keys: ClassVar[Sequence[str]] = ()
    """Actions whose keys stand on the lowest line, the most important first."""

    grid: Grid

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self.snapshot: Snapshot | None = None
        self.filter = ""
        self.head = Line()

    @property
    def manager(self) -> "Manager":
        """The application."""
        return cast("Manager", self.app)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - textual's signature
        """Keys that come while a form opens are meant for it: rather lost than taken for others."""
        return not self.manager.is_opening

    def ask(self, source: Source) -> Any:
        """What is to be told; beside the loop."""

    def told(self, value: Any) -> None:
        """What was asked for."""

    def glance(self, snapshot: Snapshot) -> None:
        """How it goes, each second; called also while another view is seen."""
        self.snapshot = snapshot

    def narrow(self, text: str) -> None:
        """Show only what has these words in it."""
        self.filter = text
        self.redraw()

    def redraw(self) -> None:
        """Show what is known again: the filter is another, or the room."""

    def describe(self, words: str, *, right: str = "") -> None:
        """Write the line that says what is seen."""
        marks = [(f"  /{self.filter}", "accent")] if self.filter else []
        self.head.write([(words, "strong"), *marks], [(right, "dim")] if right else [])

    def key_line(self) -> list[tuple[str, str, str]]:
        """For the lowest line."""
        known = {each.action: each for each in _bindings(type(self))}
        return [(shown(known[name].key), known[name].description, name) for name in self.shown_keys if name in known]

    @classmethod
    def all_keys(cls) -> list[tuple[str, str]]:
        """For the help."""
        return [(shown(each.key), each.description) for each in _bindings(cls) if each.description]

    @property
    def is_wide(self) -> bool:
        """Whether there is room for sentences."""
        return self.app.size.width >= 120

    @property
    def is_tall(self) -> bool:
        """Whether there is room for a panel below the table."""
        return self.app.size.height >= 36


def chosen(rows: Iterable[Row], wanted: str) -> list[Row]:
    """The rows in which all of these words occur, and none that has a `!` before it."""
    words = wanted.casefold().split()
    if not words:
        return list(rows)
    found = []
    for row in rows:
        text = text_of(row.cells).casefold()
        if all((word[1:] not in text) if word.startswith("!") and len(word) > 1 else word in text for word in words):
            found.append(row)
    return found


KEYS = {
    "space": "Space", "enter": "Enter", "escape": "Esc", "f1": "F1", "left_square_bracket": "[", "right_square_bracket": "]", "slash": "/",
    "question_mark": "?", "colon": ":", "pageup": "PgUp", "pagedown": "PgDn", "shift+tab": "Shift+Tab", "tab": "Tab", "left": "←",
    "right": "→", "up": "↑", "down": "↓", "ctrl+p": "Ctrl+P", "ctrl+l": "Ctrl+L", "home": "Home", "end": "End",
}  # fmt: skip


def shown(keys: str) -> str:
    """What is written on these keys."""
    return " ".join(KEYS.get(key, key) for key in keys.split(","))


def _bindings(view: type[View]) -> list[Binding]:
    return [each for each in view.__dict__.get("BINDINGS", ()) if isinstance(each, Binding)]
