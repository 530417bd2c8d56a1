"""The log's file is the owner's alone, bounded, and still written to when somebody else has moved it."""

import logging
import os
import subprocess
import sys

import pytest

from codex_manager.proxy.log_file import LogFile


@pytest.fixture
def log(tmp_path):
    handler = LogFile(tmp_path / "proxy.log", max_bytes=100, backups=2)
    handler.setFormatter(logging.Formatter("%(message)s"))
    yield handler
    handler.close()


def write(handler, *lines):
    for line in lines:
        handler.handle(logging.makeLogRecord({"msg": line}))


def contents(folder):
    return {path.name: path.read_text().split() for path in folder.iterdir()}


def test_nobody_else_may_read_it_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        LogFile(tmp_path / "proxy.log").close()
    finally:
        os.umask(before)
    assert (tmp_path / "proxy.log").stat().st_mode & 0o777 == 0o600


def test_it_goes_on_with_what_is_there(log, tmp_path):
    write(log, "one")
    log.close()
    again = LogFile(tmp_path / "proxy.log")
    write(again, "two")
    again.close()
    assert contents(tmp_path) == {"proxy.log": ["one", "two"]}


def test_what_has_grown_is_put_aside_and_the_oldest_goes(log, tmp_path):
    write(log, *(str(number) * 60 for number in range(5)))
    assert contents(tmp_path) == {"proxy.log": ["4" * 60], "proxy.log.1": ["3" * 60], "proxy.log.2": ["2" * 60]}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_without_backups_it_begins_anew(log, tmp_path):
    log.backups = 0
    write(log, "x" * 90, "y" * 90)
    assert contents(tmp_path) == {"proxy.log": ["y" * 90]}


@pytest.mark.parametrize("removed", [True, False])
def test_a_file_that_somebody_moved_is_made_anew(log, tmp_path, removed):
    write(log, "one")
    if removed:
        log.path.unlink()
    else:
        log.path.rename(tmp_path / "elsewhere")
    write(log, "two")
    assert contents(tmp_path)["proxy.log"] == ["two"]


def test_a_file_that_cannot_be_written_loses_lines_and_nothing_else(log, tmp_path):
    log.path.unlink()
    log.path.mkdir()
    write(log, "lost")
    log.path.rmdir()
    write(log, "kept")
    assert contents(tmp_path) == {"proxy.log": ["kept"]}


def test_a_link_is_not_followed_into_the_files_of_others(tmp_path):
    (tmp_path / "proxy.log").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        LogFile(tmp_path / "proxy.log")
    assert not (tmp_path / "precious").exists()


def test_stdout_and_stderr_follow_the_file(tmp_path):
    code = f"""
import os
from pathlib import Path
import logging
from codex_manager.proxy.log_file import LogFile
log = LogFile(Path({str(tmp_path / "proxy.log")!r}), max_bytes=30, backups=1, with_stdio=True)
log.setFormatter(logging.Formatter("%(message)s"))
os.write(2, b"first\\n")
log.handle(logging.makeLogRecord(dict(msg="x" * 20)))
log.handle(logging.makeLogRecord(dict(msg="y" * 20)))
os.write(1, b"last\\n")
log.close()
os.write(2, b"words\\n")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    assert contents(tmp_path) == {"proxy.log.1": ["first", "x" * 20], "proxy.log": ["y" * 20, "last", "words"]}
