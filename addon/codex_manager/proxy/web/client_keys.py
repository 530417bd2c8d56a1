"""Local keys for clients, on the page of accounts: made and shown once, limited, revoked. A key goes by its client's name.

Law: a key is in one answer, the one to the request that made it, and is kept by nobody but who reads it there.
"""

import asyncio
import json

from typing import Final

from codex_manager.accounts.key_rack import KeyRack
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.local_keys import LocalKey
from codex_manager.proxy.web.accounts_page import AccountsBase
from codex_manager.proxy.web.fields_form import FieldsForm, changed_only
from codex_manager.vault.errors import ClientKeyNotFoundError


__all__ = ["AddKey", "EditKey", "RevokeKey"]

LIMITS: Final = ("models", "daily_limit_usd", "monthly_limit_usd")


class KeysBase(AccountsBase):
    """What the three share."""

    @property
    def rack(self) -> KeyRack:
        return KeyRack(self.web.runtime.open_vault)

    def key(self, name: str) -> LocalKey:
        """The key of this client.

        Raises:
            CodexManagerError: it was revoked meanwhile.
        """
        found = next((key for key in self.web.runtime.client_keys if key.name == name), None)
        if found is None:
            raise CodexManagerError(self.tr("This key is not there any more: it was revoked elsewhere."))
        return found

    def problem(self, error: CodexManagerError, status: int = 422) -> None:
        """The vault's own words about a missing key list all others."""
        if isinstance(error, ClientKeyNotFoundError):
            error = CodexManagerError(self.tr("This key is not there any more: it was revoked elsewhere."))
        super().problem(error, status)


class AddKey(FieldsForm, KeysBase):
    """`/codex/keys/new`."""

    fields = ("name", *LIMITS)

    def get(self) -> None:
        """An empty form."""
        self.page("accounts/key_form.html", name=None, values=dict.fromkeys(self.fields, ""), was="{}")

    async def post(self) -> None:
        """Make it, and show it this once."""
        key, secret = await asyncio.to_thread(self.rack.add, self.values(self.fields))
        await self.in_force()
        self.set_header("HX-Retarget", "#sheet")
        self.page("accounts/key_made.html", name=key.name, key=secret.reveal())


class EditKey(FieldsForm, KeysBase):
    """`/codex/keys/edit?name=`."""

    fields = LIMITS

    def get(self) -> None:
        """What it may do now."""
        key = self.key(self.get_query_argument("name", ""))
        values = {
            "models": ", ".join(key.models),
            "daily_limit_usd": _as_text(key.daily_limit_usd),
            "monthly_limit_usd": _as_text(key.monthly_limit_usd),
        }
        self.page("accounts/key_form.html", name=key.name, values=values, was=json.dumps(values))

    async def post(self) -> None:
        """Change what was changed in the form; the key itself stays good."""
        name = self.get_body_argument("name", "", strip=False)
        changes = changed_only(self.values(LIMITS), self.get_body_argument("was", "", strip=False))
        key = await asyncio.to_thread(self.rack.edit, name, changes)
        await self.changed(self.tr("What the key of %(name)s may do was changed.") % {"name": key.name})


class RevokeKey(KeysBase):
    """`/codex/keys/revoke?name=`."""

    in_sheet = True

    def get(self) -> None:
        """The question."""
        self.page("accounts/key_revoke.html", name=self.key(self.get_query_argument("name", "")).name)

    async def post(self) -> None:
        """End it."""
        name = self.get_body_argument("name", "", strip=False)
        key = await asyncio.to_thread(self.rack.revoke, name)
        await self.changed(self.tr("The key of %(name)s is refused from now on.") % {"name": key.name})


def _as_text(limit: float | None) -> str:
    return "" if limit is None else f"{limit:.12g}"
