"""An account is a plain value whose keys do not show."""

import dataclasses

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import MASK, Secret


KEY, ADMIN = "sk-proj-this-is-the-key", "sk-admin-this-is-the-other"


@pytest.fixture
def account():
    return Account(id="1", label="work", api_key=Secret(KEY), admin_key=Secret(ADMIN))


def test_what_is_not_given_needs_no_thought():
    account = Account(id="1", label="work", api_key=Secret(KEY))
    assert dataclasses.asdict(account) == {
        "id": "1",
        "label": "work",
        "api_key": Secret(KEY),
        "organization": None,
        "project": None,
        "base_url": None,
        "models": (),
        "daily_limit_usd": None,
        "monthly_limit_usd": None,
        "priority": 0,
        "weight": 1.0,
        "enabled": True,
        "admin_key": None,
        "tags": (),
        "notes": "",
        "created_at": "",
        "updated_at": "",
        "last_used_at": None,
    }


@pytest.mark.parametrize(
    "show", [repr, str, lambda a: f"{a}", lambda a: repr(dataclasses.asdict(a)), lambda a: repr([a])]
)
def test_neither_key_shows(account, show):
    shown = show(account)
    assert shown.count(MASK) == 2
    assert KEY not in shown
    assert ADMIN not in shown


def test_a_changed_copy_leaves_the_original(account):
    changed = account.replace(label="home", priority=3)
    assert (changed.label, changed.priority, changed.api_key) == ("home", 3, account.api_key)
    assert (account.label, account.priority) == ("work", 0)


def test_a_field_that_does_not_exist_cannot_be_changed(account):
    with pytest.raises(TypeError, match="colour"):
        account.replace(colour="red")


def test_an_account_cannot_be_changed_in_place(account):
    with pytest.raises(dataclasses.FrozenInstanceError):
        account.label = "home"


def test_accounts_are_equal_by_value_and_hashable(account):
    twin = Account(id="1", label="work", api_key=Secret(KEY), admin_key=Secret(ADMIN))
    assert twin == account
    assert {twin, account} == {account}
    assert account.replace(api_key=Secret("sk-other")) != account
