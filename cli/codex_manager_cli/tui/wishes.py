"""What a person wishes: forms and questions opened, deeds done beside the loop, and what became of them said.

Law: a deed is never done twice at a time; where the vault's key is needed a person is asked for it, once; what nobody expected is told by
its kind only, for its words may hold a secret.
"""

import time

from collections.abc import Callable, Mapping
from typing import Any, Final

from textual.app import App

from codex_manager.accounts.desk import Done
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import mask_keys
from codex_manager_cli.tui.account_form import AccountForm
from codex_manager_cli.tui.aside import Aside
from codex_manager_cli.tui.deeds import Deeds
from codex_manager_cli.tui.dialogs import Choose, MasterKey, YesNo
from codex_manager_cli.tui.source import AccountLine, Snapshot


__all__ = ["STRATEGIES", "Wishes", "sentence"]

OPENING_S: Final = 0.3
"""What a form needs to be there; on a slow machine."""
STRATEGIES: Final = (
    ("least_utilized", "the account with most room left"),
    ("round_robin", "each in turn, by weight"),
    ("priority", "the highest priority that can serve"),
    ("sticky", "a conversation stays with its account"),
)


class Wishes(App[None]):
    """Mutable state: the last snapshot, what is under way, and until when a form may be opening."""

    def __init__(self, deeds: Deeds) -> None:
        super().__init__()
        self.deeds = deeds
        self.snapshot: Snapshot | None = None
        self._aside = Aside(self)
        self._opens_until = 0.0

    def look_again(self) -> None:
        """Something is other than it was."""

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
        self.look_again()
        then()

    def _do[T](self, name: str, work: Callable[[], T], then: Callable[[T], object], *, saying: str = "") -> None:
        """Do it aside, then look how it goes at once."""

        def over(value: T) -> None:
            self.look_again()
            if saying:
                self.clear_notifications()
            then(value)

        def failed(error: Exception) -> None:
            if saying:
                self.clear_notifications()
            hint = getattr(error, "hint", None) if isinstance(error, CodexManagerError) else None
            self._said(sentence(error) + (f"\n{hint}" if hint else ""), severity="error")

        if not self._aside.do(f"do-{name}", work, over, failed):
            self._said("that is being done still")
        elif saying:
            self._said(saying)

    def _said(self, words: str, *, severity: Any = "information") -> None:
        self.notify(mask_keys(words), severity=severity, timeout=10 if severity == "error" else 5, markup=False)


def sentence(error: Exception) -> str:
    """What went wrong; of what nobody expected only its kind, for its words may hold a secret."""
    return str(error) if isinstance(error, CodexManagerError) else f"something went wrong here ({type(error).__name__})"
