"""Runs our proxy, stock mitmdump and no proxy at all against one upstream in interleaved rounds, and tabulates medians.

Figures of one run can be compared with each other, hardly with those of another: machines are noisy. What counts is
CPU per request and per chunk as a ratio to stock mitmdump in the same run.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.process import cpu_seconds, memory_mib
from tests.support import account, make_home, running_proxy, stop


ROOT = Path(__file__).parents[2]
CONCURRENCY = (1, 16, 64)
STREAMS = 100
CHUNKS = 100
EVERY_S = 0.01
STREAMING = """
def responseheaders(flow):
    if flow.response.headers.get("content-type", "").startswith("text/event-stream"):
        flow.response.stream = True
"""
"""What stock mitmdump needs to pass events on as they come."""


@dataclass
class Target:
    """Something to load, and what was measured of it: workload → figure → one value a round."""

    name: str
    port: int
    pid: int | None
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def note(self, workload: str, **values: float) -> None:
        for name, value in values.items():
            self.figures.setdefault(workload, {}).setdefault(name, []).append(value)

    def median(self, workload: str, figure: str) -> float:
        values = self.figures[workload].get(figure)
        return statistics.median(values) if values else float("nan")


def cores() -> tuple[int | None, int | None]:
    """One core for load and upstream, another for the proxy; none where they cannot be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[-1]) if len(available) > 1 else (None, None)


def arguments(module: str, *values: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, values)]


def on_core(core: int | None) -> list[object]:
    return [] if core is None else ["--core", core]


@contextlib.contextmanager
def upstream(core: int | None):
    command = arguments("tests.bench.upstream", "--chunks", CHUNKS, "--every", EVERY_S, *on_core(core))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())["port"]
        finally:
            process.kill()


@contextlib.contextmanager
def ours(folder: Path, port: int, core: int | None, name: str = "codex-manager", settings: str = "", **fields: Any):
    accounts = [
        account(f"account {letter}", f"sk-bench-{letter}-0123456789abcdef", organization=f"org-{letter}", **fields)
        for letter in "abcd"
    ]
    config = f"proxy:\n  openai_base_url: http://127.0.0.1:{port}\n{settings}"
    with running_proxy(make_home(folder / name, accounts, config)) as proxy:
        pin_process(proxy.process.pid, core)
        yield Target(name, proxy.port, proxy.process.pid)


@contextlib.contextmanager
def mitmdump(folder: Path, port: int, core: int | None, program: str = "mitmdump", *more: str):
    script = folder / "streaming.py"
    script.write_text(STREAMING)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name(program)), "-q", "--listen-host", "127.0.0.1", "-p", str(listen),
               "--mode", f"reverse:http://127.0.0.1:{port}", "--set", f"confdir={folder / 'mitmproxy'}", "-s", str(script), *more]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until_listening(listen)
        pin_process(process.pid, core)
        yield Target(f"stock {program}", listen, process.pid)
    finally:
        stop(process)


def until_listening(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def pin_process(pid: int, core: int | None) -> None:
    """All threads of a process that has started."""
    if core is not None:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {core})


def load(target: Target, mode: str, core: int | None, *values: object) -> dict:
    """One run of the load generator; the CPU the proxy used for it is added."""
    before = cpu_seconds(target.pid) if target.pid else 0.0
    command = arguments("tests.bench.load", mode, "--port", target.port, *values, *on_core(core))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["errors"] == 0, f"{target.name}: {result['errors']} errors, the first: {result['first_error']}"
    if target.pid:
        result["cpu_per_1000"] = (cpu_seconds(target.pid) - before) / result["count"] * 1000
    return result


def measure(target: Target, core: int | None, seconds: float) -> None:
    """One round of every workload."""
    for concurrency in CONCURRENCY:
        result = load(target, "requests", core, "--concurrency", concurrency, "--seconds", seconds)
        note(target, f"{concurrency} at once", result, ("rate", "p50_ms", "p99_ms", "cpu_per_1000"))
    result = load(target, "streams", core, "--streams", STREAMS, "--chunks", CHUNKS)
    assert result["count"] == STREAMS * CHUNKS
    names = ("rate", "first_p50_ms", "first_p99_ms", "behind_p50_ms", "behind_p99_ms", "cpu_per_1000")
    note(target, "streams", result, names)
    if target.pid:
        target.note("memory", mib=memory_mib(target.pid))


def note(target: Target, workload: str, result: dict, names: tuple[str, ...]) -> None:
    target.note(workload, **{name: result[name] for name in names if name in result})


def compare(folder: Path, *, rounds: int = 5, seconds: float = 1.5) -> list[Target]:
    """All targets with their figures; the order within a round alternates."""
    load_core, proxy_core = cores()
    with upstream(load_core) as port, ours(folder, port, proxy_core) as us, mitmdump(folder, port, proxy_core) as stock:
        targets = [us, stock, Target("no proxy", port, None)]
        for target in targets:
            load(target, "requests", load_core, "--concurrency", 16, "--seconds", 0.5)  # warm up
        for number in range(rounds):
            for target in targets if number % 2 == 0 else targets[::-1]:
                measure(target, load_core, seconds)
    return targets


def table(targets: list[Target], beside: str = "stock mitmdump") -> str:
    """What was measured, as text; CPU also as a ratio to the target of this name."""
    lines = [
        f"{'':24}{'workload':12}{'per second':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU s per 1,000':>17}{'of stock':>10}"
    ]
    stock = next(target for target in targets if target.name == beside)
    for workload in [f"{concurrency} at once" for concurrency in CONCURRENCY]:
        lines += [row(target, stock, workload, "p50_ms", "p99_ms") for target in targets]
    lines += [
        "",
        f"{STREAMS} streams of {CHUNKS} chunks, {EVERY_S * 1000:g} ms apart: time to the first chunk, CPU per chunk",
    ]
    lines += [row(target, stock, "streams", "first_p50_ms", "first_p99_ms") for target in targets]
    lines += ["the same: how long a chunk was on its way"]
    lines += [row(target, stock, "streams", "behind_p50_ms", "behind_p99_ms") for target in targets]
    lines += [""] + [f"{target.name:24}{target.median('memory', 'mib'):.0f} MiB" for target in targets if target.pid]
    return "\n".join(lines)


def row(target: Target, stock: Target, workload: str, middle: str, high: str) -> str:
    cpu = target.median(workload, "cpu_per_1000")
    part = cpu / stock.median(workload, "cpu_per_1000")
    shown = f"{cpu:>17.3f}{part:>10.2f}" if target.pid else f"{'':27}"
    return (
        f"{target.name:24}{workload:12}{target.median(workload, 'rate'):>11.0f}"
        f"{target.median(workload, middle):>9.2f}{target.median(workload, high):>9.2f}{shown}"
    )
