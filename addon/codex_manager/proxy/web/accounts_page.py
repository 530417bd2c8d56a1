"""The page of accounts: the table with what each is doing right now, and what can be done to one by a button.

Forms have modules of their own (accounts_form, accounts_transfer, client_keys). Law: every change goes through the desk, which
judges it; when the answer comes, the change is in force. What is pushed to open pages are the parts of a row that move by
themselves, so that nobody's focus is taken away; rows come and go only when what is stored has changed.
"""

import asyncio

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from codex_manager.accounts.key_rack import DEFAULT_CLIENT
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.web.accounts_view import Row, client_rows, rows, shape
from codex_manager.proxy.web.language import Language
from codex_manager.proxy.web.page import Page
from codex_manager.proxy.web.surroundings import Surroundings
from codex_manager.vault.errors import AccountNotFoundError


if TYPE_CHECKING:
    from codex_manager.provider.check import Finding

__all__ = [
    "ID", "AccountSheet", "Accounts", "AccountsBase", "AccountsList", "AskUsage", "Automatic", "CheckKey", "Disable", "Enable", "Remove",
    "Switch", "listing", "topics",
]  # fmt: skip

ID = r"([0-9a-f-]{36})"
"""An account's or a key's id in an address."""
TOPIC, LIST_TOPIC = "accounts", "accounts-list"


def listing(web: Surroundings, tr: Callable[[str], str]) -> dict[str, Any]:
    """What the templates of the list are told."""
    runtime, status = web.runtime, web.runtime.status()
    stored, keys = runtime.accounts, runtime.client_keys
    spent = web.runtime.engine.state.spending.spent
    shown = [] if stored is None else rows(stored, runtime.pinned, status, spent, tr)
    return {
        "locked": stored is None,
        "rows": shown,
        "switched": next((row for row in shown if row.data["switched_to"]), None),
        "status": status,
        "warn_at": status["warn_at"],
        "clients": client_rows(keys, spent, tr, DEFAULT_CLIENT),
        "shape": shape(stored, runtime.pinned, keys),
        "metering": runtime.records(),
    }


def topics(web: Surroundings) -> None:
    """Tell the hub what to push."""

    def moving(language: Language) -> dict[str, str]:
        told = listing(web, language.phrase)
        parts = {row.id: language.render("accounts/moving_row.html", {"row": row} | told) for row in told["rows"]}
        return parts | {"": language.render("accounts/moving.html", told)}

    def stored(language: Language) -> str:
        runtime = web.runtime
        now = shape(runtime.accounts, runtime.pinned, runtime.client_keys)
        return language.render("accounts/changed.html", {"shape": now})

    web.hub.topic(TOPIC, moving)
    web.hub.topic(LIST_TOPIC, stored)


class AccountsBase(Page):
    """What handlers of this page share."""

    section = "accounts"
    in_sheet: ClassVar[bool] = False
    """Asked from the dialog, so that is where a failure is told: what is behind it cannot be read."""

    def row(self, account_id: str) -> Row:
        """The account as it is shown.

        Raises:
            AccountNotFoundError: it was removed meanwhile.
        """
        shown: list[Row] = listing(self.web, self.language.phrase)["rows"]
        found = next((row for row in shown if row.id == account_id), None)
        if found is None:
            raise AccountNotFoundError("removed meanwhile")
        return found

    async def in_force(self) -> None:
        """What was changed is taken over, and open pages hear of it."""
        await self.web.runtime.reload()
        self.web.hub.hurry(TOPIC, LIST_TOPIC)

    async def changed(self, text: str, *, kind: str = "good", notes: tuple[str, ...] = ()) -> None:
        """The change is taken over, the list is shown anew, the dialog closed, and said what was done."""
        await self.in_force()
        self.set_header("HX-Trigger", "sheet-done")
        self.set_header("HX-Retarget", "#accounts")
        self.set_header("HX-Reswap", "outerHTML")
        hint = "; ".join(notes) or None
        self.finish(
            self.fragment("accounts/list.html", **listing(self.web, self.language.phrase))
            + self.done(text, kind=kind, hint=hint)
        )

    def told(self, text: str, *, kind: str, hint: str | None = None) -> None:
        """A sentence in the dialog, which stays open."""
        self.set_header("HX-Retarget", "#sheet-notes")
        self.set_header("HX-Reswap", "innerHTML")
        self.page("note.html", kind=kind, text=text, hint=hint)

    def problem(self, error: CodexManagerError, status: int = 422) -> None:
        """Where whoever asked can read it."""
        if isinstance(error, AccountNotFoundError):  # which one, the reader knows
            error = AccountNotFoundError(self.tr("This account is not there any more: it was removed elsewhere."))
        if self.in_sheet:
            self.set_status(status)
            self.told(str(error), kind="bad", hint=error.hint)
        else:
            super().problem(error, status)


