"""kill -9 in the middle of `rotate` and `rekey`: the vault opens with exactly one of old and new, all accounts there."""

import os
import shutil
import subprocess
import sys

from pathlib import Path

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import Vault
from codex_manager.vault.errors import WrongKeyError
from codex_manager.vault.upkeep import read_header


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")

KEY, NEW_KEY = Secret("a master key for tests only"), Secret("another master key")
CHILD = Path(__file__).with_name("crash_child.py")
POINTS = 60


@pytest.fixture
def child():
    """One interpreter for all points; it forks for each."""
    process = subprocess.Popen([sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(operation, step, path):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{operation} {step} {path}\n")
        process.stdin.flush()
        return process.stdout.readline().split()

    yield ask
    process.communicate(timeout=10)


def opened_with(path):
    """Which of the two keys opens it, and proof that all is there."""
    which = []
    for name, key in (("old", KEY), ("new", NEW_KEY)):
        try:
            with Vault.open(path, key) as vault:
                assert [account.label for account in vault.accounts()] == ["Personal", "Work", "Client"]
                assert [account.api_key.reveal() for account in vault.accounts()] == [
                    "sk-canary-Personal",
                    "sk-canary-Work",
                    "sk-canary-Client",
                ]
                assert [key.name for key in vault.client_keys()] == ["laptop", "ci"]
                assert vault.pinned_account() == vault.account("Work").id
                report = vault.verify()
                assert report.ok, report.problems
                vault.edit("work", priority=1)  # and it can be written to
            which.append(name)
        except WrongKeyError:
            pass
    return which


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["rotate", "rekey"])
def test_a_kill_at_any_step_leaves_exactly_one_of_old_and_new(filled, vault_file, tmp_path, child, operation):
    """Up to sixty points spread over all steps that SQLite takes, the first and the last among them."""
    filled.close()
    old = read_header(vault_file)
    trial = tmp_path / "trial.db"
    shutil.copy(vault_file, trial)
    said, steps, status = child(operation, 0, trial)
    assert (said, status) == ("done", "0")
    last = int(steps)
    assert last >= 20
    points = sorted({1 + n * (last - 1) // (POINTS - 1) for n in range(POINTS)})
    outcomes = set()
    for step in points:
        shutil.copy(vault_file, trial)
        assert child(operation, step, trial) == ["killed"]
        which = opened_with(trial)
        now = read_header(trial)
        if operation == "rotate":
            assert which == ["old"]  # the master key stays; the data key is one or the other
            outcomes.add("new" if now.key_id != old.key_id else "old")
        else:
            assert len(which) == 1, f"step {step}: {which}"
            outcomes |= set(which)
    assert len(points) >= 20
    assert "old" in outcomes


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("operation", ["rotate", "rekey"])
def test_a_kill_at_any_write_of_the_commit_leaves_exactly_one_of_old_and_new(filled, vault_file, tmp_path, operation):
    """Finer than SQLite's own steps: SIGKILL at the Nth write, sync or unlink, until the commit outruns the kill."""
    filled.close()
    old = read_header(vault_file)
    trial, journal = tmp_path / "trial.db", tmp_path / "trial.db-journal"
    calls = "pwrite64,fdatasync,fsync,unlink,ftruncate"
    program = (
        "import sys; from pathlib import Path; from codex_manager.core.secret import Secret;"
        "from codex_manager.vault import *;"
        f"vault = Vault.open(Path({str(trial)!r}), Secret({KEY.reveal()!r}));"
        + (
            "vault.rotate()"
            if operation == "rotate"
            else f"vault.rekey(Secret({NEW_KEY.reveal()!r}), profile=CHEAPEST)"
        )
    )
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(trial), "-P", str(journal), "-e", f"trace={calls}"]
    outcomes, hot = [], 0
    for nth in range(1, 60):
        journal.unlink(missing_ok=True)
        shutil.copy(vault_file, trial)
        inject = f"inject={calls}:signal=SIGKILL:when={nth}"
        done = subprocess.run(
            [*strace, "-e", inject, sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
            pytest.skip("this system does not let strace trace")
        if done.returncode == 0:
            break
        hot += journal.exists()
        which = opened_with(trial)
        assert len(which) == 1, f"write {nth}: {which}"
        outcomes.append(
            which[0] if operation == "rekey" else ("new" if read_header(trial).key_id != old.key_id else "old")
        )
    assert len(outcomes) >= 10, outcomes
    assert hot >= 5, "most kills must leave a journal that the next opening rolls back"
    assert outcomes == sorted(outcomes, reverse=True), "once it is new it stays new"
