"""Tens of thousands of requests through `codex-manager web`: the list stays a ring, memory stays, the page answers."""

import os
import time

import pytest

from tests.bench.compare import Target, cores, load, pin_process, upstream
from tests.bench.process import memory_mib
from tests.support import account, make_home
from tests.web_support import running_web


TOTAL = int(os.environ.get("CODEX_MANAGER_REQUESTS", "30000"))
"""A hundred thousand take six minutes; what does not grow from the ten thousandth to the thirty thousandth does not grow after."""
WARM_UP = 10_000
"""By then lists, caches and pools are as full as they get: the ring and the last records hold 2,000 each."""
ROUND_S = 10
GROWTH_MIB = 20.0
ANSWERS_S = 0.1
"""What the page may take while no load is on; with load on, the one core is the load's."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_and_list_stay_where_they_were(tmp_path, capsys):
    load_core, proxy_core = cores()
    accounts = [account(f"account {letter}", f"sk-many-{letter}-0123456789abcdef") for letter in "abcd"]
    with upstream(load_core) as port:
        home = make_home(tmp_path / "home", accounts, f"proxy:\n  openai_base_url: http://127.0.0.1:{port}\n")
        with running_web(home) as site:
            pid = site.proxy.process.pid
            pin_process(pid, proxy_core)
            target = Target("web", site.proxy.port, pid)
            done, warm = 0, 0.0
            told = []
            while done < TOTAL:
                done += load(target, "requests", load_core, "--concurrency", 16, "--seconds", ROUND_S)["count"]
                memory = memory_mib(pid)
                if not warm and done >= WARM_UP:
                    warm = memory
                began = time.monotonic()
                page = site.ask("GET", "/codex")
                took = time.monotonic() - began
                assert page.status == 200
                told.append((done, memory, took))
            flows = site.ask("GET", "/flows").json()
            began = time.monotonic()
            length = int(site.command("view.properties.length")["value"])
            assert time.monotonic() - began < 5
    with capsys.disabled():
        print()
        for count, memory, took in told:
            print(f"{count:>8} requests  {memory:6.1f} MiB  page {took * 1000:5.1f} ms")
    assert len(flows) == length == 2000
    newest = flows[-1]
    assert newest["comment"].startswith("account ")
    assert "tok · $" in newest["comment"]
    growth = max(memory for _, memory, _ in told) - warm
    assert growth <= GROWTH_MIB, told
    assert sorted(took for _, _, took in told)[len(told) // 2] < ANSWERS_S, told
