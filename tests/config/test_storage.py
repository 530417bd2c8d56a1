import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from codex_manager.config import storage
from codex_manager.config.errors import ConfigError


def test_a_file_is_its_owners_alone_whatever_it_was_before(tmp_path):
    path = tmp_path / "f"
    path.touch(mode=0o644)
    old = os.umask(0)
    try:
        storage.write(path, "é\n")
    finally:
        os.umask(old)
    assert path.read_bytes() == "é\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("path", ["missing/f", "file/f"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        storage.write(tmp_path / path, "x")
    with pytest.raises(ConfigError, match="cannot be written"), storage.exclusive(tmp_path / path):
        pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_sentence(tmp_path):
    (tmp_path / "f").write_text("old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match="permission denied"):
            storage.write(tmp_path / "f", "new")
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "f").read_text() == "old"


def test_a_lock_that_is_held_is_waited_for_and_then_named(tmp_path):
    with storage.exclusive(tmp_path / "f"):
        started = time.monotonic()
        with (
            pytest.raises(ConfigError, match="being changed by another process"),
            storage.exclusive(tmp_path / "f", patience_s=0.1),
        ):
            pass
        assert time.monotonic() - started < 5
    with storage.exclusive(tmp_path / "f", patience_s=0.1):
        pass


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from codex_manager.config import storage\n"
        "with storage.exclusive(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "f")], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGKILL)
    with storage.exclusive(tmp_path / "f", patience_s=0.1):
        pass
