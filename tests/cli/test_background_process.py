"""The real proxy in the background, from a typed master key to the last stream; and nothing of a key anywhere."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.cli.console import COMMAND, terminal
from tests.support import LOCAL_KEY, MASTER_KEY, account, make_home, wait_for

from codex_manager.config import presence
from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


pytestmark = pytest.mark.slow  # each of these starts real programs

KEY = "sk-background-0123456789abcdef"
SECRETS = (KEY, MASTER_KEY)
HEADERS = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account(KEY)
        yield server


@pytest.fixture
def home(fake, isolated_home):
    text = f"proxy:\n  openai_base_url: {fake.base_url}\n  bind_addr: 127.0.0.1:0\nweb:\n  address: 127.0.0.1:0\n  open_browser: false\n"
    home = make_home(isolated_home, [account("one", KEY)], text)
    yield home
    left = presence.running(home.path)
    if left is not None:
        os.kill(left.pid, signal.SIGKILL)


def command(home, *arguments, environ=None):
    done = subprocess.run(
        [*COMMAND, *arguments], env=home.environ() | (environ or {}), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=False, start_new_session=True,
    )  # fmt: skip
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    return done


def there(home):
    found = presence.running(home.path)
    assert found is not None
    return found


def lives(pid):
    """Whether it does anything any more; one that nobody has awaited yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ask(port, *, stream=False):
    body = json.dumps({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/v1/chat/completions", body, HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_from_start_to_stop(home):
    """Serves when the command is back, detached; told apart from a second one; stops, and its log stays."""
    started = command(home, "proxy", "--background", "--log-level", "debug")
    assert started.returncode == 0, started.stderr
    running = there(home)
    assert f"process {running.pid}, http://127.0.0.1:{running.port}" in started.stderr
    assert ask(running.port)[0] == 200
    process = psutil.Process(running.pid)
    assert os.getsid(running.pid) == running.pid
    assert process.terminal() is None
    assert not any(secret in " ".join(process.cmdline()) for secret in SECRETS)
    second = command(home, "proxy", "--background")
    assert (second.returncode, f"runs already: process {running.pid}" in second.stderr) == (1, True)
    beside = command(home, "proxy", "--bind", f"127.0.0.1:{running.port}")
    assert f"in use by the proxy of this home, process {running.pid}" in beside.stderr
    assert command(home, "logs").stdout.count("listening on") == 1
    stopped = command(home, "stop")
    assert (stopped.returncode, f"stopped process {running.pid}" in stopped.stderr) == (0, True)
    assert presence.running(home.path) is None
    assert "asked to stop" in command(home, "logs").stdout
    for path in home.path.iterdir():
        assert path.stat().st_mode & 0o077 == 0 or path.suffix == ".yaml"
        if path.is_file() and path.suffix != ".yaml":
            assert not any(secret.encode() in path.read_bytes() for secret in SECRETS)


def test_a_typed_master_key_starts_it_and_is_in_nobodys_environment(home, fake):
    environ = {**home.environ(), "CAM_MASTER_KEY": "", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    shown = terminal("proxy", "--background", answers={"master key": ["wrong", MASTER_KEY]}, environ=environ)
    assert shown.status == 0, shown.out
    running = there(home)
    assert ask(running.port)[0] == 200
    assert MASTER_KEY not in shown.out
    assert MASTER_KEY.encode() not in Path(f"/proc/{running.pid}/environ").read_bytes()
    assert command(home, "stop").returncode == 0


def test_what_keeps_it_from_starting_is_said_by_the_command(home):
    wrong = command(home, "proxy", "--background", environ={"CAM_MASTER_KEY": "another"})
    assert wrong.returncode == 3
    assert wrong.stderr.startswith("codex-manager: error: ")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = command(home, "proxy", "--background", "--bind", f"127.0.0.1:{port}")
    assert (busy.returncode, f"127.0.0.1:{port} is in use by another program" in busy.stderr) == (1, True)
    assert presence.running(home.path) is None


def test_stop_lets_a_hundred_streams_end_and_says_so(home, fake):
    """They have a second and a half to go; then the process is gone, and its exit was a clean one."""
    fake.always(KEY, answers.ok(chunks=20, every=0.1))
    assert command(home, "proxy", "--background").returncode == 0
    running = there(home)
    with ThreadPoolExecutor(100) as pool:
        streams = [pool.submit(ask, running.port, stream=True) for _ in range(100)]
        assert wait_for(lambda: len(fake.log) == 100, 20)
        began = time.monotonic()
        stopped = command(home, "stop")
        took = time.monotonic() - began
        got = [stream.result(30) for stream in streams]
    assert stopped.returncode == 0, stopped.stderr
    assert re.search(r"waiting for \d+ requests? under way \(gpt-4o-mini for default, \d+ s so far", stopped.stderr)
    assert took < 12
    assert all(status == 200 and body.endswith(b"data: [DONE]\n\n") for status, body in got)
    assert not lives(running.pid)
    assert command(home, "logs", "-n", "1").stdout.endswith("ended with status 0\n")


def test_restart_keeps_address_and_options_and_followers(home, fake):
    assert command(home, "web", "--background", "--log-format", "json").returncode == 0
    first = there(home)
    assert first.web
    following = subprocess.Popen(
        [*COMMAND, "logs", "-f", "--json"],
        env=home.environ(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    assert following.stdout is not None
    reading = threading.Thread(target=lambda: lines.extend(following.stdout or ()), daemon=True)
    reading.start()
    try:
        again = command(home, "restart")
        assert again.returncode == 0, again.stderr
        second = there(home)
        assert second.pid != first.pid
        assert second.port == first.port
        assert second.web
        assert "--log-format" in second.arguments
        assert ask(second.port)[0] == 200
        assert wait_for(lambda: sum("listening on" in line for line in lines) == 2, 10)
    finally:
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 0
        reading.join(5)
        following.stdout.close()
    assert {tuple(json.loads(line)) for line in lines} == {("time", "level", "logger", "message")}
    assert command(home, "stop").returncode == 0
    assert not (home.path / "web.html").exists()


def test_after_kill_9_it_is_started_again_at_once(home):
    assert command(home, "proxy", "--background").returncode == 0
    first = there(home)
    os.kill(first.pid, signal.SIGKILL)
    assert wait_for(lambda: not lives(first.pid), 5)
    assert command(home, "stop").stderr == "codex-manager: no proxy runs on this home\n"
    assert command(home, "proxy", "--background", "--bind", f"127.0.0.1:{first.port}").returncode == 0
    assert ask(there(home).port)[0] == 200
    assert command(home, "stop").returncode == 0


def test_one_that_hangs_is_killed_by_force(home, fake):
    fake.always(KEY, answers.ok() | toxics.hang())
    assert command(home, "proxy", "--background").returncode == 0
    running = there(home)
    os.kill(running.pid, signal.SIGSTOP)  # it neither answers nor hears
    try:
        killed = command(home, "stop", "--force")
        assert killed.returncode == 0, killed.stderr
        assert "so it is killed" in killed.stderr
    finally:
        if lives(running.pid):
            os.kill(running.pid, signal.SIGKILL)


def test_the_second_proxy_of_a_home_is_found_once_the_first_has_ended(home):
    assert command(home, "proxy", "--background").returncode == 0
    first = there(home)
    second = subprocess.Popen(
        [*COMMAND, "proxy"], env=home.environ(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert second.stderr is not None
    try:
        assert any("listening on" in line for line in iter(second.stderr.readline, ""))
        assert there(home).pid == first.pid
        assert command(home, "stop").returncode == 0
        assert wait_for(lambda: presence.running(home.path) is not None, 10)
        assert there(home).pid == second.pid
        assert command(home, "logs").stdout.count("listening on") == 1  # from its memory
        assert command(home, "stop").returncode == 0
        assert second.wait(10) == 0
    finally:
        second.kill()
        second.wait(5)
        second.stderr.close()
