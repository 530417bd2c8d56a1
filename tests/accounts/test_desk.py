"""What a page wants of the accounts: done whole or refused by name, and no stored key goes anywhere new."""

import json
import threading

import pytest

from tests.accounts.desk_rig import KEYS, NEW, desk, opened, two

from codex_manager.accounts.errors import (
    FieldsError,
    ImportConflictError,
    ImportRefusedError,
    KeyRefusedError,
    KnownKeyError,
    KnownLabelError,
    LocalKeyError,
    MovedError,
    NoVaultError,
    PassphraseNeededError,
)
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import AccountNotFoundError, LabelTakenError, VaultLockedError
from codex_manager.vault.sealed_file import WrongPassphraseError


ELSEWHERE = "https://keys.example.org"
ADMIN = Secret("sk-admin-0123456789abcd")
PASSPHRASE = Secret("correct horse battery staple")


@pytest.fixture
def accounts(master_key):
    return dict(zip(KEYS, two(), strict=True))


def everything():
    return desk().listed()[0]


# Looking -------------------------------------------------------------------------------------------------------------


def test_before_there_is_a_vault_nothing_is_listed_and_nothing_is_made(master_key):
    assert desk().listed() == ([], None)
    for act in (
        lambda: desk().find("work"), lambda: desk().check("x"), lambda: desk().edit("x", {"notes": "y"}, online=False),
        lambda: desk().remove("x"), lambda: desk().enable("x", True), lambda: desk().switch(None), lambda: desk().export(PASSPHRASE),
    ):  # fmt: skip
        with pytest.raises(NoVaultError, match="no vault yet"):
            act()
    assert not Paths.locate().vault_file.exists()


def test_accounts_are_listed_with_the_one_that_everything_goes_to(accounts):
    assert desk().switch(accounts["Work"].id) == accounts["Work"]
    assert desk().listed() == (list(accounts.values()), accounts["Work"].id)
    assert desk().switch(None) is None
    assert desk().listed()[1] is None
    assert desk().find("work") == accounts["Work"]


def test_a_locked_vault_is_said(accounts):
    with opened() as vault:
        vault.lock()
    with pytest.raises(VaultLockedError):
        desk().listed()


def test_a_key_is_checked_where_its_account_lives(accounts, openai):
    assert desk().check(accounts["Work"].id).verdict == "good"
    openai.revoke(KEYS["Work"])
    assert desk().check(accounts["Work"].id).verdict == "refused"
    assert everything() == list(accounts.values())


# Adding --------------------------------------------------------------------------------------------------------------


def test_the_first_account_makes_the_vault_and_says_what_happened(master_key, openai):
    done = desk().add(
        {"label": " New ", "api_key": NEW, "models": "gpt-5*\r\no3", "enabled": "on", "notes": ""}, online=True
    )
    assert everything() == [done.account]
    assert (done.account.label, done.account.organization, done.account.models) == ("New", "org-new", ("gpt-5*", "o3"))
    assert done.notes[:2] == ("OpenAI accepts the key", "its organization is org-new")
    assert done.notes[2].startswith("made the vault ")
    assert [seen.path for seen in openai.log] == ["/v1/models"]


def test_every_mistake_is_named_at_once_and_nothing_is_asked_or_stored(master_key, openai):
    with pytest.raises(FieldsError) as caught:
        desk().add({"api_key": "two words", "weight": "0", "id": "x", "models": "o3"}, online=True)
    assert list(caught.value.fields) == ["label", "api_key", "weight", "id"]
    assert caught.value.fields["label"] == "the label is empty"
    assert "two words" not in str(caught.value)
    assert openai.log == []
    assert not Paths.locate().vault_file.exists()


@pytest.mark.parametrize(
    ("values", "error", "field"),
    [
        ({"label": "WORK", "api_key": NEW}, KnownLabelError, "label"),
        ({"label": "New", "api_key": KEYS["Work"]}, KnownKeyError, "api_key"),
        ({"label": "New", "api_key": "sk-codex-manager"}, LocalKeyError, "api_key"),
        ({"label": "New", "api_key": "sk-unknown-0123456789"}, KeyRefusedError, "api_key"),
    ],
)
def test_what_cannot_be_added_is_refused_by_name_and_says_which_field(values, error, field, accounts, openai):
    with pytest.raises(error) as caught:
        desk().add(values, online=True)
    assert caught.value.field == field
    assert values["api_key"] not in f"{caught.value} {caught.value.hint}"
    assert everything() == list(accounts.values())


