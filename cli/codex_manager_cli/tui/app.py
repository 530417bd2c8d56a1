"""The application: which view is seen, when each is asked for, and what is done at a person's wish.

Law: the loop never waits. Whatever blocks is done aside, never twice at a time under one name; what comes back is shown, and
what went wrong is said in a sentence where it can be read.
"""

import os
import time

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from codex_manager.accounts.desk import Done
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import mask_keys
from codex_manager_cli.tui.account_form import AccountForm
from codex_manager_cli.tui.account_page import account_page
from codex_manager_cli.tui.aside import Aside, Ended
from codex_manager_cli.tui.bars import KeyBar, Line, Tabs, standing
from codex_manager_cli.tui.deeds import Deeds
from codex_manager_cli.tui.dialogs import AskText, Choose, MasterKey, YesNo
from codex_manager_cli.tui.help import help_page
from codex_manager_cli.tui.source import AccountLine, Snapshot, Source
from codex_manager_cli.tui.story import TextPage
from codex_manager_cli.tui.theme import DARK, LIGHT, THEMES, theme_for
from codex_manager_cli.tui.view import View
from codex_manager_cli.tui.views.accounts import Accounts
from codex_manager_cli.tui.views.live import Live
from codex_manager_cli.tui.views.log import Log
from codex_manager_cli.tui.views.routing import RoutingView
from codex_manager_cli.tui.views.usage import Usage


__all__ = ["STRATEGIES", "Manager"]

LOOK_S: Final = 1.0
"""How often it is asked how it goes."""
TICK_S: Final = 0.25
OPENING_S: Final = 0.3
"""What a form needs to be there; on a slow machine."""
STRATEGIES: Final = (
    ("least_utilized", "the account with most room left"),
    ("round_robin", "each in turn, by weight"),
    ("priority", "the highest priority that can serve"),
    ("sticky", "a conversation stays with its account"),
)


class Page(Screen[None], inherit_bindings=False):
    """The one below all dialogs: here Tab is for views, not for fields."""


