"""What a running proxy's figures are worth when it is killed, when its disk is full, and while others read and write them.

Real processes and real requests; what the ledger does by itself is in test_ledger.
"""

import contextlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

from decimal import Decimal

import pytest

from prometheus_client.parser import text_string_to_metric_families
from tests.bench.compare import load, ours, upstream
from tests.bench.process import memory_mib
from tests.ledger.samples import select, sound
from tests.support import LOCAL_KEY, Home, account, make_home, running_proxy, stop, wait_for

from codex_manager.core.secret import Secret
from codex_manager.ledger import Reader
from codex_manager.testing import FakeOpenAI, in_thread


KEY = "sk-work-0123456789abcdef"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
COST = Decimal("0.0001525")
"""9 tokens in and 13 out."""
BENCH_COST = Decimal("0.002375")
"""250 in and 175 out: what the upstream of tests.bench says."""
HEADERS = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
KILLS = int(os.environ.get("CODEX_MANAGER_TEST_KILLS", "8"))
SECONDS = float(os.environ.get("CODEX_MANAGER_TEST_SECONDS", "40"))
ROWS = 20_000
"""What the ledger keeps in memory while it cannot write."""


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI(cookies=False)) as server:
        server.account(KEY, "org-a", "proj_a")
        server.admin("sk-admin-0123456789abcdef", "org-a")
        server.spent("org-a", "1.25", project="proj_a")
        yield server


def home_at(path, fake, config="", **fields):
    return make_home(path, [account("work", KEY, **fields)], f"proxy:\n  openai_base_url: {fake.base_url}\n{config}")


class Caller:
    """Chats over one connection; a stream every fifth time. Its state: what was answered, and when."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.answered: list[tuple[float, str]] = []
        self.failed: list[str] = []
        self.sent = 0

    def ask(self):
        body = CHAT | ({"stream": True} if self.sent % 5 == 4 else {})
        self.sent += 1
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), HEADERS)
        answer = self.connection.getresponse()
        received = answer.read()
        if answer.status == 200 and (b"[DONE]" in received or b'"chat.completion"' in received):
            self.answered.append((time.monotonic(), answer.headers["X-Codex-Manager-Request-Id"]))
        else:
            self.failed.append(f"{answer.status} {received[:200]!r}")

    def close(self):
        self.connection.close()

    def go_on(self, until, pause=0.0):
        with contextlib.closing(self.connection):
            while not until():
                self.ask()
                time.sleep(pause)

    def go_on_till_killed(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.go_on(lambda: False)


def codex_manager(home, *arguments):
    command = [sys.executable, "-m", "codex_manager_cli", *arguments]
    return subprocess.run(command, env=home.environ(), capture_output=True, text=True, timeout=60, check=False)


def metrics(proxy):
    """`/metrics`, those without labels."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers=HEADERS)
        text = connection.getresponse().read().decode()
    return {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples if not s.labels}


def recording(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/health", headers=HEADERS)
        return json.loads(connection.getresponse().read())["recording"]


# Killed --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_proxy_killed_under_load_loses_a_moment_at_most_and_says_so(fake, isolated_home):
    """Whatever was answered a second ago is written down, the file is sound, and what was on its way is booked."""
    chance = random.Random(4)
    home = home_at(isolated_home, fake, daily_limit_usd=1000.0)
    ledger = home.path / "ledger.db"
    oldest, lost, total, before = [], 0, 0, False
    for _ in range(KILLS):
        with running_proxy(home) as proxy:
            said = "may be missing" in proxy.said()
            assert said == before, proxy.said()
            callers = [Caller(proxy.port) for _ in range(8)]
            threads = [threading.Thread(target=caller.go_on_till_killed) for caller in callers]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.3, 0.9))
            proxy.process.kill()
            killed = time.monotonic()
            proxy.process.wait(10)
            for thread in threads:
                thread.join(20)
        assert [caller.failed for caller in callers if caller.failed] == []
        before = True
        assert select(ledger, "PRAGMA integrity_check") == [("ok",)]
        known = {name for (name,) in select(ledger, "SELECT id FROM request")}
        answered = [each for caller in callers for each in caller.answered]
        missing = [killed - at for at, name in answered if name not in known]
        total, lost = total + len(answered), lost + len(missing)
        oldest.append(max(missing, default=0.0))
    print(
        f"\n{KILLS} kills: {lost} of {total} answered requests missing; the oldest was answered {max(oldest) * 1000:.0f} ms before"
    )
    assert max(oldest) < 1, "0.2 s, and patience for a machine that does other things"
    with running_proxy(home) as proxy:
        assert "may be missing" in proxy.said()
    assert select(ledger, "SELECT count(*) FROM reservation") == [(0,)]
    assert sound(ledger)