def test_a_key_that_two_add_at_once_is_stored_once(accounts):
    ends = []

    def add(label):
        try:
            desk().add({"label": label, "api_key": NEW}, online=False)
            ends.append("added")
        except KnownKeyError:
            ends.append("known")

    threads = [threading.Thread(target=add, args=(f"New {n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(ends) == ["added", "known"]
    assert len(everything()) == 3


def test_a_limit_that_nobody_holds_is_said(accounts, monkeypatch):
    monkeypatch.setenv("CODEX_MANAGER__METERING__ENABLED", "false")
    done = desk().add({"label": "New", "api_key": NEW, "daily_limit_usd": "5"}, online=False)
    assert done.notes[0].startswith("no limit is held while `metering.enabled` is false")


# Changing ------------------------------------------------------------------------------------------------------------


def test_what_is_sent_is_changed_and_what_is_empty_is_cleared(accounts):
    work = accounts["Work"]
    sent = {
        "label": "Büro", "organization": "", "priority": "7", "weight": "", "daily_limit_usd": "3.5", "monthly_limit_usd": "",
        "tags": "a, b", "enabled": "false", "base_url": "", "api_key": "", "admin_key": ADMIN.reveal(),
    }  # fmt: skip
    done = desk().edit(work.id, sent, online=True)
    assert done.notes == ()
    assert done.account == work.replace(
        label="Büro", organization=None, priority=7, daily_limit_usd=3.5, tags=("a", "b"), enabled=False, admin_key=ADMIN,
        updated_at=done.account.updated_at,
    )  # fmt: skip
    assert everything() == [accounts["Personal"], done.account]
    assert desk().edit(work.id, {"admin_key": ""}, online=True).account.admin_key is None


def test_what_is_as_it_was_is_left_alone(accounts):
    work = accounts["Work"]
    assert desk().edit(work.id, {"label": "Work", "organization": "org-work", "api_key": ""}, online=True) == (
        desk().edit(work.id, {}, online=True)
    )
    assert everything() == list(accounts.values())


def test_a_new_key_is_asked_about_and_only_then_stored(accounts, openai):
    work = accounts["Work"]
    openai.account("sk-other-0123456789abcd", "org-work")
    done = desk().edit(work.id, {"api_key": "sk-other-0123456789abcd"}, online=True)
    assert done.notes == ("OpenAI accepts the key",)
    assert done.account.api_key == Secret("sk-other-0123456789abcd")
    for key, error in (("sk-wrong-0123456789abcd", KeyRefusedError), (KEYS["Personal"], KnownKeyError)):
        with pytest.raises(error):
            desk().edit(work.id, {"api_key": key, "notes": "x"}, online=True)
    assert everything()[1] == done.account


@pytest.mark.parametrize(
    ("sent", "error"),
    [({"label": "PERSONAL"}, KnownLabelError), ({"label": "", "weight": "-1"}, FieldsError), ({"created_at": "x"}, FieldsError)],
)  # fmt: skip
def test_what_cannot_be_changed_changes_nothing(sent, error, accounts):
    with pytest.raises(error):
        desk().edit(accounts["Work"].id, {"notes": "changed", **sent}, online=False)
    assert everything() == list(accounts.values())


def test_an_account_is_meant_by_its_id_alone_whatever_another_is_labelled(accounts):
    """Otherwise a label could take the place of somebody else's account."""
    work = accounts["Work"]
    desk().edit(accounts["Personal"].id, {"label": work.id}, online=False)
    assert desk().enable(work.id, False).label == "Work"
    assert desk().edit(work.id, {"notes": "mine"}, online=False).account.label == "Work"
    assert desk().switch(work.id).label == "Work"
    assert desk().remove(work.id).label == "Work"
    for identifier in ("Work", work.id, work.id[:8], ""):
        for act in (desk().remove, desk().switch, desk().check, lambda each: desk().enable(each, True)):
            with pytest.raises(AccountNotFoundError):
                act(identifier)
    assert [account.id for account in everything()] == [accounts["Personal"].id]


def test_a_label_that_is_taken_meanwhile_is_the_vaults_to_refuse(accounts, monkeypatch):
    monkeypatch.setattr("codex_manager.accounts.intake.Intake.refuse_known_label", lambda *_, **__: None)
    with pytest.raises(LabelTakenError):
        desk().edit(accounts["Work"].id, {"label": "personal"}, online=False)


# A stored key stays where it goes ----------------------------------------------------------------------------------------


def test_no_stored_key_goes_to_another_host(accounts, openai):
    """Whoever has the dashboard's token has none of the keys, and gets none by naming a host."""
    work = accounts["Work"]
    for there in (ELSEWHERE, "http://127.0.0.1:1", f"{openai.base_url}/x"):
        for more in ({}, {"api_key": ""}, {"api_key": None}, {"admin_key": "sk-admin-of-the-thief"}, {"notes": "x"}):
            with pytest.raises(MovedError) as caught:
                desk().edit(work.id, {"base_url": there, **more}, online=True)
            assert caught.value.field == "base_url"
    assert everything() == list(accounts.values())
    assert openai.log == []


def test_with_its_key_an_account_may_move(accounts):
    work = accounts["Work"]
    moved = desk().edit(work.id, {"base_url": f"{ELSEWHERE}/v1/", "api_key": NEW}, online=False).account
    assert (moved.base_url, moved.api_key) == (ELSEWHERE, Secret(NEW))
    assert desk().edit(work.id, {"base_url": ELSEWHERE, "notes": "x"}, online=False).account.notes == "x"
    with pytest.raises(MovedError):
        desk().edit(work.id, {"base_url": ""}, online=False)


def test_an_admin_key_does_not_move_along_unseen(accounts):
    work = desk().edit(accounts["Work"].id, {"admin_key": ADMIN}, online=False).account
    move = {"base_url": ELSEWHERE, "api_key": NEW}
    with pytest.raises(MovedError, match="its stored admin key"):
        desk().edit(work.id, move, online=False)
    assert desk().edit(work.id, move | {"admin_key": ""}, online=False).account.admin_key is None


def test_an_import_moves_no_stored_key_either(accounts):
    work = desk().edit(accounts["Work"].id, {"admin_key": ADMIN}, online=False).account
    theirs = {"label": "Work", "api_key": NEW, "base_url": ELSEWHERE}
    for act in (desk().preview, desk().import_):
        with pytest.raises(MovedError):
            act(json.dumps([theirs]).encode(), None, "replace")
    assert everything() == [accounts["Personal"], work]
    done = desk().import_(json.dumps([theirs | {"admin_key": None}]).encode(), None, "replace")
    assert done.replaced == ("Work",)
    assert (everything()[1].base_url, everything()[1].admin_key) == (ELSEWHERE, None)


# Carrying elsewhere --------------------------------------------------------------------------------------------------


def test_an_export_is_sealed_and_comes_back_as_it_went(accounts):
    text = desk().export(PASSPHRASE)
    assert not any(word in text for word in (*KEYS, *KEYS.values(), "org-"))
    before = everything()
    for account in before:
        desk().remove(account.id)
    for passphrase, error in (
        (None, PassphraseNeededError),
        (Secret(""), PassphraseNeededError),
        (Secret("x"), WrongPassphraseError),
    ):
        with pytest.raises(error):
            desk().preview(text.encode(), passphrase, None)
    seen = desk().preview(text.encode(), PASSPHRASE, None)
    assert everything() == []
    assert desk().import_(text.encode(), PASSPHRASE, None) == seen
    assert seen.added == ("Personal", "Work")
    assert everything() == before
    with pytest.raises(PassphraseNeededError):
        desk().export(Secret(""))


def test_an_import_is_seen_before_it_is_done(accounts):
    text = json.dumps([
        {"label": "work", "api_key": NEW, "colour": "red"}, {"label": "Lab", "api_key": "sk-lab-0123456789abcd"},
        {"label": "Twin", "api_key": KEYS["Personal"]},
    ]).encode()  # fmt: skip
    with pytest.raises(ImportConflictError, match=r"'work' \(same label\).*nothing was imported"):
        desk().preview(text, None, None)
    seen = desk().preview(text, None, "rename")
    assert (seen.added, seen.replaced, seen.skipped, seen.ignored) == (("work (2)", "Lab"), (), ("Twin",), ("colour",))
    assert seen.notes == ("'work' becomes 'work (2)'", "'Twin' is left out: same API key as 'Personal'")
    assert everything() == list(accounts.values())
    assert desk().import_(text, None, "rename") == seen
    assert [account.label for account in everything()] == ["Personal", "Work", "work (2)", "Lab"]


def test_an_import_makes_the_vault_on_the_way_but_a_preview_does_not(master_key):
    text = json.dumps([{"label": "Lab", "api_key": NEW}]).encode()
    assert desk().preview(text, None, None).added == ("Lab",)
    assert not Paths.locate().vault_file.exists()
    assert desk().import_(text, None, None).added == ("Lab",)
    assert [account.label for account in everything()] == ["Lab"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"[" * 100_000, "nested or sized beyond reason"),
        (b'[{"label": "A"}]', "account 1 has no 'api_key'; nothing was imported"),
        (b'[{"label": "A", "api_key": "sk-codex-manager"}]', "account 1 has a local key of codex-manager"),
    ],
    ids=["empty", "binary", "deep", "keyless", "local"],
)
def test_what_is_no_export_is_one_sentence(data, says, accounts):
    with pytest.raises(ImportRefusedError, match=says):
        desk().import_(data, None, "replace")
    assert everything() == list(accounts.values())


def test_no_account_shows_a_key_by_accident(accounts):
    done = desk().edit(accounts["Work"].id, {"api_key": NEW, "admin_key": ADMIN}, online=False)
    assert not any(key in repr((done, desk().listed())) for key in (NEW, ADMIN.reveal(), *KEYS.values()))
