"""The application: which view is seen, when each is asked for, and what lies over them.

Law: the loop never waits. Whatever blocks is done aside, never twice at a time under one name; what comes back is shown, and
what went wrong is said in a sentence where it can be read.
"""

import os
import time

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from codex_manager_cli.tui.account_page import account_page
from codex_manager_cli.tui.aside import Ended
from codex_manager_cli.tui.bars import KeyBar, Line, Tabs, standing
from codex_manager_cli.tui.deeds import Deeds
from codex_manager_cli.tui.dialogs import AskText
from codex_manager_cli.tui.help import help_page
from codex_manager_cli.tui.source import Snapshot, Source
from codex_manager_cli.tui.story import TextPage
from codex_manager_cli.tui.theme import DARK, LIGHT, THEMES, theme_for
from codex_manager_cli.tui.view import View
from codex_manager_cli.tui.views.accounts import Accounts
from codex_manager_cli.tui.views.live import Live
from codex_manager_cli.tui.views.log import Log
from codex_manager_cli.tui.views.routing import RoutingView
from codex_manager_cli.tui.views.usage import Usage
from codex_manager_cli.tui.wishes import Wishes, sentence


__all__ = ["Manager"]

LOOK_S: Final = 1.0
"""How often it is asked how it goes."""
TICK_S: Final = 0.25


class Page(Screen[None], inherit_bindings=False):
    """The one below all dialogs: here Tab is for views, not for fields."""