class Accounts(AccountsBase):
    """`/codex/accounts`."""

    def get(self) -> None:
        """The whole page."""
        self.page("accounts/page.html", failed=None, **listing(self.web, self.language.phrase))


class AccountsList(AccountsBase):
    """The list alone, for a page whose own is not what is stored any more."""

    def get(self) -> None:
        """Nothing, when it is."""
        told = listing(self.web, self.language.phrase)
        if self.get_query_argument("shape", "") == told["shape"]:
            self.set_status(204)
        else:
            self.page("accounts/list.html", **told)


class AccountSheet(AccountsBase):
    """All about one account, in a dialog."""

    def get(self, account_id: str) -> None:
        """As it is now."""
        self.page("accounts/account.html", row=self.row(account_id), warn_at=self.web.runtime.config.metering.warn_at)


class Enable(AccountsBase):
    """Let an account serve."""

    on: ClassVar[bool] = True

    async def post(self, account_id: str) -> None:
        """By the desk."""
        account = await asyncio.to_thread(self.web.desk.enable, account_id, self.on)
        words = self.tr("%(label)s can serve.") if self.on else self.tr("%(label)s does not serve any more.")
        await self.changed(words % {"label": account.label})


class Disable(Enable):
    """Keep it from serving."""

    on = False


class Switch(AccountsBase):
    """Send everything to one account."""

    async def post(self, account_id: str) -> None:
        """By the desk."""
        account = await asyncio.to_thread(self.web.desk.switch, account_id)
        assert account is not None
        words, kind = self.tr("Everything goes to %(label)s from now on."), "good"
        if not account.enabled:
            words, kind = (
                self.tr("Everything goes to %(label)s from now on, but it is disabled: nothing is served."),
                "warn",
            )
        await self.changed(words % {"label": account.label}, kind=kind)


class Automatic(AccountsBase):
    """Let the strategy choose again."""

    async def post(self) -> None:
        """By the desk."""
        await asyncio.to_thread(self.web.desk.switch, None)
        words = self.tr("The strategy (%(strategy)s) chooses again.")
        await self.changed(words % {"strategy": self.web.runtime.config.routing.strategy})


class Remove(AccountsBase):
    """Take an account and its keys out of the vault."""

    in_sheet = True

    def get(self, account_id: str) -> None:
        """The question."""
        self.page("accounts/remove.html", row=self.row(account_id))

    async def post(self, account_id: str) -> None:
        """By the desk, once the label was typed."""
        row = self.row(account_id)
        if self.get_body_argument("label", "").strip().casefold() != row.label.casefold():
            raise CodexManagerError(self.tr("That is not its label; nothing was removed."))
        account = await asyncio.to_thread(self.web.desk.remove, account_id)
        await self.changed(self.tr("%(label)s was removed, with its keys.") % {"label": account.label})


class CheckKey(AccountsBase):
    """Ask OpenAI whether a stored key is good."""

    in_sheet = True

    async def post(self, account_id: str) -> None:
        """Five seconds at most."""
        finding = await asyncio.to_thread(self.web.desk.check, account_id)
        text, kind = self._words(finding)
        self.told(text, kind=kind, hint=finding.detail or None)

    def _words(self, finding: "Finding") -> tuple[str, str]:
        match finding.verdict:
            case "good":
                owner = finding.organization
                words = self.tr("OpenAI accepts the key.")
                return f"{words} {self.tr('It belongs to %(owner)s.') % {'owner': owner}}" if owner else words, "good"
            case "refused":
                return self.tr("OpenAI refuses the key."), "bad"
            case "limited":
                return self.tr("OpenAI knows the key but would not serve it right now."), "warn"
        return self.tr("OpenAI could not be asked."), "warn"


class AskUsage(AccountsBase):
    """Ask OpenAI what an account has spent."""

    in_sheet = True

    async def post(self, account_id: str) -> None:
        """A minute at most; limits are held against the answer from then on."""
        row = self.row(account_id)
        snapshot = await self.web.runtime.ask_usage(account_id)
        if snapshot is None:
            raise CodexManagerError(self.tr("This account is not in use, so it was not asked about."))
        self.web.hub.hurry(TOPIC)
        kind = "good" if snapshot.ok and not snapshot.error else "warn"
        self.set_header("HX-Retarget", "#sheet-notes")
        self.set_header("HX-Reswap", "innerHTML")
        self.page("accounts/usage.html", row=row, snapshot=snapshot, kind=kind)