class Manager(App[None]):
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
        super().__init__()
        self.source, self.deeds = source, deeds
        self.snapshot: Snapshot | None = None
        self.views: tuple[View, ...] = (Live(), Accounts(), RoutingView(), Usage(), Log())
        self._shown = 0
        self._opens_until = 0.0
        self._tabs, self._standing, self._keys = Tabs(), Line(id="standing"), KeyBar()
        self._switcher = ContentSwitcher(initial=self.views[0].id)
        self._filter = Input(id="filter", placeholder="words that must occur; !word must not", compact=True)
        self._aside = Aside(self)
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
        self._standing.write([(_sentence(error), "bad")])

    def _ask_failed(self, view: View, error: Exception) -> None:
        view.head.write([(_sentence(error), "bad")])

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
            lambda error: told(Text(_sentence(error), "red")),
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

    # Accounts --------------------------------------------------------------------------------------------------------

    def add_account(self) -> None:
        """A form for a new one."""

        def save(values: Mapping[str, object], online: bool) -> Done:
            return self.deeds.add(values, online=online)

        self._with_vault(
            lambda: self.push_screen(AccountForm(save, self.deeds.keyholder.choose), self._saved("added")), opens=True
        )

    def edit_account(self, account_id: str) -> None:
        """A form for one that is there."""

        def save(values: Mapping[str, object], online: bool) -> Done:
            return self.deeds.edit(account_id, values, online=online)

        def form(known: Mapping[str, Any]) -> None:
            self.push_screen(AccountForm(save, self.deeds.keyholder.choose, known), self._saved("changed"))

        self._with_vault(lambda: self._do("edit", lambda: self.deeds.public(account_id), form), opens=True)

    def enable_account(self, account: AccountLine, *, on: bool) -> None:
        """Let it serve, or keep it from serving."""
        self._with_vault(lambda: self._do("enable", lambda: self.deeds.enable(account.id, on=on), self._said))

    def switch_to(self, account: AccountLine) -> None:
        """Send everything there; if everything goes there already, let the strategy choose again."""

        def switch() -> str:
            return self.deeds.switch(None if self.deeds.pinned() == account.id else account.id)

        self._with_vault(lambda: self._do("switch", switch, self._said))

    def remove_account(self, account: AccountLine) -> None:
        """Take it out of the vault, after a question."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._do("remove", lambda: self.deeds.remove(account.id), self._said)

        question = f"{account.label!r} and its key are taken out of the vault. What it has used stays in the ledger."
        self._with_vault(
            lambda: self.push_screen(YesNo(f"Delete {account.label}?", question, "delete it"), answered), opens=True
        )

    def check_key(self, account: AccountLine) -> None:
        """Ask OpenAI whether its key is good."""

        def told(said: tuple[str, bool]) -> None:
            self._said(said[0], severity="information" if said[1] else "warning")

        self._with_vault(
            lambda: self._do(
                "check",
                lambda: self.deeds.check(account.id),
                told,
                saying=f"asking OpenAI about the key of {account.label!r} …",
            )
        )

    def ask_openai(self) -> None:
        """Ask what was spent."""

        def told(lines: list[str]) -> None:
            self._said("\n".join(lines) or "there is no account to ask about")

        self._with_vault(
            lambda: self._do("refresh", self.deeds.ask_openai, told, saying="asking OpenAI what was spent …")
        )

    def _saved(self, verb: str) -> Callable[[Done | None], None]:
        def saved(done: Done | None) -> None:
            if done is not None:
                self._said("\n".join([f"{verb} {done.account.label!r}", *done.notes]))

        return saved

    # The rest --------------------------------------------------------------------------------------------------------

    def choose_strategy(self) -> None:
        """Have requests go by another one."""
        now = self.snapshot.strategy if self.snapshot is not None else ""

        def chosen(name: str | None) -> None:
            if name and name != now:
                self._do("strategy", lambda: self.deeds.strategy(name), self._said)

        self.push_screen(Choose("Strategy", STRATEGIES, now), chosen)

    def action_unlock(self) -> None:
        """Ask for the vault's key, if it is not open."""
        if self.snapshot is not None and self.snapshot.vault == "open":
            self._said("the vault is open")
        else:
            self._with_vault(
                lambda: self._said(
                    "the vault is open"
                    if self.snapshot is not None and self.snapshot.vault != "missing"
                    else "there is no vault yet; adding an account makes it"
                )
            )

    def action_start(self) -> None:
        """Start the proxy in the background."""
        if self.snapshot is not None and self.snapshot.proxy is not None:
            self._said(f"a proxy runs at {self.snapshot.proxy.address}")
            return

        def start() -> None:
            self._do("proxy", self.deeds.start, self._said, saying="starting the proxy …")

        if self.snapshot is not None and self.snapshot.vault == "closed":
            self._with_vault(start)  # it would ask for the key, too
        else:
            start()

    def action_stop(self) -> None:
        """Stop it, after a question."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._do("proxy", self.deeds.stop, self._said, saying="stopping the proxy …")

        question = "Requests under way may finish, for ten seconds at most. Programs that use it find nobody then."
        self.push_screen(YesNo("Stop the proxy?", question, "stop it"), answered)

    def action_restart(self) -> None:
        """Start it again."""
        self._do("proxy", self.deeds.restart, self._said, saying="starting the proxy again …")

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

    @property
    def is_opening(self) -> bool:
        """Whether a key was pressed a moment ago that opens a form or a question, which is not there yet."""
        return time.monotonic() < self._opens_until and self.screen is self.screen_stack[0]

    def _with_vault(self, then: Callable[[], object], *, opens: bool = False) -> None:
        """Do it once the vault is open; a person is asked for its key where that is needed. `opens`: it opens a form."""
        keyholder = self.deeds.keyholder
        if opens or (self.snapshot is not None and self.snapshot.vault in {"closed", "locked"}):
            self._opens_until = time.monotonic() + OPENING_S

        def looked(told: tuple[str, str]) -> None:
            state, why = told
            if state == "broken":
                self._said(why, severity="error")
            elif state in {"closed", "locked"}:
                words = (
                    f"{why[:1].upper()}{why[1:]}."
                    if state == "locked"
                    else "It is asked for once, and kept while this page is open."
                )
                self.push_screen(
                    MasterKey(words, keyholder.unlock), lambda opened: self._opened(then) if opened else None
                )
            else:
                then()

        self._do("vault", keyholder.look, looked)

    def _opened(self, then: Callable[[], object]) -> None:
        self._due.pop("", None)
        self._tick()
        then()

    def _do[T](self, name: str, work: Callable[[], T], then: Callable[[T], object], *, saying: str = "") -> None:
        """Do it aside, then look how it goes at once."""

        def over(value: T) -> None:
            self._due.pop("", None)
            if saying:
                self.clear_notifications()
            then(value)

        def failed(error: Exception) -> None:
            if saying:
                self.clear_notifications()
            hint = getattr(error, "hint", None) if isinstance(error, CodexManagerError) else None
            self._said(_sentence(error) + (f"\n{hint}" if hint else ""), severity="error")

        if not self._aside.do(f"do-{name}", work, over, failed):
            self._said("that is being done still")
        elif saying:
            self._said(saying)

    def _said(self, words: str, *, severity: Any = "information") -> None:
        self.notify(mask_keys(words), severity=severity, timeout=10 if severity == "error" else 5, markup=False)


def _sentence(error: Exception) -> str:
    """What went wrong; of what nobody expected only its kind, for its words may hold a secret."""
    return str(error) if isinstance(error, CodexManagerError) else f"something went wrong here ({type(error).__name__})"


def _unmarked(label: str) -> str:
    """As it may stand where textual reads markup, which only the list of commands does."""
    return label.replace("[", "(").replace("]", ")")
