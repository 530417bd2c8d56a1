"""What can be wrong with the file, each one sentence with the cure."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, has_vault, new_account
from codex_manager.vault.errors import (
    VaultBusyError,
    VaultCorruptError,
    VaultError,
    VaultFullError,
    VaultHeaderRefusedError,
    VaultMissingError,
    VaultTooNewError,
    VaultUnreadableError,
)


KEY = Secret("a master key for tests only")


@contextlib.contextmanager
def raw(path):
    """The file as somebody without our code sees it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def opens_as(path, error, words):
    """Opening is the named error: one line, lower-case, no full stop, a hint; and the file is left as it is."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=words) as caught:
        Vault.open(path, KEY)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    assert message[0].islower()
    assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else None) == before


def test_the_file_is_private_from_its_first_moment_under_any_umask(tmp_path):
    """Umask 000, seen in the syscalls' effect and never changed after; the journal inherits the mode."""
    program = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        os.umask(0)
        def no(*_, **__): raise SystemExit("chmod was called")
        os.chmod = os.fchmod = no
        from codex_manager.core.secret import Secret
        from codex_manager.vault import *
        path = Path(sys.argv[1])
        with Vault.create(path, Secret("k"), profile=CHEAPEST) as vault:
            print(oct(path.stat().st_mode & 0o7777))
            with vault.transaction():
                vault.add(new_account("Work", Secret("sk-x")))
                vault._database.connection.execute("PRAGMA cache_spill = 1")
                print(oct(path.with_name("vault.db-journal").stat().st_mode & 0o7777))
            vault.backup(path.with_name("copy.db"))
            print(oct(path.with_name("copy.db").stat().st_mode & 0o7777))
            print(oct(path.parent.stat().st_mode & 0o7777), oct(path.parent.parent.stat().st_mode & 0o7777))
    """)
    path = tmp_path / "a" / "b" / "vault.db"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0o600", "0o600", "0o600", "0o700", "0o700"]


def test_the_file_is_kept_as_carefully_as_sqlite_can(vault):
    """Rollback journal, synchronous FULL, freed pages zeroed."""
    with vault._database.read():
        ask = vault._database.connection.execute
        values = [ask(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")]
    assert values == ["delete", 2, 1]


def test_a_missing_vault(tmp_path):
    opens_as(tmp_path / "vault.db", VaultMissingError, "there is no vault at")
    assert not has_vault(tmp_path / "vault.db")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_its_place(tmp_path):
    (tmp_path / "vault.db").mkdir()
    opens_as(tmp_path / "vault.db", VaultError, "vault.db")


def test_a_file_in_the_place_of_its_directory(tmp_path):
    (tmp_path / "file").write_text("x")
    opens_as(tmp_path / "file" / "vault.db", VaultUnreadableError, "cannot be reached: not a directory")
    with pytest.raises(VaultError, match="cannot be made"):
        Vault.create(tmp_path / "file" / "vault.db", KEY)


@pytest.mark.parametrize("content", [b"hello\n", b"SQLite format 3\0", os.urandom(8192), b"\0" * 4096, b"{}" * 5000])
def test_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "vault.db"
    path.write_bytes(content)
    opens_as(path, VaultCorruptError, "is damaged or is not a vault|is not a vault, or making it was interrupted")


def test_another_programs_database(tmp_path):
    path = tmp_path / "vault.db"
    with raw(path) as connection:
        connection.execute("CREATE TABLE cookies (a)")
    opens_as(path, VaultCorruptError, "is not a vault")
    with pytest.raises(VaultError):
        Vault.create(path, KEY)


def test_an_interrupted_creation_can_be_done_again(vault_file):
    """An empty file is no vault; making one completes it."""
    vault_file.parent.mkdir(parents=True)
    vault_file.touch(mode=0o600)
    opens_as(vault_file, VaultCorruptError, "making it was interrupted")
    assert not has_vault(vault_file)
    with Vault.create(vault_file, KEY, profile=CHEAPEST) as vault:
        assert vault.verify().ok


def test_every_truncation_is_a_named_error(filled, vault_file, tmp_path):
    """Cut at 40 places: never a traceback of another kind, never an opened vault with accounts missing unsaid."""
    filled.close()
    whole = vault_file.read_bytes()
    path = tmp_path / "cut.db"
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises(VaultError), Vault.open(path, KEY) as vault:  # noqa: PT012 - any of the steps may tell
            assert not vault.verify().ok
            vault.accounts()


def test_flipped_bytes_anywhere_in_the_file_never_crash(filled, vault_file, tmp_path):
    """300 places over the whole file: either all is as it was, or one of our errors, or `verify` names it."""
    labels = [account.label for account in filled.accounts()]
    filled.close()
    whole = vault_file.read_bytes()
    path = tmp_path / "flipped.db"
    for place in range(0, len(whole), max(1, len(whole) // 300)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x41
        path.write_bytes(flipped)
        with contextlib.suppress(VaultError), Vault.open(path, KEY) as vault:
            report = vault.verify()
            if report.ok:
                assert [account.label for account in vault.accounts()] == labels or report.accounts < 3


@pytest.mark.parametrize(
    ("statement", "error", "words"),
    [
        ("PRAGMA user_version = 2", VaultTooNewError, "has format 2, and this codex-manager knows formats up to 1"),
        ("DELETE FROM header", VaultCorruptError, "is not a vault"),
        ("DROP TABLE header", VaultCorruptError, "is not a vault"),
        ("UPDATE header SET json = '{}'", VaultHeaderRefusedError, "header is refused"),
        ("UPDATE header SET json = x'00'", VaultHeaderRefusedError, "header is refused"),
        ("UPDATE header SET json = CAST(x'ff' AS TEXT)", VaultCorruptError, "damaged"),
        ("UPDATE header SET generation = 'x'", VaultCorruptError, "is not a vault"),
        ("CREATE TRIGGER t AFTER UPDATE ON header BEGIN DELETE FROM record; END", VaultCorruptError, "triggers"),
    ],
)
def test_a_changed_database(vault, vault_file, statement, error, words):
    with raw(vault_file) as connection:
        connection.execute(statement)
    opens_as(vault_file, error, words)


def test_a_missing_table_of_records(vault, vault_file):
    with raw(vault_file) as connection:
        connection.execute("DROP TABLE record")
    with pytest.raises(VaultCorruptError):
        vault.accounts()


def test_a_vault_in_another_journal_mode_is_brought_back(vault, vault_file):
    """Somebody may have opened it with a tool that changed it."""
    vault.close()
    with raw(vault_file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with Vault.open(vault_file, KEY) as again:
        assert again.accounts() == []
    assert [path.name for path in vault_file.parent.iterdir()] == ["vault.db"]


def test_a_vault_held_by_another_process_is_busy_and_then_not(vault_file):
    with Vault.create(vault_file, KEY, profile=CHEAPEST):
        pass
    with Vault.open(vault_file, KEY, busy_timeout_s=0.1) as vault, raw(vault_file) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(VaultBusyError, match="in use by another process"):
            vault.accounts()
        with pytest.raises(VaultBusyError):
            vault.add(new_account("a", Secret("sk-x")))
        other.execute("ROLLBACK")
        vault.add(new_account("a", Secret("sk-x")))


def test_a_full_disk_changes_nothing(filled):
    """SQLite's own error, brought about by its page limit."""
    with filled._database.read():
        connection = filled._database.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(VaultFullError, match="is full; nothing was changed"):  # noqa: PT012 - which write finds it full is not known
        for n in range(100):
            filled.add(new_account(f"more {n}", Secret("sk-x"), notes="x" * 2000))
    assert filled.verify().ok
    assert filled.account("work")


