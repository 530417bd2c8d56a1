"""Rotate, rekey, verify, backup and the lock."""

import os
import stat

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, is_locked, lock, new_account, read_header, unlock
from codex_manager.vault.errors import (
    BackupExistsError,
    VaultBusyError,
    VaultError,
    VaultLockedError,
    VaultTamperedError,
    WrongKeyError,
)


KEY = Secret("a master key for tests only")


def sealed_rows(vault):
    with vault._database.read():
        return dict(vault._database.connection.execute("SELECT id, sealed FROM record"))


def tamper(vault, label):
    account = vault.account(label)
    with vault._database.write():
        vault._database.connection.execute("UPDATE record SET sealed = 'AAAA' WHERE id = ?", (account.id,))
    return account.id


def test_rotate_seals_every_record_anew_under_the_same_master_key(filled, vault_file):
    before, header = sealed_rows(filled), filled.header
    accounts = filled.accounts()
    filled.rotate()
    after = sealed_rows(filled)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert filled.header.key_id != header.key_id
    assert filled.accounts() == accounts
    with Vault.open(vault_file, KEY) as again:
        assert again.accounts() == accounts


def test_nothing_of_the_old_key_stays_in_the_file(filled, vault_file):
    """Replaced values are overwritten with zeros, not just unlinked."""
    before, wrapped = sealed_rows(filled), filled.header.wrapped_key
    filled.rotate()
    filled.rekey(Secret("another"), profile=CHEAPEST)
    raw = vault_file.read_bytes()
    assert wrapped.encode() not in raw
    assert not [value for value in before.values() if value.encode() in raw]


def test_rotate_stops_at_a_tampered_record_and_changes_nothing(filled):
    bad = tamper(filled, "work")
    before, header = sealed_rows(filled), filled.header
    with pytest.raises(VaultTamperedError, match=bad):
        filled.rotate()
    assert sealed_rows(filled) == before
    assert filled.header == header


def test_rekey_changes_the_master_key_and_nothing_else(filled, vault_file):
    before = sealed_rows(filled)
    filled.rekey(Secret("another"), profile=CHEAPEST)
    assert sealed_rows(filled) == before
    with pytest.raises(WrongKeyError):
        Vault.open(vault_file, KEY)
    with Vault.open(vault_file, Secret("another")) as again:
        assert len(again.accounts()) == 3
    filled.rotate()  # this object knows the new key
    with Vault.open(vault_file, Secret("another")) as again:
        assert len(again.accounts()) == 3


def test_a_rekey_whose_key_could_not_be_kept_does_not_happen(filled, vault_file):
    """`before_commit` runs before anything is written."""

    def refuse(header):
        raise VaultError("the keyring is locked")

    with pytest.raises(VaultError, match="keyring"):
        filled.rekey(Secret("another"), profile=CHEAPEST, before_commit=refuse)
    with Vault.open(vault_file, KEY) as again:
        assert len(again.accounts()) == 3


def test_of_two_rekeys_at_once_one_is_told_to_try_again(filled, vault_file):
    with Vault.open(vault_file, KEY) as other, pytest.raises(VaultBusyError, match="another key from another process"):
        filled.rekey(
            Secret("mine"),
            profile=CHEAPEST,
            before_commit=lambda _: other.rekey(Secret("theirs"), profile=CHEAPEST),
        )
    with Vault.open(vault_file, Secret("theirs")) as again:
        assert len(again.accounts()) == 3


def test_verify_counts_and_finds_nothing_wrong(filled):
    report = filled.verify()
    assert (report.ok, report.accounts, report.client_keys, report.problems) == (True, 3, 2, ())
    assert (report.vault_id, report.format_version) == (filled.vault_id, 1)


def test_verify_lists_every_problem(filled, vault_file):
    """It does not stop at the first."""
    bad = [tamper(filled, "personal")]
    with filled._database.write():
        ask = filled._database.connection.execute
        other = ask("SELECT id FROM record WHERE kind = 'account' AND id != ?", bad).fetchone()[0]
        ask("UPDATE record SET sealed = 'BBBB' WHERE id = ?", (other,))
        ask("INSERT INTO record VALUES ('strange', 'x', 'CCCC')")
    os.chmod(vault_file, 0o644)
    problems = filled.verify().problems
    assert len(problems) == 4
    assert {bad[0], other} <= set(" ".join(problems).split())
    assert "1 records are of a kind" in problems[2]
    assert "other users may read the file" in problems[3]


def test_a_backup_is_private_sealed_and_opens(filled, tmp_path):
    copy = tmp_path / "copy.db"
    filled.backup(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert b"canary" not in copy.read_bytes()
    with Vault.open(copy, KEY) as again:
        assert again.accounts() == filled.accounts()
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]


def test_a_backup_never_overwrites(filled, tmp_path):
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(BackupExistsError, match="left alone"):
        filled.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_failed_backup_leaves_nothing_behind(filled, tmp_path):
    tamper(filled, "work")
    with pytest.raises(VaultTamperedError, match="the backup was not kept"):
        filled.backup(tmp_path / "copy.db")
    with pytest.raises(VaultError, match="no such file or directory"):
        filled.backup(tmp_path / "nowhere" / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_locked_vault_refuses_everybody_until_the_key_is_proven(filled, vault_file, tmp_path):
    filled.lock()
    assert is_locked(vault_file)
    for use in (filled.accounts, filled.rotate, filled.verify, lambda: filled.backup(tmp_path / "c.db")):
        with pytest.raises(VaultLockedError) as caught:
            use()
        assert caught.value.exit_code == 3
    with pytest.raises(VaultLockedError):
        filled.add(new_account("x", Secret("sk-x")))
    with pytest.raises(VaultLockedError):
        read_header(vault_file)
    lock(vault_file)
    unlock(vault_file, KEY)
    assert not is_locked(vault_file)
    with Vault.open(vault_file, KEY) as again:
        assert len(again.accounts()) == 3
    assert list(tmp_path.iterdir()) == []
