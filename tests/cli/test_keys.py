"""Local keys: shown once, listed without themselves, revoked by name."""

import hashlib

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
    assert set(made) == {"id", "name", "created_at", "key"}
    listed = run("keys", "list", "--json")
    assert [entry["name"] for entry in listed.json] == ["laptop", "ci"]
    assert listed.json[1] == {name: made[name] for name in ("id", "name", "created_at")}
    shown = run("keys", "list")
    assert shown.out.splitlines()[0].split() == ["NAME", "CREATED", "ID"]
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
