"""The announcement of a running proxy: whole, private, one a home, and worth nothing once its process is gone."""

import json
import os
import stat
import subprocess
import sys

from typing import Any

import pytest

from codex_manager.config import presence, storage
from codex_manager.core.secret import Secret


announce: Any = presence.announce

PROXY = presence.RunningProxy(pid=os.getpid(), host="127.0.0.1", port=8080, version="1", started="2026-01-01T00:00:00Z")
OTHER = presence.RunningProxy(pid=os.getpid(), host="127.0.0.1", port=8081, version="1", started="2026-01-01T00:00:00Z")


def test_what_is_announced_is_found_until_it_is_withdrawn(tmp_path):
    here = announce(tmp_path, PROXY)
    assert presence.running(tmp_path) == PROXY
    assert repr(here) == "<Presence 127.0.0.1:8080 announced>"
    here.withdraw()
    here.withdraw()
    assert presence.running(tmp_path) is None
    assert not (tmp_path / presence.FILE).exists()


def test_the_file_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        here = announce(tmp_path, PROXY)
    finally:
        os.umask(before)
    assert (tmp_path / presence.FILE).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / presence.FILE).read_text()) == {
        "pid": os.getpid(), "host": "127.0.0.1", "port": 8080, "version": "1", "started": "2026-01-01T00:00:00Z",
        "for_commands": False, "detached": False, "service": False, "web": "", "log": "", "arguments": [],
    }  # fmt: skip
    here.withdraw()


def test_the_first_proxy_of_a_home_stays_announced(tmp_path):
    first = announce(tmp_path, PROXY)
    assert announce(tmp_path, OTHER) is None
    assert presence.running(tmp_path) == PROXY
    first.withdraw()
    second = announce(tmp_path, OTHER)
    assert presence.running(tmp_path) == OTHER
    second.withdraw()


def test_a_file_without_its_process_is_stale(tmp_path):
    """Even though the process id in it is alive: ids are used again."""
    code = (
        "import os, sys; from pathlib import Path; from codex_manager.config import presence as p;"
        f" p.announce(Path(sys.argv[1]), p.RunningProxy(pid={os.getpid()}, host='h', port=1, version='1', started=''));"
        " os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=20, check=False)
    assert (tmp_path / presence.FILE).exists()
    assert presence.running(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"pid": 1}', '{"pid":"1","host":"h","port":1,"version":"1","started":""}',
     '{"pid":1,"host":"h","port":99999,"version":"1","started":""}', "\x00"],
)  # fmt: skip
def test_a_file_that_says_nothing_is_nobody(tmp_path, text):
    here = announce(tmp_path, PROXY)
    (tmp_path / presence.FILE).write_text(text)
    assert presence.running(tmp_path) is None
    here.withdraw()


def test_a_folder_that_is_not_there_holds_nobody(tmp_path):
    assert presence.running(tmp_path / "no") is None


def test_its_token_is_in_a_private_file_of_its_own(tmp_path):
    assert presence.token(tmp_path) is None
    previous = os.umask(0)
    try:
        here = announce(tmp_path, PROXY, Secret("the token"))
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / presence.TOKEN_FILE).stat().st_mode) == 0o600
    assert presence.token(tmp_path) == Secret("the token")
    assert "the token" not in (tmp_path / presence.FILE).read_text()
    here.withdraw()
    assert presence.token(tmp_path) is None
    assert not (tmp_path / presence.TOKEN_FILE).exists()


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_token_file_that_says_nothing_is_none(tmp_path, content):
    (tmp_path / presence.TOKEN_FILE).write_bytes(content)
    assert presence.token(tmp_path) is None


def test_what_was_left_by_one_that_was_killed_is_gone_before_the_lock_vouches_for_it(tmp_path, monkeypatch):
    """Between the lock and the new file somebody may look, and send a signal to the id they find."""
    (tmp_path / presence.FILE).write_text(
        json.dumps({"pid": 4711, "host": "h", "port": 1, "version": "1", "started": ""})
    )
    seen = []
    write = storage.write

    def looked_at(*given):
        seen.append(presence.running(tmp_path))
        write(*given)

    monkeypatch.setattr(storage, "write", looked_at)
    announce(tmp_path, PROXY, Secret("t")).withdraw()
    assert seen == [None, None]


def test_all_that_is_announced_is_found(tmp_path):
    about = presence.RunningProxy(
        pid=1,
        host="h",
        port=1,
        version="1",
        started="",
        detached=True,
        service=True,
        web="w:1",
        log="/l",
        arguments=("--a", "b"),
    )
    here = announce(tmp_path, about)
    assert presence.running(tmp_path) == about
    here.withdraw()
