"""What is sealed can be read by other versions of us."""

import dataclasses
import json

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault import codec


FULL = Account(
    id="i",
    label="L",
    api_key=Secret("sk-1"),
    organization="org",
    project="proj",
    base_url="https://example.test/v1",
    models=("gpt-*", "!gpt-4"),
    daily_limit_usd=1.5,
    monthly_limit_usd=20.0,
    priority=2,
    weight=0.5,
    enabled=False,
    admin_key=Secret("sk-admin"),
    tags=("t",),
    notes="ä\n",
    created_at="2026-01-01T00:00:00Z",
    updated_at="2026-01-02T00:00:00Z",
    last_used_at="2026-01-03T00:00:00Z",
)


def test_every_field_of_an_account_survives():
    """A field added to Account without care for the vault fails here."""
    assert all(
        getattr(FULL, field.name) != field.default
        for field in dataclasses.fields(Account)
        if field.default is not dataclasses.MISSING
    )
    assert codec.account_from(codec.load(codec.dump(codec.account_to(FULL)))) == FULL


def test_a_record_of_an_earlier_version_has_defaults():
    assert codec.account_from({"id": "i", "label": "L", "api_key": "k"}) == Account(
        id="i", label="L", api_key=Secret("k")
    )


def test_unknown_fields_are_ignored_and_kept():
    stored = {**codec.account_to(FULL), "later": 1}
    assert codec.account_from(stored) == FULL
    assert codec.account_to(FULL.replace(priority=9), over=stored)["later"] == 1


def test_a_cleared_field_does_not_come_back():
    cleared = codec.account_to(FULL.replace(organization=None, admin_key=None), over=codec.account_to(FULL))
    assert codec.account_from(cleared).organization is None
    assert codec.account_from(cleared).admin_key is None


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b"", b"{", b"\xff"])
def test_what_is_no_object_is_no_record(raw):
    with pytest.raises(ValueError, match=r".*"):
        codec.load(raw)


def test_a_client_key_survives():
    key = codec.ClientKey(
        id="i",
        name="n",
        digest=bytes(32),
        created_at="t",
        models=("gpt-*",),
        daily_limit_usd=1.5,
        monthly_limit_usd=20.0,
    )
    assert all(
        getattr(key, field.name) != field.default
        for field in dataclasses.fields(codec.ClientKey)
        if field.default is not dataclasses.MISSING
    )
    assert codec.client_key_from(json.loads(codec.dump(codec.client_key_to(key)))) == key


def test_a_client_key_of_an_earlier_version_has_no_limits():
    key = codec.client_key_from({"id": "i", "name": "n", "digest": "00" * 32, "created_at": "t"})
    assert key == codec.ClientKey(id="i", name="n", digest=bytes(32), created_at="t")


def test_what_a_later_version_wrote_into_a_client_key_stays():
    key = codec.ClientKey(id="i", name="n", digest=bytes(32), created_at="t", daily_limit_usd=2.0)
    stored = {**codec.client_key_to(key), "later": 1}
    assert codec.client_key_to(key.replace(daily_limit_usd=None), over=stored) == {**stored, "daily_limit_usd": None}
