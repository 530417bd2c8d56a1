"""`run` as its users see it: real commands, the real proxy, a fake OpenAI behind it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.support import MASTER_KEY, account, make_home, running_proxy, wait_for

from codex_manager import __version__
from codex_manager.config import presence
from codex_manager.testing import FakeOpenAI, in_thread


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


Popen: Any = subprocess.Popen  # its pipes are there
announce: Any = presence.announce

KEY = "sk-canary-one-0123456789abcdef"
ADMIN_KEY = "sk-admin-canary-0123456789abcdef"
PROGRAM = [sys.executable, "-m", "codex_manager_cli"]
SDK = """
import openai, sys
client = openai.OpenAI(max_retries=0)
answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
stream = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], stream=True)
print(bool(answer.choices[0].message.content), sum(1 for _ in stream) > 1)
"""
ASK = """
import http.client, os, sys
from urllib.parse import urlsplit
def ask():
    at = urlsplit(os.environ["OPENAI_BASE_URL"])
    link = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
    link.request("GET", "/v1/models", headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]})
    return link.getresponse().status
"""
WAIT = ASK + "print(ask(), os.environ['OPENAI_BASE_URL'], flush=True); sys.stdin.readline(); print(ask(), flush=True)"


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account(KEY)
        yield server


@pytest.fixture
def home(fake, isolated_home):
    one = account("one", KEY, admin_key=None)
    made = make_home(isolated_home, [one], f"proxy:\n  openai_base_url: {fake.base_url}\n")
    yield made
    running = presence.running(made.path)  # what a failed test left
    if running is not None:
        os.kill(running.pid, signal.SIGTERM)
    assert wait_for(lambda: presence.running(made.path) is None, 15)


def run(home, *arguments, stdin="", **variables):
    return subprocess.run(
        [*PROGRAM, "run", *arguments], env=home.environ() | variables, input=stdin, capture_output=True, text=True,
        timeout=40, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def under_way(home, *arguments, code=WAIT):
    """A command that has made its first request and waits for a line."""
    process = Popen(
        [*PROGRAM, "run", *arguments, "--", sys.executable, "-c", code], env=home.environ(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process, process.stdout.readline().split()
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


def running(home):
    """The proxy that is announced."""
    found = presence.running(home.path)
    assert found is not None
    return found


def names(home):
    with home.vault() as vault:
        return [key.name for key in vault.client_keys()]


def gone(home):
    """No proxy, no key, no note is left."""
    return (
        presence.running(home.path) is None
        and names(home) == []
        and [path.name for path in (home.path / "runs").iterdir()] == ["all.lock"]
    )


def test_the_sdk_works_as_it_is_and_nothing_is_left(home, fake):
    ended = run(home, "--", sys.executable, "-c", SDK)
    assert (ended.returncode, ended.stdout) == (0, "True True\n"), ended.stderr
    assert re.fullmatch(
        r"codex-manager: python goes by base URL http://127\.0\.0\.1:\d+/v1, because OpenAI's SDKs read OPENAI_BASE_URL\n",
        ended.stderr,
    )
    assert [seen.key for seen in fake.log] == [KEY, KEY]
    assert wait_for(lambda: gone(home))


def test_a_command_starts_while_its_proxy_does(home):
    """With the cheapest key derivation; a real vault adds 0.25 s. Most of the rest is Python starting."""
    started = time.perf_counter()
    ended = run(home, "--", "true")
    taken = time.perf_counter() - started
    assert ended.returncode == 0
    assert taken < 5, "a bound for any machine; measured 0.15 s"
    assert wait_for(lambda: gone(home))


def test_the_commands_status_and_streams_are_its_own(home):
    ended = run(home, "--", "sh", "-c", "cat; echo words >&2; exit 7", stdin="in and out\n")
    assert (ended.returncode, ended.stdout) == (7, "in and out\n")
    assert ended.stderr.endswith("\nwords\n")
    assert run(home, "--", "sh", "-c", "kill -TERM $$").returncode == 143


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--", "no-such-program-here"], 127, "codex-manager: error: no-such-program-here: command not found\n"),
        (["no-such-program-here"], 127, "codex-manager: error: no-such-program-here: command not found\n"),
        (["--", "/no/such/file"], 127, "codex-manager: error: /no/such/file: command not found\n"),
        (["--", "/dev/null"], 126, "codex-manager: error: /dev/null: not a program that can be executed\n"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(home, arguments, status, says):
    ended = run(home, *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", says)
    assert not (home.path / "runs").exists(), "nothing was started"


def test_without_a_vault_nothing_runs(isolated_home):
    environ = {**os.environ, "CODEX_MANAGER_HOME": str(isolated_home)}
    ended = subprocess.run(
        [*PROGRAM, "run", "--", "echo", "no"], env=environ, capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no vault yet" in ended.stderr


def test_with_a_wrong_master_key_nothing_runs_and_nothing_is_left(home):
    ended = run(home, "--", "echo", "no", CAM_MASTER_KEY="wrong")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert len([line for line in ended.stderr.splitlines() if "error" in line]) == 1
    assert wait_for(lambda: gone(home))


def test_the_commands_environment_holds_no_secret_of_the_vault(home):
    with home.vault() as vault:
        vault.edit("one", admin_key=account("x", ADMIN_KEY).api_key)
    given = {
        "OPENAI_API_KEY": KEY, "WORK": f"Bearer {KEY}", "ADMIN": ADMIN_KEY, "COPIED": MASTER_KEY, "OPENAI_ORG_ID": "org-me",
        "OPENAI_PROJECT_ID": "proj-me", "CODEX_MANAGER__PROXY__API_KEY": "sk-local-canary", "MINE": "stays",
        "NO_PROXY": "corp.example",
    }  # fmt: skip
    for via in ("base-url", "proxy"):
        ended = run(
            home,
            "--via",
            via,
            "--",
            sys.executable,
            "-c",
            "import json, os; print(json.dumps(dict(os.environ)))",
            **given,
        )
        environ = json.loads(ended.stdout)
        for secret in (KEY, ADMIN_KEY, MASTER_KEY, "sk-local-canary"):
            assert secret not in ended.stdout + ended.stderr
        assert not {"CAM_MASTER_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "WORK", "ADMIN", "COPIED"} & set(environ)
        assert environ["MINE"] == "stays"
        assert environ["OPENAI_API_KEY"].startswith("sk-cm-")
        assert environ["NO_PROXY"] == environ["no_proxy"] == "corp.example,localhost,127.0.0.1,::1"
        assert "a key of the vault is in it: ADMIN, COPIED, WORK" in ended.stderr


def test_through_the_proxy_it_is_told_of_our_authority(home):
    ended = run(home, "--via", "proxy", "--", "env")
    told = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", told["HTTPS_PROXY"])
    assert told["https_proxy"] == told["HTTPS_PROXY"]
    assert told["OPENAI_BASE_URL"] == "https://api.openai.com/v1"
    assert told["CODEX_API_KEY"] == told["OPENAI_API_KEY"]
    assert told["NODE_USE_ENV_PROXY"] == "1"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CODEX_CA_CERTIFICATE"):
        assert "-----BEGIN CERTIFICATE-----" in (home.path / "ca" / "bundle.pem").read_text()
        assert told[name] == str(home.path / "ca" / "bundle.pem")
    assert told["NODE_EXTRA_CA_CERTS"] == str(home.path / "ca" / "ca.pem")


def test_forward_mode_turned_off_is_one_sentence_and_leaves_nothing(home):
    ended = run(home, "--via", "proxy", "--", "echo", "no", CODEX_MANAGER__FORWARD__ENABLED="false")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the way through HTTPS_PROXY is turned off" in ended.stderr
    assert wait_for(lambda: gone(home))


def test_the_keys_name_tells_the_command(home):
    with under_way(home) as (_, first):
        assert first[0] == "200"
        with under_way(home) as (_, second), under_way(home, "--name", "night\tly") as (_, third):
            assert first[1] == second[1] == third[1], "one proxy for all"
            assert sorted(names(home)) == ["run night?ly", "run python", "run python 2"]
    assert wait_for(lambda: gone(home))


def test_a_proxy_that_runs_is_used_and_left_running(home):
    with running_proxy(home) as proxy:
        assert wait_for(lambda: presence.running(home.path) is not None)
        with under_way(home) as (process, first):
            assert first == ["200", proxy.base_url]
            key = psutil.Process(process.pid).children()[0].environ()["OPENAI_API_KEY"]
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "200\n"
            assert process.wait(10) == 0
        assert names(home) == []
        assert wait_for(lambda: status(proxy.base_url, key) == 401), "the key is revoked there, too"
        assert proxy.process.poll() is None


def status(base_url, key):
    code = ASK + "print(ask())"
    environ = {**os.environ, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=20, check=True
    )
    return int(ended.stdout)


@pytest.mark.slow
def test_a_proxy_of_another_version_is_not_used(home):
    stranger = presence.RunningProxy(
        pid=os.getpid(), host="127.0.0.1", port=9, version=f"{__version__}.other", started=""
    )
    announced = announce(home.path, stranger)
    try:
        with under_way(home) as (process, first):
            assert first[0] == "200"
            time.sleep(1)  # the keeper has looked, and is content
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "200\n"
            assert process.wait(10) == 0
            assert len(process.stderr.readlines()) == 1
    finally:
        announced.withdraw()


@pytest.mark.slow
def test_a_stale_announcement_is_not_believed(home):
    with running_proxy(home) as proxy:
        assert wait_for(lambda: presence.running(home.path) is not None)
        proxy.process.kill()
        proxy.process.wait(5)
    with under_way(home) as (_, first):
        assert first[0] == "200"


@pytest.mark.slow
def test_commands_started_together_share_one_proxy(home):
    with ThreadPoolExecutor(4) as pool:
        code = ASK + "print(ask(), os.environ['OPENAI_BASE_URL'], flush=True); import time; time.sleep(3)"
        ended = list(pool.map(lambda _: run(home, "--", sys.executable, "-c", code), range(4)))
    assert {each.stdout.split()[0] for each in ended} == {"200"}, [each.stderr for each in ended]
    assert len({each.stdout.split()[1] for each in ended}) == 1
    assert wait_for(lambda: gone(home))


@pytest.mark.slow
def test_the_proxy_outlives_the_command_that_started_it_while_another_uses_it(home):
    with under_way(home) as (first, told), under_way(home) as (second, also_told):
        assert told[1] == also_told[1]
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.wait(10) == 0
        time.sleep(1)
        second.stdin.write("\n")
        second.stdin.flush()
        assert second.stdout.readline() == "200\n"
    assert wait_for(lambda: gone(home))


def test_a_killed_run_leaves_a_key_that_the_next_one_revokes(home):
    with under_way(home) as (process, _):
        child = psutil.Process(process.pid).children()
        process.kill()
        process.wait(5)
        assert names(home) == ["run python"]
        assert wait_for(lambda: presence.running(home.path) is None), "its proxy ends by itself"
        for each in child:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    ended = run(home, "--", "true")
    assert "revoked 1 key of commands that were killed" in ended.stderr
    assert wait_for(lambda: gone(home))


def test_a_proxy_that_dies_under_a_command_comes_back_on_its_port(home):
    with under_way(home) as (process, _):
        assert wait_for(lambda: presence.running(home.path) is not None)
        os.kill(running(home).pid, signal.SIGKILL)
        assert wait_for(lambda: presence.running(home.path) is None)
        assert wait_for(lambda: presence.running(home.path) is not None, 15)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "200\n"
        assert process.wait(10) == 0
        assert "had ended and was started again" in process.stderr.read()
    assert wait_for(lambda: gone(home))


@pytest.mark.slow
def test_the_users_own_proxy_is_theirs_to_start_again(home):
    with running_proxy(home) as proxy:
        assert wait_for(lambda: presence.running(home.path) is not None)
        with under_way(home) as (process, _):
            proxy.process.terminate()
            proxy.process.wait(10)
            said = [process.stderr.readline(), process.stderr.readline()]
            assert "has ended; start it again with `codex-manager proxy`" in said[1]
            assert presence.running(home.path) is None


@pytest.mark.slow
def test_stopped_by_a_signal_it_still_clears_up(home):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with under_way(home, code=WAIT) as (process, _):
            process.send_signal(number)
            assert process.wait(15) in {128 + number, 1}, (
                "1: Python's own end after KeyboardInterrupt is 130 or a re-raise"
            )
        assert wait_for(lambda: gone(home))


def test_a_proxy_that_cannot_start_is_said_and_the_command_told(home):
    """Its configuration is read by the proxy alone on the way by base URL."""
    home.config_file.write_text("proxy:\n  nonsense: 1\n")
    code = "import sys; sys.stdin.readline()"
    with under_way_until_said(home, code) as said:
        assert "could not be started" in said
        assert "nonsense" in said


@contextlib.contextmanager
def under_way_until_said(home, code):
    with Popen(
        [*PROGRAM, "run", "--", sys.executable, "-c", code], env=home.environ(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stderr.readline()
        yield process.stderr.readline()
        process.stdin.close()
        process.wait(10)
