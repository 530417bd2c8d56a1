"""A backup takes the vault's place, or nothing happens."""

import contextlib
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, new_account
from codex_manager.vault.errors import VaultCorruptError, VaultError, WrongKeyError
from codex_manager.vault.restore import restore


KEY = Secret("a master key for tests only")


@pytest.fixture
def backup(filled, tmp_path):
    filled.backup(tmp_path / "copy.db")
    return tmp_path / "copy.db"


def names(directory):
    return sorted(path.name.partition(".replaced-")[0] for path in directory.iterdir())


def test_the_replaced_vault_is_kept_aside(filled, backup, vault_file):
    filled.add(new_account("New", Secret("sk-x")))
    filled.close()
    aside = restore(vault_file, backup, KEY)
    assert aside is not None
    assert stat.S_IMODE(vault_file.stat().st_mode) == 0o600
    with Vault.open(vault_file, KEY) as now, Vault.open(aside, KEY) as old:
        assert (len(now.accounts()), len(old.accounts())) == (3, 4)
    assert names(vault_file.parent) == ["vault.db", "vault.db"]
    assert backup.exists()


def test_a_backup_restores_to_where_there_is_no_vault(backup, tmp_path):
    path = tmp_path / "new" / "place" / "vault.db"
    assert restore(path, backup, KEY) is None
    with Vault.open(path, KEY) as vault:
        assert len(vault.accounts()) == 3
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_backup_replaces_a_damaged_vault(filled, backup, vault_file):
    """Whatever lies beside the damaged file goes with it, so that it is not taken for the restored one's."""
    filled.close()
    vault_file.write_bytes(b"damaged" * 2000)
    vault_file.with_name("vault.db-journal").write_bytes(bytes(512))
    aside = restore(vault_file, backup, KEY)
    assert aside is not None
    assert aside.read_bytes() == b"damaged" * 2000
    assert aside.with_name(aside.name + "-journal").read_bytes() == bytes(512)
    assert not vault_file.with_name("vault.db-journal").exists()
    with Vault.open(vault_file, KEY) as vault:
        assert vault.verify().ok


def test_a_journal_left_by_a_killed_process_does_not_reach_the_restored_vault(filled, backup, vault_file):
    """It is rolled back into the vault it belongs to, which is then kept aside."""
    filled.close()
    program = textwrap.dedent("""
        import os, sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM record")
        for n in range(300):  # more than the cache holds, so pages are written before any commit
            connection.execute("INSERT INTO record VALUES ('x', ?, ?)", (n, "y" * 2000))
        os.kill(os.getpid(), 9)
    """)
    subprocess.run([sys.executable, "-c", program, str(vault_file)], timeout=30, check=False)
    assert vault_file.with_name("vault.db-journal").exists()
    aside = restore(vault_file, backup, KEY)
    assert aside is not None
    for path in (vault_file, aside):
        with Vault.open(path, KEY) as vault:
            assert vault.verify().ok
            assert len(vault.accounts()) == 3
    assert names(vault_file.parent) == ["vault.db", "vault.db"]


@pytest.mark.parametrize("case", ["wrong key", "not a vault", "tampered", "truncated", "missing"])
def test_nothing_moves_for_a_backup_that_does_not_open(filled, backup, vault_file, case):
    key = KEY
    if case == "wrong key":
        key = Secret("wrong")
    elif case == "not a vault":
        backup.write_text("hello")
    elif case == "tampered":
        with contextlib.closing(sqlite3.connect(backup)) as connection, connection:
            connection.execute("UPDATE record SET sealed = 'AAAA' WHERE kind = 'client_key'")
    elif case == "truncated":
        backup.write_bytes(backup.read_bytes()[:9000])
    else:
        backup.unlink()
    before = vault_file.read_bytes()
    with pytest.raises(VaultError) as caught:
        restore(vault_file, backup, key)
    assert isinstance(caught.value, WrongKeyError if case == "wrong key" else VaultError)
    if case == "tampered":
        assert isinstance(caught.value, VaultCorruptError)
    assert vault_file.read_bytes() == before
    assert [path.name for path in vault_file.parent.iterdir()] == ["vault.db"]


def test_a_backup_of_another_vault_takes_its_key_along(filled, vault_file, tmp_path):
    """The process that had the old one open is told what to do."""
    with Vault.create(tmp_path / "other.db", Secret("theirs"), profile=CHEAPEST) as other:
        other.add(new_account("Theirs", Secret("sk-x")))
    restore(vault_file, tmp_path / "other.db", Secret("theirs"))
    with pytest.raises(WrongKeyError, match="another master key since"):
        filled.accounts()
    with Vault.open(vault_file, Secret("theirs")) as now:
        assert [account.label for account in now.accounts()] == ["Theirs"]


def test_a_link_to_the_vault_stays_a_link(filled, backup, vault_file, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(vault_file)
    restore(link, backup, KEY)
    assert link.is_symlink()
    assert len(filled.accounts()) == 3
