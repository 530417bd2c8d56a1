"""Several processes and threads on one vault."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, lock, new_account, unlock
from codex_manager.vault.errors import VaultLockedError, WrongKeyError
from codex_manager.vault.restore import restore


KEY = Secret("a master key for tests only")


def test_what_one_process_wrote_another_reads(elsewhere, vault):
    """The first test: nothing lives in the process that wrote it."""
    elsewhere("""
        vault.add(new_account("Personal", Secret("sk-one"), organization="org-one", models=("gpt-*", "!gpt-4*"),
                              daily_limit_usd=2.5, priority=3, weight=0.5, enabled=False, admin_key=Secret("sk-admin"),
                              tags=("a", "b"), notes="n"))
        print(vault.add_client_key("laptop")[0].digest.hex())
        vault.pin(vault.account("personal").id)
    """)
    account = vault.account("personal")
    assert (account.label, account.api_key.reveal(), account.organization) == ("Personal", "sk-one", "org-one")
    assert (account.models, account.tags, account.admin_key) == (("gpt-*", "!gpt-4*"), ("a", "b"), Secret("sk-admin"))
    assert (account.daily_limit_usd, account.priority, account.weight, account.enabled) == (2.5, 3, 0.5, False)
    assert [key.name for key in vault.client_keys()] == ["laptop"]
    assert vault.pinned_account() == account.id


def test_the_file_shows_nothing_of_what_it_holds(filled, vault_file):
    """No label, organization, key or client name is in the file, not even in other letter case."""
    raw = vault_file.read_bytes().lower()
    for word in (b"canary", b"personal", b"work", b"client\x00", b"org-", b"sk-", b"laptop"):
        assert word not in raw.replace(b"client_key", b""), word


def test_two_processes_write_at_once_and_nothing_is_lost(vault, vault_file):
    """Twenty accounts from each of three processes, all there in the end."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from codex_manager.core.secret import Secret
        from codex_manager.vault import *
        with Vault.open(Path(sys.argv[1]), Secret(sys.argv[2])) as vault:
            for n in range(20):
                vault.add(new_account(f"{sys.argv[3]}-{n}", Secret("sk-x")))
    """)
    writers = [subprocess.Popen([sys.executable, "-c", program, str(vault_file), KEY.reveal(), name]) for name in "abc"]
    assert [writer.wait(timeout=40) for writer in writers] == [0, 0, 0]
    assert len(vault.accounts()) == 60


def test_only_one_of_two_processes_gets_a_label(vault, vault_file):
    """The label is unique because the transaction decides, not the look before it."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from codex_manager.core.secret import Secret
        from codex_manager.vault import *
        from codex_manager.vault.errors import LabelTakenError
        won = 0
        with Vault.open(Path(sys.argv[1]), Secret(sys.argv[2])) as vault:
            for n in range(20):
                try:
                    vault.add(new_account(f"Label-{n}" if sys.argv[3] == "a" else f"LABEL-{n}", Secret("sk-x")))
                    won += 1
                except LabelTakenError:
                    pass
        print(won)
    """)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(vault_file), KEY.reveal(), name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    won = [int(racer.communicate(timeout=40)[0]) for racer in racers]
    assert sum(won) == 20
    assert len(vault.accounts()) == 20


def test_a_reader_goes_on_while_the_vault_is_rotated(filled, elsewhere, vault_file):
    """Thirty rotations elsewhere; every read here sees all accounts."""
    program = "for _ in range(30): vault.rotate()"
    reads, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            reads.append(len(filled.accounts()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        elsewhere(program)
    finally:
        stop.set()
        reader.join(timeout=10)
    assert set(reads) == {3}
    assert filled.verify().ok


def test_threads_share_one_vault(vault):
    """The connection may be used from any thread; one transaction at a time."""
    failures = []

    def work(name):
        try:
            for n in range(10):
                vault.add(new_account(f"{name}-{n}", Secret("sk-x")))
                vault.accounts()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert failures == []
    assert len(vault.accounts()) == 40


@pytest.mark.parametrize(
    "change",
    [
        "vault.add(new_account('Other', Secret('sk-x')))",
        "vault.edit('work', priority=7)",
        "vault.remove('work')",
        "vault.pin(None)",
        "vault.add_client_key('phone')",
        "vault.revoke_client_key('ci')",
        "vault.rotate()",
        "vault.rekey(Secret('another'), profile=CHEAPEST)",
        "vault.lock()",
        "backup = path.with_name('copy.db'); vault.backup(backup); from codex_manager.vault.restore import restore; restore(path, backup, Secret(os.environ['TEST_KEY']))",
    ],
)
def test_the_change_token_tells_of_every_change_elsewhere(filled, elsewhere, change):
    """Whatever another process does to the vault, the token is another one after it; without a change it stays."""
    before = filled.change_token()
    assert filled.change_token() == before
    elsewhere(change)
    assert filled.change_token() != before


def test_a_lock_elsewhere_takes_the_keys_from_this_process(filled, elsewhere, vault_file):
    """One look at the token drops the keys; after `unlock` the vault is opened anew."""
    kek, dek = filled._kek, filled._dek
    elsewhere("vault.lock()")
    filled.change_token()
    assert (bytes(kek), bytes(dek)) == (b"", b"")
    with pytest.raises(VaultLockedError, match="is locked"):
        filled.accounts()
    with pytest.raises(VaultLockedError):
        Vault.open(vault_file, KEY)
    unlock(vault_file, KEY)
    with pytest.raises(VaultLockedError, match="its keys are gone"):
        filled.accounts()
    with Vault.open(vault_file, KEY) as again:
        assert len(again.accounts()) == 3


def test_a_rekey_elsewhere_leaves_this_process_serving(filled, elsewhere, vault_file):
    """The data key stays, so a running proxy goes on; only opening anew asks for the new key."""
    elsewhere("vault.rekey(Secret('another'), profile=CHEAPEST)")
    assert len(filled.accounts()) == 3
    filled.edit("work", priority=5)
    with pytest.raises(WrongKeyError):
        Vault.open(vault_file, KEY)
    with Vault.open(vault_file, Secret("another")) as again:
        assert again.account("work").priority == 5


def test_after_rekey_and_rotate_elsewhere_this_process_says_what_to_do(filled, elsewhere):
    """Neither key held here opens it any more: one named error."""
    elsewhere("vault.rekey(Secret('another'), profile=CHEAPEST); vault.rotate()")
    with pytest.raises(WrongKeyError, match="another master key since") as caught:
        filled.accounts()
    assert caught.value.hint == "start this process again"
    assert caught.value.exit_code == 3


def test_a_process_that_does_not_know_the_new_master_key_cannot_rotate(filled, elsewhere):
    """It would wrap the new data key under the old master key."""
    elsewhere("vault.rekey(Secret('another'), profile=CHEAPEST)")
    with pytest.raises(WrongKeyError):
        filled.rotate()
    assert len(filled.accounts()) == 3


def test_a_restored_file_is_noticed_and_written_to(filled, vault_file, tmp_path):
    """The open vault follows the path, not the file it had: a change after `restore` is in the restored vault."""
    filled.backup(tmp_path / "copy.db")
    filled.remove("work")
    aside = restore(vault_file, tmp_path / "copy.db", KEY)
    assert aside is not None
    assert len(filled.accounts()) == 3
    filled.edit("work", priority=9)
    with Vault.open(vault_file, KEY) as now, Vault.open(aside, KEY) as old:
        assert now.account("work").priority == 9
        assert [account.label for account in old.accounts()] == ["Personal", "Client"]


def test_two_processes_that_make_a_vault_at_once_make_one(vault_file):
    """Exactly one creation wins; the other is told."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from codex_manager.core.secret import Secret
        from codex_manager.vault import *
        from codex_manager.vault.errors import VaultExistsError
        try:
            Vault.create(Path(sys.argv[1]), Secret(sys.argv[2]), profile=CHEAPEST).close()
            print("made")
        except VaultExistsError:
            print("exists")
    """)
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(vault_file), name], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        for name in "abcd"
    ]
    said = [maker.communicate(timeout=40)[0].strip() for maker in makers]
    assert sorted(said) == ["exists", "exists", "exists", "made"]
    with Vault.open(vault_file, Secret("abcd"[said.index("made")])) as vault:
        assert vault.verify().ok


def test_lock_needs_no_key_and_unlock_does(vault, vault_file):
    """Locking in a hurry must work; unlocking proves the key."""
    lock(vault_file)
    with pytest.raises(WrongKeyError):
        unlock(vault_file, Secret("wrong"))
    with pytest.raises(VaultLockedError):
        vault.accounts()
    unlock(vault_file, KEY)
    with Vault.open(vault_file, KEY) as again:
        assert again.accounts() == []


def test_the_vault_made_by_the_default_profile_opens(vault_file):
    """RFC 9106's second option, once, for real."""
    Vault.create(vault_file, KEY).close()
    with Vault.open(vault_file, KEY) as vault:
        assert (vault.header.kdf.time_cost, vault.header.kdf.memory_kib, vault.header.kdf.parallelism) == (3, 65536, 4)
    assert CHEAPEST.memory_cost == 8
