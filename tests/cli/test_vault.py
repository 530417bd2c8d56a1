"""The vault's care from the command line: nothing is lost, nothing opens with the wrong key."""

import sqlite3

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import MASTER_KEY, run, the_vault

from codex_manager.config.paths import Paths


def labels():
    return [account["label"] for account in run("list", "--json").json]


def test_lock_makes_every_command_refuse_until_unlock(accounts):
    assert run("vault", "lock").status == 0
    for command in (
        ["list"],
        ["add", "x", "-", "--no-check"],
        ["export"],
        ["keys", "add", "x"],
        ["vault", "rotate"],
        ["switch"],
    ):
        outcome = run(*command, stdin="sk-x")
        assert (outcome.status, outcome.out) == (3, ""), command
        assert "is locked" in outcome.err
        assert "codex-manager vault unlock" in outcome.err
    assert run("vault", "unlock").status == 0
    assert labels() == list(KEYS)


def test_unlock_wants_the_master_key(accounts, monkeypatch):
    run("vault", "lock")
    monkeypatch.setenv("CAM_MASTER_KEY", "wrong")
    assert run("vault", "unlock").status == 3
    assert run("vault", "unlock", "--key-stdin", stdin="also wrong\n").status == 3
    monkeypatch.setenv("CAM_MASTER_KEY", MASTER_KEY)
    assert run("list").status == 3
    assert run("vault", "unlock", "--key-stdin", stdin=MASTER_KEY + "\n").status == 0
    assert labels() == list(KEYS)


def test_a_lock_that_forgets_its_key_wants_the_key_first(accounts):
    """Without the right key the vault is not locked either: nothing was done."""
    refused = run("vault", "lock", "--forget-key", "--key-stdin", stdin="wrong\n")
    assert refused.status == 3
    assert "nothing was forgotten" in refused.err
    assert labels() == list(KEYS)
    assert run("vault", "lock", "--forget-key").status == 2
    assert run("vault", "lock", "--key-stdin").status == 2


def test_rekey_changes_the_master_key_and_says_that_the_variable_is_old(accounts, monkeypatch):
    outcome = run("vault", "rekey", "--key-stdin", stdin="a new master key\n")
    assert outcome.status == 0
    assert "warning: CAM_MASTER_KEY still holds the old key" in outcome.err
    assert run("list").status == 3
    monkeypatch.setenv("CAM_MASTER_KEY", "a new master key")
    assert labels() == list(KEYS)


@pytest.mark.parametrize("options", [[], ["--generate", "--key-stdin"], ["--key-stdin"]])
def test_rekey_without_a_new_key_changes_nothing(options, accounts):
    assert run("vault", "rekey", *options).status == 2
    assert labels() == list(KEYS)


def test_a_random_key_needs_a_keyring_that_keeps_it(accounts):
    outcome = run("vault", "rekey", "--generate")
    assert outcome.status == 1
    assert "keyring" in outcome.err
    assert labels() == list(KEYS)


def test_rotate_seals_every_record_anew(accounts):
    def records():
        with sqlite3.connect(Paths.locate().vault_file) as database:
            found = dict(database.execute("SELECT id, sealed FROM record"))
        database.close()
        return found

    before = records()
    assert run("vault", "rotate").status == 0
    after = records()
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert labels() == list(KEYS)


def test_verify_says_that_all_is_well_or_names_what_is_not(accounts):
    well = run("vault", "verify", "--json")
    assert well.status == 0
    assert well.json["ok"] is True
    assert (well.json["accounts"], well.json["client_keys"], well.json["problems"]) == (3, 0, [])
    work = accounts["Work"].id
    with sqlite3.connect(Paths.locate().vault_file) as database:
        database.execute("UPDATE record SET sealed = replace(sealed, substr(sealed, 40, 1), '/') WHERE id = ?", (work,))
    database.close()
    ill = run("vault", "verify")
    assert ill.status == 1
    assert work in ill.err
    data = run("vault", "verify", "--json")
    assert (data.status, data.json["ok"], len(data.json["problems"])) == (1, False, 1)


def test_backup_and_restore(accounts, tmp_path):
    file = tmp_path / "vault.backup"
    assert run("vault", "backup", str(file)).status == 0
    assert file.stat().st_mode & 0o777 == 0o600
    again = run("vault", "backup", str(file))
    assert again.status == 1
    assert "it is left alone" in again.err
    run("remove", "Work", "--yes")
    asked = run("vault", "restore", str(file))
    assert asked.status == 2
    assert "give --yes to mean it" in asked.err
    assert labels() == ["Personal", "Client"]
    restored = run("vault", "restore", str(file), "--yes")
    assert restored.status == 0
    assert "the one before is" in restored.err
    assert labels() == list(KEYS)


def test_a_backup_is_restored_where_there_is_no_vault(accounts, tmp_path, monkeypatch):
    file = tmp_path / "vault.backup"
    run("vault", "backup", str(file))
    monkeypatch.setenv("CODEX_MANAGER_HOME", str(tmp_path / "other"))
    assert run("vault", "restore", str(file)).status == 0
    assert labels() == list(KEYS)


@pytest.mark.parametrize(
    ("content", "status"), [(None, 1), (b"", 1), (b"not a vault" * 100, 1)], ids=["missing", "empty", "something else"]
)
def test_what_is_no_backup_replaces_nothing(content, status, accounts, tmp_path):
    file = tmp_path / "backup"
    if content is not None:
        file.write_bytes(content)
    outcome = run("vault", "restore", str(file), "--yes")
    assert outcome.status == status
    assert outcome.err.startswith("codex-manager: error: ")
    assert labels() == list(KEYS)


def test_a_backup_under_another_key_replaces_nothing(accounts, tmp_path, monkeypatch):
    file = tmp_path / "backup"
    run("vault", "backup", str(file))
    run("vault", "rekey", "--key-stdin", stdin="a new master key\n")
    monkeypatch.setenv("CAM_MASTER_KEY", "a new master key")
    assert run("vault", "restore", str(file), "--yes").status == 3
    assert labels() == list(KEYS)


def test_path_is_the_vaults_place_whether_there_is_one_or_not(isolated_home):
    assert run("vault", "path").out == f"{isolated_home / 'vault.db'}\n"


def test_vault_init_makes_a_vault_and_no_configuration(master_key):
    assert run("vault", "init").status == 0
    with the_vault() as vault:
        assert vault.accounts() == []
    assert not Paths.locate().config_file.exists()
    assert "exists and stays as it is" in run("vault", "init").err


def test_a_file_that_is_no_vault_is_a_sentence(accounts):
    Paths.locate().vault_file.write_bytes(b"hello " * 1000)
    for command in (["list"], ["vault", "verify"], ["vault", "lock"], ["vault", "unlock"]):
        outcome = run(*command)
        assert outcome.status == 1
        assert "restore a backup" in outcome.err
        assert "Traceback" not in outcome.err
