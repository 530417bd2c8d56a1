"""What it costs to be watched: our proxy while somebody asks its pages once a second, and while nobody does, in one run."""

import threading
import time

import pytest

from tests.bench.compare import CHUNKS, STREAMS, cores, load, ours, upstream
from tests.bench.process import rounds

from codex_manager_cli.control import Line


ROUNDS = rounds(7)
EVERY_S = 1.0
CONFIG = "polling:\n  enabled: false\n"


class Watcher:
    """Asks for everything there is, as the terminal's full-screen view does."""

    def __init__(self, home):
        self.home, self.asked, self.took = home, 0, []
        self.on, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with Line(self.home) as line:
            after = 0
            while not self.over.wait(EVERY_S if self.on.is_set() else 0.02):
                if not self.on.is_set():
                    continue
                began = time.perf_counter()
                found = line.requests(after, 200)
                assert found
                after = found.number
                for told in (line.running(), line.status(), line.log()):
                    assert told
                self.took.append(time.perf_counter() - began)
                self.asked += 1

    def end(self):
        self.over.set()
        self.thread.join(10)


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_what_being_watched_costs(tmp_path, capsys):
    """No figure is judged here; wrong answers are (they raise in `load`)."""
    load_core, proxy_core = cores()
    with (
        upstream(load_core) as port,
        ours(tmp_path, port, proxy_core, "watched", CONFIG) as watched,
        ours(tmp_path, port, proxy_core, "alone", CONFIG) as alone,
    ):
        watcher = Watcher(tmp_path / "watched")
        for target in (watched, alone):
            load(target, "requests", load_core, "--concurrency", 16, "--seconds", 1)
        for number in range(ROUNDS):
            for target in (watched, alone) if number % 2 else (alone, watched):
                (watcher.on.set if target is watched else watcher.on.clear)()
                result = load(target, "requests", load_core, "--concurrency", 16, "--seconds", 3)
                target.note("a request", cpu=result["cpu_per_1000"], rate=result["rate"], p99=result["p99_ms"])
                result = load(target, "streams", load_core, "--streams", STREAMS, "--chunks", CHUNKS)
                target.note("a chunk", cpu=result["cpu_per_1000"], rate=result["rate"], p99=result["behind_p99_ms"])
        watcher.end()
    with capsys.disabled():
        print(
            f"\n\n{'':12}{'CPU ms watched':>16}{'alone':>10}{'ratio':>10}{'per second':>12}{'p99 ms watched':>16}{'alone':>10}"
        )
        for workload in ("a request", "a chunk"):
            one, other = (target.median(workload, "cpu") for target in (watched, alone))
            p99 = [target.median(workload, "p99") for target in (watched, alone)]
            rate = watched.median(workload, "rate")
            print(
                f"{workload:12}{one:>16.4f}{other:>10.4f}{one / other:>10.3f}{rate:>12.0f}{p99[0]:>16.1f}{p99[1]:>10.1f}"
            )
        took = sorted(watcher.took)[len(watcher.took) // 2] * 1000
        print(f"asked {watcher.asked} times for four pages; {took:.0f} ms for all four in the middle")
    assert watcher.asked > ROUNDS
