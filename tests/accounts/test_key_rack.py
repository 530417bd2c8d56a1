"""Keys for clients: handed out once, told apart by name, every mistake named at once."""

import hashlib

import pytest

from tests.accounts import desk_rig

from codex_manager.accounts.errors import FieldsError
from codex_manager.accounts.key_rack import KeyRack
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import ClientKeyNotFoundError
from codex_manager.vault.store import Vault


def opened():
    return Vault.open(Paths.locate().vault_file, Secret(desk_rig.MASTER_KEY))


@pytest.fixture
def rack():
    desk_rig.made()
    return KeyRack(opened)


def test_a_key_is_handed_out_once_and_its_limits_can_change(rack):
    key, secret = rack.add(
        {"name": " CI ", "daily_limit_usd": "2.50", "monthly_limit_usd": "", "models": "gpt-4o*\n!gpt-4o"}
    )
    assert (key.name, key.daily_limit_usd, key.monthly_limit_usd, key.models) == (
        "CI",
        2.5,
        None,
        ("gpt-4o*", "!gpt-4o"),
    )
    assert key.digest == hashlib.sha256(secret.reveal().encode()).digest()
    assert rack.edit(key.id, {"daily_limit_usd": "", "monthly_limit_usd": "9"}).monthly_limit_usd == 9
    (stored,) = rack.listed()
    assert (stored.id, stored.digest, stored.daily_limit_usd) == (key.id, key.digest, None)
    assert rack.revoke(key.id).name == "CI"
    assert rack.listed() == []
    with pytest.raises(ClientKeyNotFoundError):
        rack.revoke(key.id)


def test_every_mistake_is_named_at_once_and_nothing_is_made(rack):
    with pytest.raises(FieldsError) as caught:
        rack.add({"name": " ", "daily_limit_usd": "-1", "monthly_limit_usd": "much"})
    assert caught.value.fields.keys() == {"name", "daily_limit_usd", "monthly_limit_usd"}
    for values in ({"name": "Default"}, {"name": "a", "digest": "x"}):
        with pytest.raises(FieldsError):
            rack.add(values)
    assert rack.listed() == []


def test_a_name_is_given_once_whatever_its_case(rack):
    rack.add({"name": "ci"})
    with pytest.raises(FieldsError, match="there is a key named 'CI' already"):
        rack.add({"name": "CI"})
