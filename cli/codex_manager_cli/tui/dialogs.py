"""Small questions: yes or no, one of several, a text, a master key. Escape always means: as it was.

Law: what is a secret is drawn as dots and leaves here as a `Secret` only.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager_cli.tui.aside import Aside, Ended
from codex_manager_cli.tui.bars import Line


__all__ = ["AskText", "Choose", "Dialog", "MasterKey", "NewMasterKey", "YesNo"]


class Dialog[T](ModalScreen[T]):
    """A frame in the middle with a heading, contents, and a line of keys."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > Vertical { width: 68; max-width: 96%; height: auto; max-height: 96%; background: $surface; border: round $primary 60%; padding: 0 1; }
    Dialog Static { height: auto; width: 100%; }
    Dialog Line { background: $surface; padding: 0; dock: bottom; }
    Dialog Input { background: $boost; }
    Choose OptionList, AskText Input, YesNo Static { margin-bottom: 1; }
    Dialog .wrong { color: $text-error; }
    Dialog OptionList { height: auto; max-height: 14; background: $surface; border: none; padding: 0; }
    Dialog OptionList:focus { border: none; background-tint: $foreground 0%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel"),
        # at once, before the next key: what is typed quickly after Tab may be a secret, and belongs to the next field
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]
    heading: str = ""
    enter: str = "ok"
    """What Enter does."""

    def compose(self) -> ComposeResult:
        """The frame; contents are the subclass's."""
        with Vertical() as frame:
            frame.border_title = Text(self.heading)
            yield from self.contents()
            yield Line(id="dialog-keys")

    def contents(self) -> ComposeResult:
        """What is asked."""
        yield from ()

    def on_mount(self) -> None:
        """Write the keys, and begin."""
        self.query_one("#dialog-keys", Line).write(*self.keys())
        self.begin()

    def keys(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """What stands on the left and on the right of the line of keys."""
        return [
            ("Enter", "key=enter"),
            (f" {self.enter}", "=enter"),
            ("   Esc", "key=cancel"),
            (" cancel", "=cancel"),
        ], []

    def begin(self) -> None:
        """Where the cursor is at first."""

    @on(Line.Clicked)
    def _key_clicked(self, event: Line.Clicked) -> None:
        event.stop()
        if event.what == "cancel":
            self.action_cancel()
        else:
            self.enter_pressed()

    def enter_pressed(self) -> None:
        """As Enter."""

    def action_cancel(self) -> None:
        """As it was."""
        self.dismiss(None)


class YesNo(Dialog[bool]):
    """A question; Enter means no, because it is pressed by accident."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,enter,escape", "answer(False)", "no"),
    ]

    def __init__(self, heading: str, question: str, yes: str) -> None:
        super().__init__()
        self.heading, self._question, self._yes = heading, question, yes

    def contents(self) -> ComposeResult:
        """The question."""
        yield Static(self._question, markup=False)

    def keys(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Its own."""
        return [("y", "key=yes"), (f" {self._yes}", "=yes"), ("   n", "key=cancel"), (" leave it", "=cancel")], []

    def enter_pressed(self) -> None:
        """Here a click on `y`."""
        self.dismiss(True)

    def action_cancel(self) -> None:
        """No."""
        self.dismiss(False)

    def action_answer(self, answer: bool) -> None:
        """It is said."""
        self.dismiss(answer)


class Choose(Dialog[str]):
    """One of several; each has a name and words."""

    enter = "choose"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor(1)", show=False),
        Binding("k", "cursor(-1)", show=False),
    ]

    def __init__(self, heading: str, choices: Sequence[tuple[str, str]], now: str = "") -> None:
        super().__init__()
        self.heading, self._choices, self._now = heading, choices, now

    def contents(self) -> ComposeResult:
        """The list."""
        width = max(len(name) for name, _ in self._choices)
        options = []
        for name, words in self._choices:
            text = Text(("● " if name == self._now else "  ") + name.ljust(width + 2))
            text.append(words, "dim")
            options.append(Option(text, id=name))
        yield OptionList(*options)

    def begin(self) -> None:
        """At the one that is in force."""
        names = [name for name, _ in self._choices]
        self.query_one(OptionList).highlighted = names.index(self._now) if self._now in names else 0

    def enter_pressed(self) -> None:
        """Take the one that is lit."""
        self.query_one(OptionList).action_select()

    def action_cursor(self, by: int) -> None:
        """Up or down."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


class AskText(Dialog[str]):
    """A line of text."""

    def __init__(self, heading: str, words: str, placeholder: str = "") -> None:
        super().__init__()
        self.heading, self._words, self._placeholder = heading, words, placeholder

    def contents(self) -> ComposeResult:
        """The field."""
        yield Static(self._words, markup=False)
        yield Input(placeholder=self._placeholder, compact=True)

    def enter_pressed(self) -> None:
        """Take what is there."""
        if text := self.query_one(Input).value.strip():
            self.dismiss(text)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.enter_pressed()


class MasterKey(Dialog[bool]):
    """Asks for the vault's master key until it fits."""

    heading = "The vault's master key"
    enter = "open"

    def __init__(self, why: str, unlock: Callable[[Secret], None]) -> None:
        """`unlock` blocks and raises what is wrong."""
        super().__init__()
        self._why, self._unlock, self._aside = why, unlock, Aside(self)

    def contents(self) -> ComposeResult:
        """The field, and what was wrong."""
        yield Static(self._why, markup=False)
        yield Input(password=True, compact=True, placeholder="master key")
        yield Static("", classes="wrong", markup=False)

    def enter_pressed(self) -> None:
        """Try it."""
        field = self.query_one(Input)
        if not field.value or self._aside.is_busy("unlock"):
            return
        key, field.value = Secret(field.value), ""
        self.query_one(".wrong", Static).update(Text("trying …", "dim"))
        self._aside.do("unlock", lambda: self._unlock(key), lambda _: self.dismiss(True), self._failed)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.enter_pressed()

    def on_ended(self, event: Ended) -> None:
        """It was tried."""
        event.stop()
        event.then()

    def _failed(self, error: Exception) -> None:
        said = (
            str(error) if isinstance(error, CodexManagerError) else f"the vault cannot be read ({type(error).__name__})"
        )
        self.query_one(".wrong", Static).update(Text(f"{said}; try again"))


class NewMasterKey(Dialog[Secret]):
    """Asks twice for the master key of a vault that will be made."""

    heading = "A master key for the new vault"
    enter = "make it"

    def contents(self) -> ComposeResult:
        """Both fields."""
        yield Static(
            "This system has no keyring to keep a random key in, so choose one. Nothing opens the vault without it, so"
            " remember it well.",
            markup=False,
        )
        yield Input(password=True, compact=True, placeholder="new master key", id="first")
        yield Input(password=True, compact=True, placeholder="the same again", id="second")
        yield Static("", classes="wrong", markup=False)

    def enter_pressed(self) -> None:
        """Take it if both are the same."""
        first, second = self.query_one("#first", Input), self.query_one("#second", Input)
        if not first.value:
            first.focus()
        elif not second.value:
            second.focus()
        elif first.value != second.value:
            second.value = ""
            self.query_one(".wrong", Static).update(Text("the two are not the same; try again"))
        else:
            self.dismiss(Secret(first.value))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.enter_pressed()
