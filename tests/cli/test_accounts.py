"""The small verbs on accounts, driven as a user drives them."""

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import run, the_vault

from codex_manager.config.paths import Paths


def test_without_a_vault_the_list_is_empty_and_says_what_to_do(master_key):
    """Reading never makes a vault."""
    shown, data = run("list"), run("list", "--json")
    assert (shown.status, shown.out) == (0, "")
    assert "no vault yet; make one with `codex-manager init`" in shown.err
    assert (data.status, data.json) == (0, [])
    assert not Paths.locate().vault_file.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["show", "x"], ["edit", "x", "--priority", "1"], ["rename", "x", "y"], ["enable", "x"], ["disable", "x"],
        ["remove", "x", "--yes"], ["switch"], ["export"], ["keys", "add", "x"], ["keys", "revoke", "x"], ["vault", "lock"],
        ["vault", "unlock"], ["vault", "rekey"], ["vault", "rotate"], ["vault", "verify"], ["vault", "backup", "b"],
    ],
)  # fmt: skip
def test_without_a_vault_other_commands_say_so(command, master_key):
    outcome = run(*command)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith("codex-manager: error: no vault yet\ncodex-manager: hint: ")
    assert not Paths.locate().vault_file.exists()


def test_the_list_is_a_table_without_keys(accounts):
    run("switch", "work")
    run("edit", "Client", "--daily-limit", "12.5", "--models", "gpt-5*,!gpt-5-pro", "--tag", "a", "--disable")
    assert run("list").out.splitlines() == [
        "LABEL     KEY    ORGANIZATION  MODELS             PER DAY  PER MONTH  PRIORITY  STATE                 TAGS",
        "Personal  …cdef  org-personal  all                -        -          0         enabled               -",
        "Work      …cdef  org-work      all                -        -          0         enabled, switched to  -",
        "Client    …cdef  org-client    gpt-5*,!gpt-5-pro  $12.50   -          0         disabled              a",
    ]


def test_json_has_every_field_but_the_keys(accounts):
    work = accounts["Work"]
    expected = {
        "id": work.id,
        "label": "Work",
        "key": "…cdef",
        "organization": "org-work",
        "project": None,
        "base_url": None,
        "models": [],
        "daily_limit_usd": None,
        "monthly_limit_usd": None,
        "priority": 0,
        "weight": 1.0,
        "enabled": True,
        "switched_to": False,
        "admin_key": None,
        "tags": [],
        "notes": "",
        "created_at": work.created_at,
        "updated_at": work.updated_at,
        "last_used_at": None,
    }
    assert run("show", "Work", "--json").json == expected
    assert run("list", "--json").json[1] == expected


@pytest.mark.parametrize("identifier", ["Work", "work", "WORK", "w", "Wor"])
def test_an_account_is_found_by_its_label_in_any_case_or_a_unique_beginning(identifier, accounts):
    assert run("show", identifier, "--json").json["label"] == "Work"


def test_an_account_is_found_by_its_id_or_a_beginning_of_it(accounts):
    work = accounts["Work"]
    assert run("show", work.id, "--json").json["label"] == "Work"
    assert run("show", work.id[:13], "--json").json["label"] == "Work"


@pytest.mark.parametrize(
    ("identifier", "error", "hint"),
    [
        ("pesonal", "there is no account 'pesonal'", "did you mean 'Personal'?"),
        ("zzz", "there is no account 'zzz'", "the accounts are 'Personal', 'Work', 'Work at home'"),
        ("Wo", "'Wo' fits several accounts: 'Work', 'Work at home'", "give the whole label or the id"),
        ("x" * 10_240, f"there is no account '{'x' * 40}…'", "the accounts are 'Personal', 'Work', 'Work at home'"),
        ("a\x00b", "there is no account 'a\\x00b'", "the accounts are 'Personal', 'Work', 'Work at home'"),
        ("", "there is no account ''", "the accounts are 'Personal', 'Work', 'Work at home'"),
    ],
)
def test_an_account_that_is_not_found_or_not_clear(identifier, error, hint, accounts):
    run("rename", "Client", "Work at home")
    outcome = run("show", identifier)
    assert (outcome.status, outcome.out) == (1, "")
    first, second = outcome.err.splitlines()
    assert first == f"codex-manager: error: {error}"
    assert second.startswith("codex-manager: hint: ")
    assert len(second) < 200
    assert second == f"codex-manager: hint: {hint}"


