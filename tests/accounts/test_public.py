"""What programs see of an account: everything but its keys."""

import dataclasses
import json

from codex_manager.accounts.public import as_data
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault.store import new_account


def test_every_field_but_the_keys():
    account = new_account(
        "work", Secret("sk-work-0123456789wxyz"), admin_key=Secret("sk-admin-0123456789admn"), models=("o3",)
    )
    data = as_data(account, pinned=True)
    assert json.loads(json.dumps(data)) == data
    assert (data["key"], data["admin_key"], data["switched_to"]) == ("…wxyz", "…admn", True)
    assert set(data) - {"key", "switched_to"} == {field.name for field in dataclasses.fields(Account)} - {"api_key"}
    assert "0123456789" not in json.dumps(data)
