"""Local keys: shown once, listed without themselves, limited and revoked by name."""

import hashlib

import pytest

from tests.cli.console import run, the_vault


def test_a_new_key_is_alone_on_stdout_and_only_its_digest_is_kept(accounts):
    outcome = run("keys", "add", "laptop")
    key = outcome.out.strip()
    assert outcome.status == 0
    assert key.startswith("sk-cm-")
    assert len(key) >= 43  # 256 bits in base64url
    assert key not in outcome.err
    with the_vault() as vault:
        (stored,) = vault.client_keys()
    assert (stored.name, stored.digest) == ("laptop", hashlib.sha256(key.encode()).digest())


def test_the_list_has_names_and_times_and_no_key(accounts):
    key = run("keys", "add", "laptop").out.strip()
    made = run("keys", "add", "ci", "--json").json
    assert set(made) == {"id", "name", "created_at", "models", "daily_limit_usd", "monthly_limit_usd", "key"}
    listed = run("keys", "list", "--json")
    assert [entry["name"] for entry in listed.json] == ["laptop", "ci"]
    assert listed.json[1] == {name: value for name, value in made.items() if name != "key"}
    shown = run("keys", "list")
    assert shown.out.splitlines()[0].split("  ")[0] == "NAME"
    assert not any(secret in shown.out + listed.out for secret in (key, made["key"]))


def test_without_keys_the_list_is_empty(accounts, monkeypatch):
    assert run("keys", "list", "--json").json == []
    assert "no named keys" in run("keys", "list").err


def test_a_revoked_key_is_gone(accounts):
    run("keys", "add", "laptop")
    assert run("keys", "revoke", "LAPTOP").err == "codex-manager: revoked 'laptop'\n"
    again = run("keys", "revoke", "laptop")
    assert again.status == 1
    assert "there is no key named 'laptop'" in again.err


def test_a_name_is_taken_once_and_must_be_showable(accounts):
    run("keys", "add", "laptop")
    assert run("keys", "add", "Laptop").status == 1
    assert run("keys", "add", "").err == "codex-manager: error: the name is empty\n"
    assert run("keys", "add", "a\x00").status == 2
    assert run("keys", "add", "x" * 10_240).status == 2
    assert len(run("keys", "revoke", "x" * 10_240).err) < 200


def test_a_key_carries_its_limits_and_models(accounts):
    made = run(
        "keys", "add", "ci", "--daily-limit", "2.50", "--monthly-limit", "40", "--models", "gpt-5*,!gpt-5-pro", "--json"
    )
    assert (made.json["daily_limit_usd"], made.json["monthly_limit_usd"]) == (2.5, 40.0)
    assert made.json["models"] == ["gpt-5*", "!gpt-5-pro"]
    (row,) = run("keys", "list").out.splitlines()[1:]
    assert row.split()[:4] == ["ci", "gpt-5*,!gpt-5-pro", "$2.50", "$40.00"]


def test_edit_changes_what_is_given_and_the_key_stays_good(accounts):
    key = run("keys", "add", "ci", "--daily-limit", "2").out.strip()
    edited = run("keys", "edit", "CI", "--monthly-limit", "30")
    assert (edited.status, edited.err) == (0, "codex-manager: changed 'ci': monthly limit\n")
    run("keys", "edit", "ci", "--daily-limit", "none", "--models", "o3")
    with the_vault() as vault:
        (stored,) = vault.client_keys()
    assert (stored.daily_limit_usd, stored.monthly_limit_usd, stored.models) == (None, 30.0, ("o3",))
    assert stored.digest == hashlib.sha256(key.encode()).digest()
    assert run("keys", "edit", "ci", "--models", "", "--json").json["models"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["keys", "edit", "laptop"], "nothing to change"),
        (["keys", "edit", "laptop", "--daily-limit", "0"], "the daily limit must be more than 0 US dollars; `none` takes it away"),
        (["keys", "edit", "laptop", "--daily-limit", "nan"], "the daily limit must be a finite number"),
        (["keys", "edit", "laptop", "--models", "!*"], "models: the model patterns leave no model over"),
        (["keys", "add", "new", "--monthly-limit", "lots"], "the monthly limit must be a number, not 'lots'"),
        (["keys", "add", "Default"], "'Default' is the name of the clients that send `proxy.api_key`"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_written(accounts, arguments, sentence):
    run("keys", "add", "laptop", "--daily-limit", "7")
    outcome = run(*arguments)
    assert outcome.status == 2
    assert outcome.err.splitlines()[0] == f"codex-manager: error: {sentence}"
    assert [(key["name"], key["daily_limit_usd"]) for key in run("keys", "list", "--json").json] == [("laptop", 7.0)]


def test_editing_a_key_that_is_not_there_quotes_no_key(accounts):
    outcome = run("keys", "edit", "sk-cm-" + "x" * 43, "--daily-limit", "1")
    assert outcome.status == 1
    assert "x" * 20 not in outcome.err


def test_a_limit_that_nobody_holds_is_said(accounts, monkeypatch):
    assert "warning" not in run("keys", "add", "a", "--daily-limit", "1").err
    monkeypatch.setenv("CODEX_MANAGER__METERING__ENABLED", "false")
    assert "no limit is held while `metering.enabled` is false" in run("keys", "add", "b", "--daily-limit", "1").err
    assert "no limit is held" in run("edit", "work", "--monthly-limit", "1").err
    assert "no limit is held" not in run("keys", "edit", "b", "--daily-limit", "none").err
