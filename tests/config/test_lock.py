"""A lock is held by one process and ends with it, however it ends."""

import os
import signal
import subprocess
import sys

from typing import Any

from codex_manager.config import lock


Popen: Any = subprocess.Popen  # its pipes are there
take: Any = lock.take

HOLD = (
    "import sys; from pathlib import Path; from codex_manager.config import lock; held = lock.take(Path(sys.argv[1]));"
    " print(held is not None, flush=True); sys.stdin.read()"
)


def holder(path):
    process = Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    return process


def test_a_lock_is_held_until_it_is_released(tmp_path):
    path = tmp_path / "x.lock"
    assert not lock.is_held(path)
    held = take(path)
    assert lock.is_held(path)
    assert take(path) is None
    held.release()
    held.release()
    assert not lock.is_held(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "x.lock"
    with holder(path) as process:
        assert lock.is_held(path)
        process.send_signal(signal.SIGKILL)
        process.wait(5)
        assert not lock.is_held(path)


def test_a_program_that_is_started_does_not_inherit_it(tmp_path):
    path = tmp_path / "x.lock"
    held = take(path)
    child = Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        held.release()
        assert not lock.is_held(path)
    finally:
        child.communicate(timeout=5)


def test_looking_takes_nothing_away(tmp_path):
    path = tmp_path / "x.lock"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    for _ in range(100):
        assert not lock.is_held(path)
    assert take(path) is not None
