"""Adding an account and changing one: a form in the dialog, judged by the desk.

Law: a key goes in and never comes out; an empty key field means the one that is stored. Only fields that were changed in this form
are sent on, so two people who change different fields of one account do not undo each other's.
"""

import asyncio
import json

from typing import Any, Final

from codex_manager.proxy.web.accounts_view import Row
from codex_manager.proxy.web.fields_form import FieldsForm, changed_only


__all__ = ["AddAccount", "EditAccount"]

SHOWN: Final = (
    "label", "organization", "project", "base_url", "models", "daily_limit_usd", "monthly_limit_usd", "priority", "weight", "tags",
    "notes", "enabled",
)  # fmt: skip
"""Fields whose values stand in the form."""
SECRET: Final = ("api_key", "admin_key")


class AccountForm(FieldsForm):
    """Both of them."""

    fields = SHOWN[:-1] + SECRET

    def sent(self) -> dict[str, str]:
        """The form; a checkbox that is off is not sent by browsers."""
        return self.values(SHOWN[:-1]) | {"enabled": "true" if self.get_body_argument("enabled", "") else "false"}

    @property
    def online(self) -> bool:
        """Whether OpenAI is to be asked about the key first."""
        return bool(self.get_body_argument("check", ""))


class AddAccount(AccountForm):
    """`/codex/accounts/new`."""

    def get(self) -> None:
        """An empty form."""
        empty = dict.fromkeys(SHOWN, "") | {"enabled": "true"}
        self.page("accounts/form.html", row=None, values=empty, was="{}")

    async def post(self) -> None:
        """Store it, after OpenAI was asked about the key if that is wanted."""
        values = {name: text for name, text in (self.sent() | self.values(SECRET)).items() if text.strip()}
        done = await asyncio.to_thread(self.web.desk.add, values, online=self.online)
        await self.changed(self.tr("%(label)s was added.") % {"label": done.account.label}, notes=done.notes)


class EditAccount(AccountForm):
    """`/codex/accounts/ID/edit`."""

    def get(self, account_id: str) -> None:
        """The form with what is stored, but for keys."""
        row = self.row(account_id)
        values = _as_texts(row)
        self.page("accounts/form.html", row=row, values=values, was=json.dumps(values))

    async def post(self, account_id: str) -> None:
        """Change what was changed in the form."""
        changes = changed_only(self.sent(), self.get_body_argument("was", "", strip=False))
        changes |= {name: text for name, text in self.values(SECRET).items() if text.strip()}
        if self.get_body_argument("forget_admin_key", ""):
            changes["admin_key"] = ""
        done = await asyncio.to_thread(self.web.desk.edit, account_id, changes, online=self.online)
        words = self.tr("%(label)s was changed.") if changes else self.tr("Nothing was changed in %(label)s.")
        await self.changed(words % {"label": done.account.label}, notes=done.notes)


def _as_texts(row: Row) -> dict[str, str]:
    """The fields as a form shows them."""
    return {name: _as_text(row.data[name]) for name in SHOWN}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