# While others look ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_commands_that_read_and_write_while_the_proxy_writes_never_find_the_ledger_locked(fake, isolated_home):
    home = home_at(isolated_home, fake, admin_key=Secret("sk-admin-0123456789abcdef"), daily_limit_usd=1000.0)
    said: dict[str, list[str]] = {}
    runs: dict[str, int] = {}
    with running_proxy(home) as proxy:
        end = time.monotonic() + SECONDS

        def over():
            return time.monotonic() > end

        def loop(*arguments):
            while not over():
                done = codex_manager(home, *arguments)
                runs[arguments[0]] = runs.get(arguments[0], 0) + 1
                if done.returncode or done.stderr:
                    said.setdefault(arguments[0], []).append(f"{done.returncode} {done.stderr}")

        callers = [Caller(proxy.port) for _ in range(4)]
        threads = [threading.Thread(target=caller.go_on, args=(over, 0.005)) for caller in callers]
        threads += [threading.Thread(target=loop, args=each) for each in (("usage", "--json"), ("refresh", "--json"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 90)
        assert stop(proxy.process) == 0
    answered = [name for caller in callers for _, name in caller.answered]
    print(f"\n{SECONDS:.0f} s: {len(answered)} requests, {runs}")
    assert [caller.failed for caller in callers if caller.failed] == []
    assert said == {}
    assert min(runs.get(name, 0) for name in ("usage", "refresh")) >= 3
    assert "locked" not in proxy.said()
    assert "ledger" not in proxy.said()
    ledger = home.path / "ledger.db"
    assert select(ledger, "SELECT count(*), sum(nano) FROM request") == [
        (len(answered), int(len(answered) * COST * 10**9))
    ]
    assert len(select(ledger, "SELECT 1 FROM snapshot")) == runs["refresh"]
    assert sound(ledger)


# A full disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False, timeout=20
        ).returncode
    ):
        pytest.skip("only root can mount: this needs a disk of 1 MiB")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True, timeout=20)


def enlarge(folder):
    subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True, timeout=20)


def fill(folder):
    """No byte is left."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.slow
def test_a_full_disk_fails_no_request_and_all_is_written_when_there_is_room(fake, small_disk):
    home = home_at(small_disk, fake, daily_limit_usd=1000.0)
    with running_proxy(home) as proxy, contextlib.closing(Caller(proxy.port)) as caller:
        caller.ask()
        assert wait_for(lambda: metrics(proxy)["codex_manager_ledger_queued_rows"] == 0)
        fill(small_disk)
        while recording(proxy) == "ok" and caller.sent < 2000:
            caller.ask()
        for _ in range(50):  # now and then some more fits into the WAL
            caller.ask()
        assert "is full" in proxy.said()
        assert caller.failed == []
        assert codex_manager(home, "usage", "--json").returncode == 0
        enlarge(small_disk)
        assert wait_for(lambda: recording(proxy) == "ok", 40, 0.2)
    with Reader.open(home.path / "ledger.db") as reader:
        assert {name for _, name in caller.answered} == {record.id for record in reader.requests(limit=5000)}
        assert reader.usage()[0].usd == len(caller.answered) * COST
    assert sound(home.path / "ledger.db")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_disk_that_stays_full_costs_rows_that_are_counted_and_no_money(small_disk):
    """More requests than wait in memory: none fails, the sums stay right, and the rows that are missing are said everywhere."""
    with upstream(None) as port, ours(small_disk, port, None, "home", daily_limit_usd=100_000.0) as target:
        home = Home(small_disk / "home")
        answered = load(target, "requests", None, "--seconds", 0.1)["count"]
        assert wait_for(lambda: metrics(target)["codex_manager_ledger_queued_rows"] == 0)
        fill(small_disk)
        begun = memory_mib(target.pid)
        while answered < ROWS + 1500:
            answered += load(target, "requests", None, "--seconds", 4)["count"]  # each answer is looked at
        assert recording(target) == "failing"
        assert codex_manager(home, "usage", "--json").returncode == 0
        held = memory_mib(target.pid)
        enlarge(small_disk)
        assert wait_for(lambda: recording(target) == "ok", 60, 0.2)
        dropped = metrics(target)["codex_manager_ledger_dropped_rows_total"]
    print(
        f"\n{answered} requests, {dropped:.0f} rows dropped, {begun:.0f} MiB before, {held:.0f} MiB with a full queue"
    )
    assert 0 < dropped <= answered - ROWS
    with Reader.open(home.path / "ledger.db") as reader:
        (row,) = reader.usage()
        assert (row.requests, row.usd) == (answered, answered * BENCH_COST), "the sums are whole"
        assert reader.health().requests == answered - dropped
    report = codex_manager(home, "usage")
    assert f"{dropped:.0f}" in report.stderr.replace(",", ""), report.stderr
    assert json.loads(codex_manager(home, "usage", "--json").stdout)["ledger"]["dropped"] == dropped
    assert select(home.path / "ledger.db", "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_commands_say_what_they_cannot_keep_on_a_full_disk(fake, small_disk):
    """`usage` reads, `refresh` shows what it cannot keep, `usage reset` does not claim what it has not done."""
    home = home_at(small_disk, fake, admin_key=Secret("sk-admin-0123456789abcdef"), daily_limit_usd=1000.0)
    with running_proxy(home) as proxy, contextlib.closing(Caller(proxy.port).connection) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT), HEADERS)
        assert connection.getresponse().read()
    fill(small_disk)
    assert json.loads(codex_manager(home, "usage", "--json").stdout)["total"]["requests"] == 1
    refreshed = codex_manager(home, "refresh", "--json")
    assert json.loads(refreshed.stdout)[0]["today_usd"] == 1.25
    assert "full" in refreshed.stderr
    reset = codex_manager(home, "usage", "reset", "work", "--yes")
    assert reset.returncode == 1
    assert "full" in reset.stderr
    assert "Traceback" not in refreshed.stderr + reset.stderr