def test_a_removed_vault_is_missed_and_not_made_again(filled, vault_file):
    """Deleted under an open vault: said at the next use."""
    vault_file.unlink()
    with pytest.raises(VaultMissingError):
        filled.accounts()
    with pytest.raises(VaultMissingError):
        filled.change_token()
    assert not vault_file.exists()


def test_a_vault_copied_over_is_followed(filled, vault_file, tmp_path):
    """`cp` of a copy into its place is the same as `restore` to whoever has it open."""
    shutil.copy(vault_file, tmp_path / "copy.db")
    filled.remove("work")
    (tmp_path / "copy.db").replace(vault_file)
    assert len(filled.accounts()) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work otherwise there")
@pytest.mark.parametrize(
    ("prepare", "action", "said"),
    [
        ("os.chmod(directory, 0o500)", "vault.edit('work', priority=1)", "VaultUnwritableError"),
        ("os.chmod(path, 0o400)", "vault.edit('work', priority=1)", "VaultUnwritableError"),
        ("os.chmod(path, 0o000)", "pass", "VaultUnreadableError"),
        ("os.chmod(directory, 0o000)", "pass", "VaultUnreadableError"),
        ("os.chmod(directory, 0o500)", "vault.backup(directory / 'copy.db')", "VaultUnwritableError"),
        ("os.chmod(directory, 0o500)", "Vault.create(directory / 'x' / 'v.db', KEY)", "VaultUnwritableError"),
        ("os.chmod(directory, 0o500)", "Vault.create(directory / 'v.db', KEY)", "VaultUnwritableError"),
        ("os.chmod(directory, 0o500)", "print(len(vault.accounts()))", "3"),
        ("os.chmod(path, 0o400)", "print(len(vault.accounts()))", "3"),
    ],
)
def test_what_may_not_be_written_or_read(filled, vault_file, tmp_path, prepare, action, said):
    """As an ordinary user: each one named error, and reading goes on where it can."""
    filled.close()
    directory = tmp_path / "d"
    directory.mkdir()
    shutil.copy(vault_file, directory / "vault.db")
    program = textwrap.dedent(f"""
        import ctypes, os, sys
        from pathlib import Path
        from codex_manager.core.secret import Secret
        from codex_manager.core.errors import CodexManagerError
        from codex_manager.vault import *
        directory = Path(sys.argv[1])
        path = directory / "vault.db"
        KEY = Secret("a master key for tests only")
        if os.getuid() == 0:  # without its capabilities root is held by a file's mode as everybody is
            version = (ctypes.c_uint32 * 2)(0x20080522, 0)
            assert ctypes.CDLL(None).capset(version, (ctypes.c_uint32 * 6)()) == 0
        {prepare}
        try:
            with Vault.open(path, KEY) as vault:
                {action}
        except CodexManagerError as error:
            assert error.hint
            print(type(error).__name__, error)
        finally:
            os.chmod(directory, 0o700)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.startswith(said), done.stdout + done.stderr
