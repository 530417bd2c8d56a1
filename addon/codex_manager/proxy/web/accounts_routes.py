"""Which address is which part of the page of accounts."""

from typing import Any, Final

from codex_manager.proxy.web import accounts_page as page
from codex_manager.proxy.web.accounts_form import AddAccount, EditAccount
from codex_manager.proxy.web.accounts_page import ID
from codex_manager.proxy.web.accounts_transfer import ExportAccounts, ImportAccounts
from codex_manager.proxy.web.client_keys import AddKey, EditKey, RevokeKey


__all__ = ["ACCOUNTS"]

ACCOUNTS: Final[list[tuple[str, Any]]] = [
    (r"/codex/accounts/?", page.Accounts),
    (r"/codex/accounts/list", page.AccountsList),
    (r"/codex/accounts/automatic", page.Automatic),
    (r"/codex/accounts/new", AddAccount),
    (r"/codex/accounts/import", ImportAccounts),
    (r"/codex/accounts/export", ExportAccounts),
    (rf"/codex/accounts/{ID}", page.AccountSheet),
    (rf"/codex/accounts/{ID}/edit", EditAccount),
    (rf"/codex/accounts/{ID}/enable", page.Enable),
    (rf"/codex/accounts/{ID}/disable", page.Disable),
    (rf"/codex/accounts/{ID}/switch", page.Switch),
    (rf"/codex/accounts/{ID}/check", page.CheckKey),
    (rf"/codex/accounts/{ID}/usage", page.AskUsage),
    (rf"/codex/accounts/{ID}/remove", page.Remove),
    (r"/codex/keys/new", AddKey),
    (r"/codex/keys/edit", EditKey),
    (r"/codex/keys/revoke", RevokeKey),
]
