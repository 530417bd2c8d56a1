"""Locks that end with their process."""

import os
import stat
import subprocess
import sys
import threading
import time

import pytest

from codex_manager.ledger.lock import Lock, take


def taken(path) -> Lock:
    lock = take(path)
    assert lock is not None
    return lock


def test_one_holds_it_the_next_gets_it_afterwards(tmp_path):
    path = tmp_path / "a.lock"
    first = take(path)
    assert first is not None
    assert take(path) is None
    first.release()
    first.release()
    second = take(path)
    assert second is not None
    second.release()


def test_the_file_is_the_owners_alone(tmp_path):
    previous = os.umask(0)
    try:
        lock = taken(tmp_path / "a.lock")
    finally:
        os.umask(previous)
    lock.release()
    assert stat.S_IMODE((tmp_path / "a.lock").stat().st_mode) == 0o600


def test_patience_is_rewarded_when_it_is_released(tmp_path):
    first = taken(tmp_path / "a.lock")
    threading.Timer(0.05, first.release).start()
    second = take(tmp_path / "a.lock", patience_s=10)
    assert second is not None
    second.release()


def test_patience_ends(tmp_path):
    first = taken(tmp_path / "a.lock")
    began = time.monotonic()
    assert take(tmp_path / "a.lock", patience_s=0.05) is None
    assert time.monotonic() - began >= 0.05
    first.release()


def test_a_lock_that_cannot_be_made_is_the_systems_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        take(tmp_path / "nowhere" / "a.lock")


def test_a_killed_process_holds_nothing(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from codex_manager.ledger.lock import take;"
        "lock = take(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, tmp_path / "a.lock"], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        assert take(tmp_path / "a.lock") is None
        holder.kill()
        holder.wait(10)
    lock = take(tmp_path / "a.lock", patience_s=10)
    assert lock is not None
    lock.release()
