"""How long commands and proxies take to start, beside mitmdump, in one interleaved run."""

import contextlib
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from argon2.profiles import RFC_9106_LOW_MEMORY
from tests.bench.process import cpu_seconds, rounds
from tests.support import LOCAL_KEY, MASTER_KEY, POLLING, account, stop

from codex_manager.core.secret import Secret
from codex_manager.testing import FakeOpenAI, in_thread
from codex_manager.vault.store import Vault


PROGRAMS = Path(sys.executable).parent
KEYS = {label: f"sk-{label}-0123456789abcdef" for label in ("work", "home", "client")}
BODY = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]})
PATIENCE_S = 30.0


class Taken(NamedTuple):
    """Of one start: until its end, or until the first answer."""

    wall_ms: float
    cpu_ms: float


type Once = Callable[[], Taken]


@pytest.fixture
def environ(tmp_path):
    """A home with a vault under the real key derivation, as people have it; no proxy runs on it."""
    with Vault.create(tmp_path / "vault.db", Secret(MASTER_KEY), profile=RFC_9106_LOW_MEMORY) as vault:
        for label, key in KEYS.items():
            vault.add(account(label, key))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"CODEX_MANAGER_HOME": str(tmp_path), "CAM_MASTER_KEY": MASTER_KEY, POLLING: "false"}


def commands(environ) -> dict[str, Once]:
    """What one run takes, by what is run."""

    def timed(*words: str) -> Once:
        command = [str(PROGRAMS / words[0]), *words[1:]]

        def once() -> Taken:
            started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE_S, check=False)
            taken, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return Taken(taken * 1000, used * 1000)

        return once

    ours = [["--help"], ["--version"], ["add", "--help"], ["config", "show"], ["list"], ["status"], ["usage"]]
    return {" ".join(words): timed(*words) for words in [["codex-manager", *rest] for rest in ours]} | {
        f"mitmdump {option}": timed("mitmdump", option) for option in ("--version", "--help")
    }


def proxies(environ, upstream: str) -> dict[str, Once]:
    """What it takes from the start of the process to the first answer of the upstream's that came through it."""

    def first_answer(command: Callable[[int], Sequence[str]], key: str, settings: dict[str, str]) -> Once:
        def once() -> Taken:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            started = time.perf_counter()
            with process(command(port), environ | settings) as pid:
                while not answers(port, key):
                    assert time.perf_counter() - started < PATIENCE_S
                    time.sleep(0.003)
                return Taken((time.perf_counter() - started) * 1000, cpu_seconds(pid) * 1000)

        return once

    ours = {"CODEX_MANAGER__PROXY__OPENAI_BASE_URL": upstream}
    program, peer = str(PROGRAMS / "codex-manager"), str(PROGRAMS / "mitmdump")
    return {
        "codex-manager proxy": first_answer(lambda port: [program, "proxy", "--bind", f"127.0.0.1:{port}"], LOCAL_KEY, ours),
        "mitmdump --mode reverse": first_answer(
            lambda port: [peer, "-q", "--mode", f"reverse:{upstream}", "--listen-host", "127.0.0.1", "-p", str(port)], KEYS["work"], {}
        ),
    }  # fmt: skip


@contextlib.contextmanager
def process(command: Sequence[str], environ: dict[str, str]) -> Iterator[int]:
    running = subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield running.pid
    finally:
        stop(running)


def answers(port: int, key: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", BODY, headers)
        return connection.getresponse().status == 200
    return False


def measure(contenders: dict[str, Once], rounds: int) -> dict[str, list[Taken]]:
    """Each once to warm the disk, then rounds in turn."""
    for once in contenders.values():
        once()
    taken: dict[str, list[Taken]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, once in contenders.items():
            taken[name].append(once())
    return taken


def table(taken: dict[str, list[Taken]]) -> str:
    rows = [
        f"| `{name}` | {statistics.median(one.wall_ms for one in times):.0f} | {min(one.wall_ms for one in times):.0f} "
        f"| {statistics.median(one.cpu_ms for one in times):.0f} |"
        for name, times in taken.items()
    ]
    return "\n".join(["| | ms, median | ms, best | CPU ms |", "|---|---|---|---|", *rows])


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_commands_and_the_proxy_start_sooner_than_mitmdump(environ, capsys):
    with in_thread(FakeOpenAI()) as fake:
        for key in KEYS.values():
            fake.account(key)
        taken = measure(commands(environ) | proxies(environ, fake.base_url), rounds=rounds(7))
    with capsys.disabled():
        print(f"\n\n{table(taken)}\n")
    cpu = {name: statistics.median(one.cpu_ms for one in times) for name, times in taken.items()}
    assert cpu["codex-manager --help"] < cpu["mitmdump --version"]


@pytest.mark.slow
def test_the_measurement_itself(environ):
    """One round of the dearest two, so that the benchmark is tested with every run of the slow tests."""
    with in_thread(FakeOpenAI()) as fake:
        for key in KEYS.values():
            fake.account(key)
        taken = measure(proxies(environ, fake.base_url), rounds=1)
    assert all(times[0].wall_ms > 0 for times in taken.values())