class Manager(Wishes):
    """Mutable state: the last snapshot, and when each thing was asked for last."""

    TITLE = "codex-manager"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"view({number - 1})", f"view {number}", show=False) for number in range(1, 6)),
        Binding("tab,right", "turn(1)", "next view"),
        Binding("shift+tab,left", "turn(-1)", "view before"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "unfilter", "take the filter away"),
        Binding("question_mark,f1", "help", "help"),
        Binding("colon,ctrl+p", "command_palette", "commands"),
        Binding("S", "start", "start the proxy"),
        Binding("u", "unlock", "open the vault"),
        Binding("ctrl+l", "redraw", "draw again"),
        Binding("ctrl+t", "light", "light or dark"),
        Binding("q,ctrl+c", "quit", "quit"),
    ]
    CSS = """
    Page { background: $background; }
    #standing { background: $surface; }
    ContentSwitcher { height: 1fr; }
    #filter { display: none; height: 1; border: none; background: $boost; padding: 0 1; }
    #filter.open { display: block; }
    Toast { max-width: 70; }
    """

    def __init__(
        self, source: Source, deeds: Deeds, *, theme: str = "system", environ: Mapping[str, str] = os.environ
    ) -> None:
        super().__init__(deeds)
        self.source = source
        self.views: tuple[View, ...] = (Live(), Accounts(), RoutingView(), Usage(), Log())
        self._shown = 0
        self._tabs, self._standing, self._keys = Tabs(), Line(id="standing"), KeyBar()
        self._switcher = ContentSwitcher(initial=self.views[0].id)
        self._filter = Input(id="filter", placeholder="words that must occur; !word must not", compact=True)
        self._due: dict[str, float] = {}
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme_for(theme, environ)

    def get_default_screen(self) -> Screen[None]:
        """Ours."""
        return Page()

    # What is seen ----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Two lines, the view, the filter, the keys."""
        yield self._tabs
        yield self._standing
        with self._switcher:
            yield from self.views
        yield self._filter
        yield self._keys

    @property
    def view(self) -> View:
        """The one that is seen."""
        return self.views[self._shown]

    def on_mount(self) -> None:
        """Look at once, then again and again."""
        self._dress()
        self.view.grid.focus()
        self.set_interval(TICK_S, self._tick)
        self._tick()

    def on_resize(self) -> None:
        """What fits on the lines is another now."""
        self.call_after_refresh(self._dress)

    def action_view(self, number: int) -> None:
        """See this one."""
        self._shown = number
        self._switcher.current = self.view.id
        self._close_filter_line()
        self.view.grid.focus()
        self._dress()
        self.ask_again()

    def action_turn(self, by: int) -> None:
        """See the next one, or the one before."""
        self.action_view((self.views.index(self.view) + by) % len(self.views))

    @property
    def tones(self) -> Mapping[str, str]:
        """The colours of the theme, for pages of text."""
        colors = self.theme_variables
        named = {"good": "success", "warn": "warning", "bad": "error", "accent": "accent", "primary": "primary"}
        return {tone: colors[name].removeprefix("ansi_") for tone, name in named.items()} | {
            "dim": "dim",
            "": "",
            "faint": "bright_black",
        }

    def look_again(self) -> None:
        """How it goes is asked for at once."""
        self._due.pop("", None)
        self._tick()

    def ask_again(self) -> None:
        """Ask for what is seen at once."""
        self._due.pop(self.view.id or "", None)
        self._tick()

    def _dress(self) -> None:
        self._tabs.tell([(each.id or "", each.title) for each in self.views], self.view.id or "", self.snapshot)
        self._standing.write(standing(self.snapshot))
        keys = self.view.key_line()
        keys += [("/", "filter", "filter"), (":", "commands", "command_palette")]
        self._keys.tell(keys)

    @on(Line.Clicked)
    async def _clicked(self, event: Line.Clicked) -> None:
        """Tabs and keys can be clicked."""
        kind, _, name = event.what.partition(":")
        if kind == "view":
            self.action_view(next(i for i, each in enumerate(self.views) if each.id == name))
        else:
            await self.run_action(
                event.what, self.view if hasattr(self.view, f"action_{event.what.partition('(')[0]}") else self
            )

    # Asking ----------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._due.get("", 0.0) and self._aside.do(
            "look", self.source.snapshot, self._looked, self._look_failed
        ):
            self._due[""] = now + LOOK_S
        view = self.view
        if view.every_s is None or now < self._due.get(view.id or "", 0.0):
            return
        if self._aside.do(
            f"ask-{view.id}", lambda: view.ask(self.source), view.told, lambda error: self._ask_failed(view, error)
        ):
            self._due[view.id or ""] = now + view.every_s

    def _looked(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._dress()
        for each in self.views:
            each.glance(snapshot)

    def _look_failed(self, error: Exception) -> None:
        self._standing.write([(sentence(error), "bad")])

    def _ask_failed(self, view: View, error: Exception) -> None:
        view.head.write([(sentence(error), "bad")])

    def on_ended(self, event: Ended) -> None:
        """Something that was done aside is over."""
        event.stop()
        event.then()

    # The filter ------------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the line for it."""
        line = self._filter
        line.value = self.view.filter
        line.add_class("open")
        line.focus()

    def action_unfilter(self) -> None:
        """Take the filter away, and its line."""
        self._close_filter_line()
        if self.view.filter:
            self.view.narrow("")
        self.view.grid.focus()

    def _close_filter_line(self) -> None:
        self._filter.remove_class("open")

    @on(Input.Changed, "#filter")
    def _narrow(self, event: Input.Changed) -> None:
        if event.input.has_class("open"):
            self.view.narrow(event.value.strip())

    @on(Input.Submitted, "#filter")
    def _keep_filter(self) -> None:
        self._close_filter_line()
        self.view.grid.focus()

    # Pages -----------------------------------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Which keys there are."""
        self.push_screen(TextPage(f"{self.view.title}: keys", help_page(self.view, self.BINDINGS, self.tones)))

    def action_light(self) -> None:
        """The other of our two themes."""
        self.theme = DARK if self.theme == LIGHT else LIGHT

    def action_redraw(self) -> None:
        """Draw everything again: another program has written over it."""
        self.refresh(repaint=True, layout=True)

    def explain(self, request_id: str) -> None:
        """A page on why a request went where it went."""
        page = TextPage(f"request {request_id}", Text("looking …", "dim"))
        self.push_screen(page)
        self.tell_story(request_id, page.become)

    def tell_story(self, request_id: str, told: Callable[[Text], None]) -> None:
        """Why it went where it went; `told` gets the text."""

        def show(pages: Any) -> None:
            told(Text("\n\n\n".join(pages)) if pages else Text("it is on its way still, or was not recorded", "dim"))

        self._aside.do(
            f"story-{request_id}",
            lambda: self.source.story(request_id),
            show,
            lambda error: told(Text(sentence(error), "red")),
        )

    def ask_for_request(self) -> None:
        """Ask which one to explain."""
        words = "The id is in the answer's header X-Codex-Manager-Request-Id."
        self.push_screen(
            AskText("Explain a request", words, "id of a request"), lambda text: self.explain(text) if text else None
        )

    def show_account(self, account_id: str) -> None:
        """All about one account."""
        account = self.snapshot.account(account_id) if self.snapshot is not None else None
        if account is not None:
            self.push_screen(
                TextPage(account.label, account_page(account, self.snapshot.at if self.snapshot else 0.0, self.tones))
            )

    # By name ---------------------------------------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:  # noqa: ARG002 - textual's signature
        """What can be done, by name."""
        for number, view in enumerate(self.views):
            yield SystemCommand(
                f"View: {view.title}", f"key {number + 1}", lambda number=number: self.action_view(number)
            )
        yield SystemCommand("Add an account", "a form; its key is asked about", self.add_account)
        for account in self.snapshot.accounts if self.snapshot is not None else ():
            yield SystemCommand(
                f"Switch to {_unmarked(account.label)}",
                "send everything there, or back",
                lambda account=account: self.switch_to(account),
            )
            yield SystemCommand(
                f"Edit {_unmarked(account.label)}",
                "priority, limits, models, keys",
                lambda account=account: self.edit_account(account.id),
            )
        yield SystemCommand("Strategy", "what requests go by", self.choose_strategy)
        yield SystemCommand("Explain a request", "why it went where it went", self.ask_for_request)
        yield SystemCommand("Ask OpenAI what was spent", "for accounts with an admin key", self.ask_openai)
        if self.snapshot is not None and self.snapshot.proxy is not None:
            yield SystemCommand("Stop the proxy", "what is under way may finish", self.action_stop)
            yield SystemCommand("Restart the proxy", "such as after an upgrade", self.action_restart)
        else:
            yield SystemCommand("Start the proxy", "in the background; it stays when you quit here", self.action_start)
        yield SystemCommand("Open the vault", "asks for its master key", self.action_unlock)
        yield SystemCommand("Theme", "choose other colours, for now", self.action_change_theme)
        yield SystemCommand("Keys", "which keys there are", self.action_help)
        yield SystemCommand(
            "Screenshot", "save what is seen as SVG", lambda: self.set_timer(0.1, self.deliver_screenshot)
        )
        yield SystemCommand("Quit", "the proxy goes on", self.action_quit)


def _unmarked(label: str) -> str:
    """As it may stand where textual reads markup, which only the list of commands does."""
    return label.replace("[", "(").replace("]", ")")
