"""The proxy as a process lets itself be found, and ends with the last command when it was started for commands."""

import json
import signal
import socket
import subprocess
import sys

from typing import Any

import pytest

from tests.support import MASTER_KEY, account, make_home, running_proxy, wait_for

from codex_manager import __version__
from codex_manager.config import presence, tenancy


Popen: Any = subprocess.Popen  # its pipes are there
running: Any = presence.running


@pytest.fixture
def home(isolated_home):
    return make_home(isolated_home, [account("one", "sk-one")])


def test_it_is_announced_while_it_listens_and_no_longer(home):
    with running_proxy(home) as proxy:
        assert wait_for(lambda: running(home.path) is not None)
        document = json.loads((home.path / "proxy.json").read_text())
        assert document.pop("started").endswith("Z")
        assert document == {
            "pid": proxy.process.pid, "host": "127.0.0.1", "port": proxy.port, "version": __version__,
            "for_commands": False, "detached": False, "service": False, "web": "", "log": "",
            "arguments": ["--bind", f"127.0.0.1:{proxy.port}"],
        }  # fmt: skip
        assert (home.path / "proxy.json").stat().st_mode & 0o777 == 0o600
    assert not (home.path / "proxy.json").exists()


def test_killed_it_leaves_a_file_that_nobody_believes(home):
    with running_proxy(home) as proxy:
        assert wait_for(lambda: running(home.path) is not None)
        proxy.process.send_signal(signal.SIGKILL)
        proxy.process.wait(5)
    assert (home.path / "proxy.json").exists()
    assert running(home.path) is None


@pytest.mark.slow
def test_the_second_proxy_of_a_home_serves_without_being_found(home):
    with running_proxy(home) as first:
        assert wait_for(lambda: running(home.path) is not None)
        with running_proxy(home):
            assert running(home.path).port == first.port
        assert running(home.path).port == first.port


def test_a_folder_that_cannot_be_written_keeps_nobody_from_serving(home):
    (home.path / "proxy.lock").mkdir()
    with running_proxy(home) as proxy:
        assert wait_for(lambda: "will not find this proxy" in proxy.said())


def test_started_for_commands_it_ends_with_the_last_one(home):
    """Handed a socket that listens, and the master key by its standard input."""
    tenant = tenancy.enter(home.path)
    another = tenancy.enter(home.path)
    environ = {name: value for name, value in home.environ().items() if name != "CAM_MASTER_KEY"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        process = Popen(
            [sys.executable, "-m", "codex_manager.proxy", "--while-used", "--master-key-stdin",
             f"--listen-fd={listening.fileno()}"],
            env=environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[listening.fileno()], text=True,
        )  # fmt: skip
    try:
        process.stdin.write(f"{MASTER_KEY}\n")
        process.stdin.close()
        assert wait_for(lambda: running(home.path) is not None, 15)
        found = running(home.path)
        assert (found.port, found.for_commands) == (port, True)
        tenant.leave(cleared=True)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        another.leave(cleared=True)
        assert process.wait(5) == 0
        said = process.stderr.read()
        assert "1 account in use" in said
        assert "no command uses this proxy any more" in said
        assert MASTER_KEY not in said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
        process.stderr.close()


def test_without_a_key_on_its_standard_input_it_was_not_needed(home):
    """Another proxy was found meanwhile: it ends without a word."""
    ended = subprocess.run(
        [sys.executable, "-m", "codex_manager.proxy", "--while-used", "--master-key-stdin"],
        env=home.environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
