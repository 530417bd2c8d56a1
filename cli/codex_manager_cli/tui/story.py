"""Why a request went where it went: below a table while the cursor moves, or on a page of its own."""

from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from codex_manager_cli.tui.bars import Line
from codex_manager_cli.tui.folding import folded


__all__ = ["StoryPanel", "TextPage"]

REST_S: Final = 0.15
"""The cursor rests for so long before somebody is asked: whoever hurries past wants nothing."""


class StoryPanel(VerticalScroll, can_focus=False):
    """Mutable state: which request is told, and the wish that waits for the cursor to rest."""

    DEFAULT_CSS = """
    StoryPanel { height: 16; background: $surface; padding: 0 1; border-top: solid $panel; display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = Static("", markup=False)
        self._wanted: str | None = None
        self._wish: Timer | None = None

    def compose(self) -> ComposeResult:
        """The text."""
        yield self._text

    def show(self, request_id: str | None) -> None:
        """Tell of this one, soon."""
        if request_id == self._wanted:
            return
        self._wanted = request_id
        if self._wish is not None:
            self._wish.stop()
        if request_id is None:
            self._text.update(Text("it is on its way", "dim"))
            return
        self._wish = self.set_timer(REST_S, self._ask)

    def _ask(self) -> None:
        wanted = self._wanted
        if wanted is None:
            return

        def told(text: Text) -> None:
            if self._wanted == wanted:
                self._text.update(_fitting(text, self.scrollable_content_region.width))
                self.scroll_home(animate=False)

        self.app.tell_story(wanted, told)  # type: ignore[attr-defined]  # our own application


class TextPage(ModalScreen[None]):
    """A page to read: `?`, a request, an account, a line of the log."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss", "close"),
        Binding("up,k", "scroll(-1)", "up"),
        Binding("down,j", "scroll(1)", "down"),
        Binding("pageup,ctrl+b", "scroll(-10)", "page up"),
        Binding("pagedown,space,ctrl+f", "scroll(10)", "page down"),
        Binding("y", "copy", "copy"),
    ]
    DEFAULT_CSS = """
    TextPage { align: center middle; background: $background 60%; }
    TextPage > Vertical { width: 92%; max-width: 130; height: auto; max-height: 94%; background: $surface; border: round $primary 60%; }
    TextPage VerticalScroll { height: auto; max-height: 100%; padding: 0 1; margin-bottom: 1; }
    TextPage Static { width: 100%; height: auto; }
    TextPage Line { background: $surface; dock: bottom; }
    """

    def __init__(self, heading: str, text: Text | str) -> None:
        super().__init__()
        self.heading = heading
        self._text = text if isinstance(text, Text) else Text(text)
        self._body = Static(self._text, markup=False)

    @property
    def plain(self) -> str:
        """What is written."""
        return self._text.plain

    def compose(self) -> ComposeResult:
        """The heading is in the frame."""
        with Vertical() as frame:
            frame.border_title = Text(self.heading)
            with VerticalScroll():
                yield self._body
            yield Line()

    def on_mount(self) -> None:
        self.query_one(Line).write(
            [("Esc", "key=close"), (" close", "=close"), ("  y", "key=copy"), (" copy", "=copy")],
            [("↑ ↓ scroll", "dim")],
        )

    def become(self, text: Text) -> None:
        """Have another text: what was asked for has come."""
        self._text = text
        self.on_resize()

    def on_resize(self) -> None:
        """Lines are as long as there is room."""
        self._body.update(_fitting(self._text, self.query_one(VerticalScroll).scrollable_content_region.width))

    def action_scroll(self, lines: int) -> None:
        """Read on."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        """Put it on the clipboard, where the terminal lets us."""
        self.app.copy_to_clipboard(self._text.plain)
        self.notify("copied", timeout=2)

    def on_line_clicked(self, event: Line.Clicked) -> None:
        """Keys can be clicked."""
        event.stop()
        if event.what == "close":
            self.dismiss()
        else:
            self.action_copy()

    async def action_dismiss(self, result: None = None) -> None:
        """Close it."""
        self.dismiss(result)


def _fitting(text: Text, width: int) -> Text:
    """Lines that are too long are folded; a text with colours folds itself."""
    return text if text.spans or width < 20 else Text(folded(text.plain, width), text.style)
