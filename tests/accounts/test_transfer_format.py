"""Every shape an import may have, and the sentence for every shape it may not have."""

import json

from datetime import UTC, datetime

import pytest

from codex_manager.accounts.transfer_format import TransferError, dump, parse
from codex_manager.core.secret import Secret
from codex_manager.vault.store import new_account


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORIGINAL = {
    "id": "0b0e5d6e-43f4-4f0e-9d4b-3f1f0f8f8a11",
    "label": "Personal",
    "api_key": "sk-personal-0123456789",
    "org_id": None,
    "model_scope": ["gpt-4*"],
    "daily_limit": 10.0,
    "monthly_limit": None,
    "priority": 2,
    "enabled": True,
    "created_at": "2025-03-01T10:00:00.123456789Z",
    "updated_at": "2025-03-01T12:00:00+02:00",
    "last_used": None,
}
CAMEL = {
    "id": ORIGINAL["id"], "label": "Personal", "apiKey": ORIGINAL["api_key"], "orgId": None, "modelScope": ["gpt-4*"],
    "dailyLimit": 10.0, "monthlyLimit": None, "priority": 2, "enabled": True, "createdAt": ORIGINAL["created_at"],
    "updatedAt": ORIGINAL["updated_at"], "lastUsed": None,
}  # fmt: skip


@pytest.mark.parametrize("record", [ORIGINAL, CAMEL], ids=["snake_case", "camelCase"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: [a],
        lambda a: {"accounts": [a]},
        lambda a: {"version": "1.0", "accounts": [a]},
        lambda a: {"version": 1, "accounts": [a]},
    ],
    ids=["list", "object", "version text", "version number"],
)
def test_an_export_of_the_original_is_read_in_every_shape(record, wrap):
    parcel = parse(json.dumps(wrap(record)))
    (draft,) = parcel.drafts
    assert draft.id == ORIGINAL["id"]
    assert draft.fields == {
        "label": "Personal",
        "api_key": Secret("sk-personal-0123456789"),
        "organization": None,
        "models": ("gpt-4*",),
        "daily_limit_usd": 10.0,
        "monthly_limit_usd": None,
        "priority": 2,
        "enabled": True,
        "created_at": "2025-03-01T10:00:00.123456Z",
        "updated_at": "2025-03-01T10:00:00.000000Z",
        "last_used_at": None,
    }
    assert parcel.ignored == ()


def test_our_own_plain_export_comes_back_as_it_went():
    """Every field of an account survives, to the character."""
    account = new_account(
        "arbeit 🚀", Secret("sk-a"), organization="org-a", project="proj_a", base_url="https://eu.api.openai.com",
        models=("gpt-5*", "!gpt-5-pro"), daily_limit_usd=1.5, monthly_limit_usd=20.0, priority=3, weight=2.5, enabled=False,
        admin_key=Secret("sk-admin-a"), tags=("x", "y"), notes="two\nlines", last_used_at="2026-01-02T03:04:05.000000Z",
    )  # fmt: skip
    (draft,) = parse(dump([account], now=NOW)).drafts
    assert account.replace(**draft.fields, id=draft.id) == account
    assert {"id", *draft.fields} == set(account.__dataclass_fields__)


def test_a_file_made_by_hand_needs_a_label_and_a_key_only():
    (draft,) = parse('[{"label": "a", "api_key": "sk-a"}]').drafts
    assert draft.id is None
    assert draft.fields == {"label": "a", "api_key": Secret("sk-a")}


def test_fields_we_do_not_know_are_named_and_left_out():
    parcel = parse(
        '[{"label": "a", "api_key": "sk-a", "colour": "red"}, {"label": "b", "api_key": "sk-b", "colour": 1}]'
    )
    assert parcel.ignored == ("colour",)


def account(**changes):
    return {"label": "a", "api_key": "sk-secret-0123456789"} | changes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is not JSON: Expecting value at line 1, column 1"),
        ("{", "the file is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ("[" * 100_000, "the file is not an export: it is nested or sized beyond reason"),
        ("1" * 5000, "the file is not an export: it is nested or sized beyond reason"),
        ("null", "the file is not an export: its accounts are not a list"),
        ('"text"', "the file is not an export: its accounts are not a list"),
        ("{}", "the file is not an export: it has no list of accounts"),
        ('{"accounts": {}}', "the file is not an export: its accounts are not a list"),
        ('{"format": "other", "accounts": []}', "the file's format is 'other', not 'codex-manager-accounts'"),
        (
            '{"format": "codex-manager-accounts", "version": 2, "accounts": []}',
            "the export has version 2; this program reads version 1",
        ),
        ("[7]", "account 1 is not an object"),
        (json.dumps([account(), {"label": "b"}]), "account 2 has no 'api_key'"),
        (json.dumps([{"apiKey": "sk-a"}]), "account 1 has no 'label'"),
        (json.dumps([account(apiKey="sk-b")]), "account 1 gives api_key twice, as 'api_key' and 'apiKey'"),
        (
            json.dumps([account(daily_limit="x")]),
            "account 1, field 'daily_limit': the daily limit must be a number, not 'x'",
        ),
        (
            json.dumps([account(dailyLimit=float("nan"))]),
            "account 1, field 'dailyLimit': the daily limit must be a finite number",
        ),
        (json.dumps([account(id="7")]), "account 1, field 'id': not a UUID"),
        (
            json.dumps([account(created_at="soon")]),
            "account 1, field 'created_at': not a time such as 2026-01-31T12:00:00Z",
        ),
        (json.dumps([account(enabled=1)]), "account 1, field 'enabled': enabled must be true or false"),
        (json.dumps([account(label="A"), account(api_key="sk-b")]), "accounts 1 and 2 have the same label"),
        (json.dumps([account(label="b"), account()]), "accounts 1 and 2 have the same API key"),
        (
            json.dumps([account(id=ORIGINAL["id"]), {"label": "b", "api_key": "sk-b", "id": ORIGINAL["id"]}]),
            "accounts 1 and 2 have the same id",
        ),
    ],
)
def test_a_file_that_is_no_export_is_one_sentence(text, sentence):
    with pytest.raises(TransferError) as caught:
        parse(text)
    assert str(caught.value) == sentence


def test_no_sentence_quotes_a_key():
    with pytest.raises(TransferError) as caught:
        parse(json.dumps([account(api_key="sk-secret with space")]))
    assert "sk-secret" not in str(caught.value)
