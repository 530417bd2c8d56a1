"""`codex-manager web` beside stock mitmweb in one run: nobody looking, and one page of mitmweb open at each."""

import contextlib
import socket
import threading

import pytest

from tests.bench.compare import CHUNKS, STREAMS, Target, cores, load, measure, mitmdump, pin_process, table, upstream
from tests.support import account, make_home
from tests.web_support import running_web
from websockets.sync.client import connect


WEB_TOKEN = "a password for a benchmark"


@contextlib.contextmanager
def our_web(folder, port, core):
    accounts = [
        account(f"account {letter}", f"sk-bench-{letter}-0123456789abcdef", organization=f"org-{letter}")
        for letter in "abcd"
    ]
    home = make_home(folder / "home", accounts, f"proxy:\n  openai_base_url: http://127.0.0.1:{port}\n")
    with running_web(home) as site:
        pin_process(site.proxy.process.pid, core)
        yield Target("codex-manager web", site.proxy.port, site.proxy.process.pid), site.port, site.token


@contextlib.contextmanager
def stock_web(folder, port, core):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        page = probe.getsockname()[1]
    more = (
        "--no-web-open-browser",
        "--web-host",
        "127.0.0.1",
        "--web-port",
        str(page),
        "--set",
        f"web_password={WEB_TOKEN}",
    )
    with mitmdump(folder, port, core, "mitmweb", *more) as target:
        yield target, page, WEB_TOKEN


@contextlib.contextmanager
def looked_at(page, token):
    """Somebody has the list of flows open, and reads what it is told."""
    told = [0]

    def read():
        with contextlib.suppress(Exception):
            for _ in eye:
                told[0] += 1

    headers = {"Authorization": f"Bearer {token}"}
    with connect(f"ws://127.0.0.1:{page}/updates", additional_headers=headers, max_size=None, compression=None) as eye:
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield told
    reader.join(5)


@pytest.mark.bench
@pytest.mark.timeout(400)
def test_our_web_beside_stock_mitmweb(tmp_path, capsys):
    """No figure is judged here; wrong, missing or late answers are."""
    load_core, proxy_core = cores()
    with (
        upstream(load_core) as port,
        our_web(tmp_path / "ours", port, proxy_core) as ours,
        stock_web(tmp_path, port, proxy_core) as stock,
    ):
        places = (ours, stock)
        targets = [target for target, _, _ in places]
        for target in targets:
            load(target, "requests", load_core, "--concurrency", 16, "--seconds", 0.5)  # warm up
        for number in range(5):
            for target in targets if number % 2 == 0 else targets[::-1]:
                measure(target, load_core, 1.0)
        watched = []
        for target, page, token in places:
            seen = Target(f"{target.name}, page open", target.port, target.pid)
            watched.append((seen, page, token))
        for number in range(3):
            for seen, page, token in watched if number % 2 == 0 else watched[::-1]:
                with looked_at(page, token) as told:
                    result = load(seen, "requests", load_core, "--concurrency", 16, "--seconds", 1.0)
                    seen.note(
                        "16 at once", **{name: result[name] for name in ("rate", "p50_ms", "p99_ms", "cpu_per_1000")}
                    )
                assert told[0] > 10
    with capsys.disabled():
        print(f"\n\n{table(targets, 'stock mitmweb')}\n")
        print("the same with a page of mitmweb open, 16 at once:")
        for seen, _, _ in watched:
            print(
                f"{seen.name:32}{seen.median('16 at once', 'rate'):>8.0f}/s  p99 {seen.median('16 at once', 'p99_ms'):.1f} ms  {seen.median('16 at once', 'cpu_per_1000'):.3f} CPU s per 1,000"
            )
        for workload, figure in (("1 at once", "rate"), ("16 at once", "rate"), ("64 at once", "rate")):
            print(
                f"{workload}: {targets[0].median(workload, figure) / targets[1].median(workload, figure):.2f} x stock mitmweb"
            )
        chunks = [target.median("streams", "cpu_per_1000") for target in targets]
        print(f"streamed chunks: {chunks[1] / chunks[0]:.2f} x (chunks per CPU second)")
    assert STREAMS * CHUNKS == 10_000