def test_rename_keeps_the_account_and_refuses_a_taken_label(accounts):
    assert run("rename", "work", "  Büro 🚀 ").err == "codex-manager: 'Work' is now 'Büro 🚀'\n"
    taken = run("rename", "büro", "PERSONAL")
    assert taken.status == 1
    assert "there is an account labelled 'Personal' already" in taken.err
    with the_vault() as vault:
        assert vault.account("Büro 🚀").id == accounts["Work"].id


def test_disable_and_enable(accounts):
    assert run("disable", "w").err == "codex-manager: 'Work' is disabled\n"
    assert run("disable", "w").err == "codex-manager: 'Work' is disabled already\n"
    assert run("show", "w", "--json").json["enabled"] is False
    assert run("enable", "w").err == "codex-manager: 'Work' is enabled\n"
    assert run("show", "w", "--json").json["enabled"] is True


def test_disabling_the_account_everything_goes_to_is_said(accounts):
    run("switch", "Work")
    assert "warning: everything is switched to this account" in run("disable", "Work").err
    assert "warning: 'Work' is disabled" in run("switch", "Work").err


def test_remove_needs_a_yes_where_nobody_can_be_asked(accounts):
    refused = run("remove", "Work")
    assert refused.status == 2
    assert refused.err == (
        "codex-manager: error: there is no terminal to ask on, so 'Work' was not removed\n"
        "codex-manager: hint: give --yes to mean it\n"
    )
    assert run("remove", "Work", "--yes").err == "codex-manager: removed 'Work'\n"
    assert [account["label"] for account in run("list", "--json").json] == ["Personal", "Client"]


def test_removing_the_account_everything_goes_to_lets_the_strategy_choose_again(accounts):
    run("switch", "Work")
    run("remove", "Work", "-y")
    assert run("switch").out == "auto\n"


def test_a_record_that_was_changed_from_outside_is_named_and_can_be_removed(accounts):
    """The rest of the vault is usable again afterwards."""
    import sqlite3

    file, work = Paths.locate().vault_file, accounts["Work"]
    with sqlite3.connect(file) as database:
        database.execute(
            "UPDATE record SET sealed = replace(sealed, substr(sealed, 40, 1), '/') WHERE id = ?", (work.id,)
        )
    database.close()
    listed = run("list")
    assert listed.status == 1
    assert work.id in listed.err
    assert run("remove", work.id, "--yes").status == 0
    assert [account["label"] for account in run("list", "--json").json] == ["Personal", "Client"]


def test_switch_shows_pins_and_lets_go(accounts):
    assert run("switch").out == "auto\n"
    assert run("switch", "wo").err == "codex-manager: everything goes to 'Work'\n"
    assert run("switch").out == "Work\n"
    assert run("switch", "--json").json["switched_to"]["id"] == accounts["Work"].id
    with the_vault() as vault:
        assert vault.pinned_account() == accounts["Work"].id
    assert run("switch", "--auto").err == "codex-manager: the configured strategy chooses the account\n"
    assert run("switch", "--json").json == {"switched_to": None}
    assert run("switch", "w", "--auto").status == 2


def test_a_vault_without_accounts_says_how_to_add_one(accounts):
    for label in KEYS:
        run("remove", label, "--yes")
    listed = run("list")
    assert (listed.status, listed.out) == (0, "")
    assert "no accounts yet; add one with `codex-manager add LABEL`" in listed.err


@pytest.mark.parametrize("command", [["show", "Work"], ["list"], ["switch", "Work"], ["keys", "list"], ["export"]])
def test_a_wrong_master_key_is_status_3(command, accounts, monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", "another one")
    before = Paths.locate().vault_file.read_bytes()
    outcome = run(*command)
    assert (outcome.status, outcome.out) == (3, "")
    assert "the master key does not open this vault" in outcome.err
    assert Paths.locate().vault_file.read_bytes() == before


def test_no_master_key_at_all_is_status_3_and_names_all_three_sources(accounts, monkeypatch):
    monkeypatch.delenv("CAM_MASTER_KEY")
    outcome = run("list")
    assert outcome.status == 3
    for source in ("CAM_MASTER_KEY", "keyring", "terminal"):
        assert source in outcome.err
