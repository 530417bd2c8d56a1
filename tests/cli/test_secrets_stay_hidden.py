"""Planted secrets, the whole surface of commands, every word they print: none of the secrets is in it."""

import json
import sqlite3

import pytest

from tests.cli.console import MASTER_KEY, run, stored

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.testing import in_thread
from codex_manager.vault.store import new_account


CANARIES = {
    "api key": "sk-canary-api-0123456789abcdefgh",
    "other api key": "sk-canary-other-0123456789abcdefgh",
    "new api key": "sk-canary-new-0123456789abcdefgh",
    "admin key": "sk-canary-admin-0123456789abcdefgh",
    "master key": MASTER_KEY,
    "new master key": "canary-of-a-new-one-0123456789",
    "passphrase": "canary passphrase of an export",
    "local key": "sk-canary-local-0123456789abcdefgh",
}


@pytest.fixture
def planted(master_key, monkeypatch):
    """A vault with canaries; OpenAI (a fake, which quotes parts of wrong keys as the real one does) answers."""
    stored(
        new_account("Work", Secret(CANARIES["api key"]), admin_key=Secret(CANARIES["admin key"])),
        new_account("Other", Secret(CANARIES["other api key"])),
    )
    monkeypatch.setenv("CODEX_MANAGER_EXPORT_PASSPHRASE", CANARIES["passphrase"])
    monkeypatch.setenv("CODEX_MANAGER__PROXY__API_KEY", CANARIES["local key"])
    with in_thread() as fake:
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", fake.base_url)
        yield fake


def leaks(text):
    """Canaries in the text, whole or by a telling part; four last characters are shown on purpose."""
    return [name for name, secret in CANARIES.items() if secret in text or secret[:20] in text or secret[-12:] in text]


def test_no_command_prints_a_secret(planted, tmp_path):
    key, new = CANARIES["api key"], CANARIES["new api key"]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps([{"label": "x", "api_key": new, "daily_limit": new, "organization": new, new: new}]))
    twice = tmp_path / "twice.json"
    twice.write_text(json.dumps([{"label": "x", "api_key": key}, {"label": "y", "api_key": key}]))
    commands = [
        (["init"], ""),
        (["list"], ""), (["list", "--json"], ""), (["show", "Work"], ""), (["show", "Work", "--json"], ""),
        (["show", key], ""), (["remove", key, "--yes"], ""), (["rename", key, new], ""), (["switch", key], ""),
        (["add", "New", "-"], new), (["add", "New", new], ""), (["add", "New", "-", "--no-check"], key),
        (["add", new, "-", "--no-check"], "two words " + new), (["add", "New", "-", "--no-check", "--org", "x " + new], new),
        (["add", "New", "-", "--no-check", "--daily-limit", new], new), (["add", "New", "-", "--no-check", "--base-url", new], new),
        (["add", "New", "-", "--no-check", "--base-url", f"https://u:{new}@host"], new),
        (["add", "New", "-", "--no-check", "--models", f"[{new}]"], new), (["add", "New", "-"], CANARIES["local key"]),
        (["add", "New", "-", "--no-check", "--json"], new),
        (["edit", "New", "--key", "-"], CANARIES["other api key"]), (["edit", "New", "--key", new], ""),
        (["edit", "New", "--admin-key", "-", "--json"], CANARIES["admin key"]), (["edit", "Work", "--no-admin-key"], ""),
        (["edit", "Work", "--admin-key", "-"], CANARIES["admin key"]),
        (["enable", "Work"], ""), (["disable", "Other"], ""), (["switch", "Work"], ""), (["switch", "--json"], ""),
        (["export"], ""), (["export", str(tmp_path / "sealed")], ""), (["export", str(tmp_path / "plain"), "--plaintext"], ""),
        (["import", str(tmp_path / "sealed")], ""), (["import", str(tmp_path / "plain"), "--on-conflict", "replace", "--json"], ""),
        (["import", str(broken)], ""), (["import", str(twice)], ""), (["import", "-"], new), (["import", new], ""),
        (["keys", "list"], ""), (["keys", "list", "--json"], ""), (["keys", "revoke", new], ""),
        (["vault", "verify"], ""), (["vault", "rotate"], ""), (["vault", "path"], ""), (["vault", "backup", str(tmp_path / "b")], ""),
        (["vault", "restore", str(tmp_path / "b"), "--yes"], ""), (["vault", "lock"], ""), (["list"], ""),
        (["vault", "unlock", "--key-stdin"], CANARIES["new master key"]), (["vault", "unlock"], ""),
        (["vault", "lock", "--forget-key", "--key-stdin"], CANARIES["new master key"]),
        (["vault", "rekey", "--key-stdin"], CANARIES["new master key"]), (["list"], ""), (["proxy", "--bind", key], ""),
        (["nonsense", key], ""), (["add", "--nonsense", key], ""),
    ]  # fmt: skip
    statuses = set()
    for arguments, stdin in commands:
        outcome = run(*arguments, stdin=stdin)
        statuses.add(outcome.status)
        where = " ".join(arguments)
        assert "internal error" not in outcome.err, where
        assert "Traceback" not in outcome.out + outcome.err, where
        assert leaks(outcome.out + outcome.err) == [], where
    assert statuses == {0, 1, 2, 3}


def test_a_tampered_record_shows_nothing_of_itself(planted):
    with sqlite3.connect(Paths.locate().vault_file) as database:
        database.execute("UPDATE record SET sealed = replace(sealed, substr(sealed, 40, 1), '/')")
    database.close()
    for command in (["list"], ["show", "Work"], ["vault", "verify"], ["export"]):
        outcome = run(*command)
        assert outcome.status == 1
        assert leaks(outcome.out + outcome.err) == []


def test_nothing_in_the_home_but_a_plain_export_holds_a_secret_or_a_label(planted):
    run("init")
    run("switch", "Work")
    run("keys", "add", "canary-client-name")
    for file in Paths.locate().data_dir.rglob("*"):
        content = file.read_bytes()
        for word in (*CANARIES.values(), "Work", "Other", "canary-client-name"):
            if file.name != "config.yaml":
                assert word.encode() not in content, file
