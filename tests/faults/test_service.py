"""The service in a systemd user instance of its own: installed, harmed, stopped, taken away; and the proxy as its module starts it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

from pathlib import Path

import pytest

from tests.support import START_TIMEOUT, account, make_home, stop


pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TREES = [Path("/sys/fs/cgroup") / name for name in ("systemd", "unified", ".")]


def test_the_service_in_a_user_instance_of_systemd(tmp_path, capsys):
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("namespaces for a systemd of its own take root")
    if not Path("/lib/systemd/systemd").exists() or not all(map(shutil.which, ("unshare", "setpriv", "dbus-daemon"))):
        pytest.skip("no systemd, or not all that it needs")
    if subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "true"], capture_output=True, check=False, timeout=10
    ).returncode:
        pytest.skip("this machine allows no namespaces")
    group = f"codex-manager-test-{os.getpid()}"
    if not any((tree / "cgroup.procs").exists() for tree in TREES):
        pytest.skip("no cgroups for systemd")
    command = [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", HERE / "systemd_session.sh", group, tmp_path,
        sys.prefix, sys.base_prefix, ROOT, HERE / "systemd_driver.py",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    finally:
        for tree in TREES:
            for folder in sorted((tree / group).rglob("*/"), reverse=True) if (tree / group).is_dir() else ():
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                (tree / group).rmdir()
    if done.returncode == 77:
        pytest.skip(done.stderr)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    told = json.loads(done.stdout)
    with capsys.disabled():
        print(
            f"\nservice: back {told['back after kill -9']} s after kill -9; drained 100 streams in {told['drained in']} s"
        )

    assert told["install"][0] == 0, told["install"]
    assert told["verify"] == [0, "", ""]
    status = json.loads(told["status"][1])
    assert (told["status"][0], status["running"], status["at_login"]) == (0, True, True)
    assert told["answer"] == 200
    assert told["shut in"]["NoNewPrivs"] == "1"
    assert told["shut in"]["Seccomp"] == "2"
    own = {"/home/user/.config/codex-manager", "/home/user/.local/share/codex-manager"}
    assert set(told["shut in"]["files"]) - {"/tmp"} == own, "a /tmp of its own, unless the program itself lies in /tmp"
    assert told["is another"]
    assert told["restart"][0] == 0
    assert told["streams whole"] == 100
    assert told["end"] == ["success", "0", "inactive"]
    assert told["stopped"][0] == 1
    assert told["install again"][0] == 0
    assert told["uninstall"][0] == 0
    assert told["left"] == ["codex-manager.service.d", "log.conf"]  # the test's own
    assert told["gone"][0] == 4
    assert "a master key of this test" not in done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt", reason="no notification socket")
@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_whoever_starts_it_is_told_once_it_serves(isolated_home, tmp_path, kind):
    make_home(isolated_home, [account("only", "sk-faults-0123456789abcdef")], "proxy: {bind_addr: '127.0.0.1:0'}\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "master-key").write_text("a master key for tests only\n")
    address = str(tmp_path / "notify") if kind == "path" else f"@codex-manager-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(START_TIMEOUT)
        manager.bind(address if kind == "path" else "\0" + address[1:])
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "codex_manager.proxy.service"],
            env={**os.environ, "NOTIFY_SOCKET": address, "CREDENTIALS_DIRECTORY": str(credentials)},
            stderr=subprocess.DEVNULL,
        )
        try:
            told = manager.recv(4096).decode().splitlines()
            assert told[0] == "READY=1"
            assert told[1].startswith("STATUS=serving at port ")
            assert process.poll() is None
        finally:
            status = stop(process)
    assert status == 0


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_what_keeps_it_running_starts_another_when_it_is_killed(isolated_home):
    """As the task of Windows does it; seen from here by its announcement."""
    from tests.support import wait_for

    from codex_manager.config import presence

    home = make_home(isolated_home, [], "proxy: {bind_addr: '127.0.0.1:0'}\n")
    arguments = ["--keep", "--detached", "--log-file", str(home.path / "proxy.log")]
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "codex_manager.proxy.service", *arguments],
        env=home.environ(),
        start_new_session=True,
    )
    try:
        assert wait_for(lambda: presence.running(home.path) is not None, START_TIMEOUT)
        first = presence.running(home.path)
        assert first is not None
        assert first.service
        killed = first.pid
        os.kill(killed, signal.SIGKILL)
        assert wait_for(lambda: (now := presence.running(home.path)) is not None and now.pid != killed, START_TIMEOUT)
    finally:
        os.killpg(keeper.pid, signal.SIGKILL)
        keeper.wait(5)
