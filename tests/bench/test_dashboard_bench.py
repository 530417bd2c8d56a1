"""What open dashboards cost the proxy, and how fast the page answers while it works: the same process, in turns with and without."""

import asyncio
import contextlib
import html
import os
import re
import threading
import time
import urllib.request

import pytest

from tests.bench.compare import Target, cores, load, pin_process, upstream
from tests.bench.load import percentile
from tests.bench.process import cpu_seconds, memory_mib, pin, rounds
from tests.support import account, make_home
from tests.web_support import running_web
from websockets.asyncio import client


PAGES = 50
ROUNDS = rounds(7)
SECONDS = 6.0  # a round holds a message of the charts and several of the rest


class Audience:
    """Open pages in a thread of their own, which read and do nothing else."""

    def __init__(self, site, count):
        self.site, self.count, self.messages, self.bytes, self.up = site, count, 0, 0, threading.Event()
        page = site.ask("GET", "/codex").body.decode()
        found = re.search(r'ws-connect="([^"]+)"', page)
        assert found
        self.address = f"ws://{site.host}" + html.unescape(found[1])

    async def _look(self, done):
        async with contextlib.AsyncExitStack() as stack:
            pages = [
                await stack.enter_async_context(
                    client.connect(self.address, additional_headers=self.site.bearer, max_size=None, compression=None)
                )
                for _ in range(self.count)
            ]
            tasks = [asyncio.create_task(self._read(page)) for page in pages]
            self.up.set()
            await asyncio.to_thread(done.wait, 120)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, page):
        async for message in page:
            self.messages += 1
            self.bytes += len(message)

    @contextlib.contextmanager
    def looking(self):
        done = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._look(done)))
        thread.start()
        try:
            assert self.up.wait(30)
            yield
        finally:
            done.set()
            thread.join(30)


def visit(site, times, until):
    """Load the page again and again; how long each took, in ms."""
    while not until.is_set():
        began = time.perf_counter()
        answer = site.ask("GET", "/codex?range=24h")
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200
        until.wait(0.25)


@contextlib.contextmanager
def web(folder, load_core, proxy_core):
    """A proxy with its page in front of the fast upstream, each on a core of its own; whoever looks is with the load."""
    accounts = [
        account(f"account {letter}", f"sk-bench-{letter}-0123456789abcdef", daily_limit_usd=1e6) for letter in "abcd"
    ]
    with upstream(load_core) as port:
        home = make_home(folder / "home", accounts, f"proxy:\n  openai_base_url: http://127.0.0.1:{port}\n")
        with running_web(home) as site:
            pin_process(site.proxy.process.pid, proxy_core)
            mine = os.sched_getaffinity(0) if load_core is not None else None
            pin(load_core)
            try:
                yield site
            finally:
                if mine is not None:
                    os.sched_setaffinity(0, mine)


def ask(site):
    """One request, as a tool sends it."""
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
    request = urllib.request.Request(f"{site.proxy.base_url}/chat/completions", body)
    request.add_header("Authorization", "Bearer sk-codex-manager")
    with urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_what_open_dashboards_cost_by_themselves(tmp_path, capsys):
    """Ten requests a second, so that something changes each second: CPU time, which noise touches less than throughput."""
    lines = []
    with web(tmp_path, *cores()) as site:
        pid = site.proxy.process.pid
        for _ in range(60):
            ask(site)
        for pages in (0, 1, PAGES, PAGES, 1, 0):
            with Audience(site, pages).looking():
                time.sleep(1)
                before, began, count = cpu_seconds(pid), time.monotonic(), 0
                while time.monotonic() < began + 10:
                    ask(site)
                    count += 1
                    time.sleep(0.1)
                share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
            lines.append(f"{pages:3} pages: {share:6.2%} of a core for {count} requests")
    with capsys.disabled():
        print("\n\n" + "\n".join(lines) + "\n")


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_fifty_open_dashboards(tmp_path, capsys):
    """No figure is judged here; wrong, missing or late answers are (they raise in `load`)."""
    load_core, proxy_core = cores()
    found: dict[str, list[dict]] = {"nobody looks": [], f"{PAGES} pages": []}
    times: list[float] = []
    read = []
    with web(tmp_path, load_core, proxy_core) as site:
        pid = site.proxy.process.pid
        target = Target("web", site.proxy.port, pid)
        run = ("requests", load_core, "--concurrency", 16, "--seconds", SECONDS)
        load(target, "requests", load_core, "--concurrency", 16, "--seconds", 2)
        for number in range(ROUNDS):
            for name in list(found)[:: 1 if number % 2 == 0 else -1]:
                if name == "nobody looks":
                    found[name].append(load(target, *run))
                    continue
                audience = Audience(site, PAGES)
                with audience.looking():
                    found[name].append(load(target, *run))
                read.append((audience.messages / PAGES / SECONDS, audience.bytes / PAGES / SECONDS / 1024))
        until = threading.Event()
        visitor = threading.Thread(target=visit, args=(site, times, until))
        visitor.start()
        load(target, *run)
        until.set()
        visitor.join(30)
        memory = memory_mib(pid)
    alone, watched = found.values()
    rate = [b["rate"] / a["rate"] for a, b in zip(alone, watched, strict=True)]
    cost = [b["cpu_per_1000"] / a["cpu_per_1000"] for a, b in zip(alone, watched, strict=True)]
    with capsys.disabled():
        print(f"\n\n{'':16}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU s/1000':>12}")
        for name, runs in found.items():
            shown = [
                percentile([each[figure] for each in runs], 0.5)
                for figure in ("rate", "p50_ms", "p99_ms", "cpu_per_1000")
            ]
            print(f"{name:16}{shown[0]:>12.0f}{shown[1]:>9.2f}{shown[2]:>9.2f}{shown[3]:>12.3f}")
        print(
            f"throughput with {PAGES} pages: {percentile(rate, 0.5):.3f} of that without ({', '.join(f'{r:.3f}' for r in rate)})"
        )
        print(f"CPU a request: {percentile(cost, 0.5):.3f} ({', '.join(f'{c:.3f}' for c in cost)})")
        print(f"a page was sent {read[-1][0]:.1f} messages/s, {read[-1][1]:.1f} KiB/s")
        print(
            f"the page under load: median {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms, most {max(times):.0f} ms ({len(times)} visits)"
        )
        print(f"{memory:.0f} MiB\n")
    assert all(messages > 1 for messages, _ in read), "the pages were told something"
