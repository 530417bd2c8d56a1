"""Accounts carried elsewhere and back: an export sealed under a passphrase, an import that is looked at before it is done.

Law: nothing leaves unsealed. An import does what was shown: if another tab or program changed the vault meanwhile, it is shown again
instead. The file and its passphrase stay in the browser's form between the two steps and are kept nowhere.
"""

import asyncio
import datetime as dt
import hashlib

from typing import Final

from codex_manager.accounts.errors import PassphraseNeededError
from codex_manager.accounts.import_plan import Wish
from codex_manager.accounts.importing import Preview
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager.proxy.web.accounts_page import AccountsBase, listing


__all__ = ["ExportAccounts", "ImportAccounts"]

WISHES: Final[dict[str, Wish]] = {"skip": "skip", "replace": "replace", "rename": "rename"}


class ImportAccounts(AccountsBase):
    """`/codex/accounts/import`."""

    in_sheet = True

    def get(self) -> None:
        """The form."""
        self.page("accounts/import.html")

    async def post(self) -> None:
        """Show what would be done; with `step=import` do it, if that is what was shown."""
        files = self.request.files.get("file", [])
        if not files or not files[0].filename:
            raise CodexManagerError(self.tr("Choose a file first."))
        data, typed = files[0].body, self.get_body_argument("passphrase", "", strip=False)
        passphrase = Secret(typed) if typed else None
        wish = WISHES.get(self.get_body_argument("wish", ""))
        preview = await asyncio.to_thread(self.web.desk.preview, data, passphrase, wish)
        mark = hashlib.sha256(hashlib.sha256(data).digest() + repr(preview).encode()).hexdigest()
        shown = self.get_body_argument("shown", "")
        if self.get_body_argument("step", "") != "import" or shown != mark:
            moved = bool(shown) and shown != mark and self.get_body_argument("step", "") == "import"
            self.page("accounts/preview.html", preview=preview, mark=mark, moved=moved)
            return
        done = await asyncio.to_thread(self.web.desk.import_, data, passphrase, wish)
        await self.changed(self._words(done), notes=done.notes)

    def _words(self, done: Preview) -> str:
        counts = {"added": len(done.added), "replaced": len(done.replaced), "skipped": len(done.skipped)}
        return self.tr("Imported: %(added)d added, %(replaced)d replaced, %(skipped)d left out.") % counts


class ExportAccounts(AccountsBase):
    """`/codex/accounts/export`. Its form is sent by the browser itself, which then saves the file.

    This is the one page from which stored keys can be had, so the token is asked for again: browsers send cookies to every port of this
    machine, and whoever listens on one of them could have come by the cookie, but not by the token.
    """

    def get(self) -> None:
        """The form."""
        self.page("accounts/export.html")

    async def post(self) -> None:
        """The sealed file."""
        typed = self.get_body_argument("passphrase", "", strip=False)
        try:
            token = self.get_body_argument("confirm", "")
            if not token.isascii() or not self.settings["is_valid_password"](
                token
            ):  # mitmweb's own compares ASCII only
                raise CodexManagerError(self.tr("That is not the token of this run."))
            if typed != self.get_body_argument("again", "", strip=False):
                raise CodexManagerError(self.tr("The two passphrases differ; nothing was exported."))
            if not typed:
                raise PassphraseNeededError(self.tr("An export needs a passphrase."))
            text = await asyncio.to_thread(self.web.desk.export, Secret(typed))
        except CodexManagerError as error:
            self.set_status(422)
            self.page("accounts/page.html", failed=error, **listing(self.web, self.tr))
            return
        today = dt.datetime.now(dt.UTC).astimezone().date().isoformat()
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="codex-manager-accounts-{today}.sealed.json"')
        self.finish(text)
