"""One account as a form: a new one, or one that is there. Every mistake stands beside its field, and nothing is lost by one.

Law: a stored key is never shown, not even as dots; a field for one that is left empty means the one that is stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Checkbox, Input, Static

from codex_manager.accounts.desk import Done
from codex_manager.accounts.errors import AccountError, FieldsError
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import NoMasterKeyError
from codex_manager_cli.tui.aside import Aside, Ended
from codex_manager_cli.tui.dialogs import Dialog, NewMasterKey


__all__ = ["AccountForm"]

type Save = Callable[[Mapping[str, object], bool], Done]
"""Blocks; given the values and whether OpenAI is to be asked; raises what is wrong."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form."""

    name: str
    title: str
    hint: str = ""
    is_secret: bool = False


FIELDS: Final = (
    Field("label", "label", "such as work"),
    Field("api_key", "API key", "sk-…", is_secret=True),
    Field("priority", "priority", "0; higher is preferred by `priority`"),
    Field("weight", "weight", "1; share of the turns"),
    Field("daily_limit_usd", "daily limit", "dollars; none"),
    Field("monthly_limit_usd", "monthly limit", "dollars; none"),
    Field("models", "models", "all; such as gpt-5*, !gpt-5-pro"),
    Field("organization", "organization", "org-…"),
    Field("project", "project", "proj_…"),
    Field("base_url", "base URL", "OpenAI's own"),
    Field("admin_key", "admin key", "sk-admin-…; reads what was spent", is_secret=True),
    Field("tags", "tags", "separated by commas"),
    Field("notes", "notes"),
)
FORGET: Final = "none"
"""Typed for an admin key: forget the one that is stored."""


class AccountForm(Dialog[Done]):
    """Mutable state: the form's own fields, and whether something is being saved."""

    enter = "save"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel"),
        Binding("ctrl+s", "save", "save"),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    AccountForm > Vertical { width: 76; }
    AccountForm VerticalScroll { height: auto; max-height: 1fr; scrollbar-size-vertical: 1; }
    AccountForm .row { height: 1; }
    AccountForm .name { width: 15; color: $text-muted; }
    AccountForm .row Input { width: 1fr; }
    AccountForm .beside { color: $text-error; padding-left: 15; display: none; }
    AccountForm Checkbox { border: none; padding: 0; height: 1; background: $surface; margin-left: 15; }
    AccountForm Checkbox:focus { border: none; background: $boost; }
    AccountForm #said { margin-top: 0; }
    """

    def __init__(self, save: Save, choose: Callable[[Secret], None], known: Mapping[str, Any] | None = None) -> None:
        """`choose` takes the master key of a vault that is made on the way; `known` is the account as programs may see it
        (accounts.public), when it is there already.
        """
        super().__init__()
        self._save, self._choose, self._known = save, choose, known
        self._first = {each.name: "" if known is None else _text(known, each) for each in FIELDS}
        self._aside = Aside(self)
        self._warned = False
        self.heading = "Add an account" if known is None else f"Edit {known['label']}"

    def contents(self) -> ComposeResult:
        """A line for each field, then what can be ticked."""
        with VerticalScroll(can_focus=False):
            for each in FIELDS:
                with Horizontal(classes="row"):
                    yield Static(each.title, classes="name", markup=False)
                    yield Input(
                        value=self._first[each.name], placeholder=self._placeholder(each), password=each.is_secret, compact=True,
                        id=f"field-{each.name}", select_on_focus=False,
                    )  # fmt: skip
                yield Static("", classes="beside", id=f"wrong-{each.name}", markup=False)
            yield Checkbox("serves", value=bool(self._known is None or self._known["enabled"]), id="enabled")
            yield Checkbox("ask OpenAI whether a new key is good", value=True, id="online")
        yield Static("", id="said", markup=False)

    def keys(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """How to move is said, too."""
        return super().keys()[0], [("↑ ↓ Tab move", "dim")]

    def begin(self) -> None:
        """With the first field; of an account that is there with what is changed most."""
        self.query_one(f"#field-{'label' if self._known is None else 'priority'}", Input).focus()

    def action_cancel(self) -> None:
        """Leave it; what was typed is given up at the second time only."""
        if self._changes() and not self._warned:
            self._warned = True
            self._say("not saved yet: Esc again gives it up", "yellow")
            return
        self.dismiss(None)

    def action_save(self) -> None:
        """Save it, if it can be."""
        if self._aside.is_busy("save"):
            return
        values, online = self._changes(), self.query_one("#online", Checkbox).value
        if self._known is not None and not values:
            self.dismiss(None)
            return
        asks = online and "api_key" in values
        self._say("asking OpenAI about the key …" if asks else "saving …", "dim")
        self._aside.do("save", lambda: self._save(values, online), self.dismiss, self._failed)

    def enter_pressed(self) -> None:
        """Save."""
        self.action_save()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_save()

    def on_ended(self, event: Ended) -> None:
        """It was tried."""
        event.stop()
        event.then()

    def _changes(self) -> dict[str, object]:
        """What is to be stored: all that was given of a new account, of another only what is different."""
        values: dict[str, object] = {}
        for each in FIELDS:
            text = self.query_one(f"#field-{each.name}", Input).value
            if text == self._first[each.name]:
                continue
            values[each.name] = "" if each.name == "admin_key" and text.strip() == FORGET else text
        enabled = self.query_one("#enabled", Checkbox).value
        if enabled != (self._known is None or self._known["enabled"]):
            values["enabled"] = enabled
        return values

    def _failed(self, error: Exception) -> None:
        if isinstance(error, NoMasterKeyError) and self._known is None:
            self._say("", "dim")
            self.app.push_screen(NewMasterKey(), self._chosen)
            return
        for mark in self.query(".beside"):
            mark.display = False
        wrong = dict(error.fields) if isinstance(error, FieldsError) else {}
        if isinstance(error, AccountError) and error.field:
            wrong[error.field] = str(error)
        shown = [name for name in (each.name for each in FIELDS) if name in wrong]
        for name in shown:
            mark = self.query_one(f"#wrong-{name}", Static)
            mark.update(Text(wrong[name]))
            mark.display = True
        if shown:
            self.query_one(f"#field-{shown[0]}", Input).focus()
        if not isinstance(error, CodexManagerError):
            self._say(f"it could not be saved ({type(error).__name__})", "red")
            return
        self._say(
            "\n".join(part for part in ("" if shown else str(error), error.hint) if part), "red" if not shown else "dim"
        )

    def _chosen(self, key: Secret | None) -> None:
        """Once more, with a key for the vault."""
        if key is not None:
            self._choose(key)
            self.action_save()

    def _say(self, words: str, style: str) -> None:
        self.query_one("#said", Static).update(Text(words, style))

    def _placeholder(self, field: Field) -> str:
        if self._known is None:
            return field.hint
        if field.name == "api_key":
            return f"{self._known['key']} is kept; type another to change it"
        if field.name == "admin_key" and self._known["admin_key"]:
            return f"{self._known['admin_key']} is kept; {FORGET} forgets it"
        return field.hint


def _text(known: Mapping[str, Any], field: Field) -> str:
    """A field as it is typed."""
    value = None if field.is_secret else known[field.name]
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
