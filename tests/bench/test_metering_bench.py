"""What counting costs: our proxy with and without it in one run, with limits on every account."""

import pytest

from tests.bench.compare import CHUNKS, STREAMS, cores, load, ours, upstream
from tests.bench.process import rounds


ROUNDS = rounds(7)
LIMITS = {"daily_limit_usd": 100_000.0, "monthly_limit_usd": 1_000_000.0}
CONFIG = "metering:\n  enabled: {}\npolling:\n  enabled: false\n"


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_what_metering_costs(tmp_path, capsys):
    """No figure is judged here; wrong answers are (they raise in `load`)."""
    load_core, proxy_core = cores()
    with (
        upstream(load_core) as port,
        ours(tmp_path, port, proxy_core, "metering", CONFIG.format("true"), **LIMITS) as counting,
        ours(tmp_path, port, proxy_core, "none", CONFIG.format("false"), **LIMITS) as plain,
    ):
        targets = [counting, plain]
        for target in targets:
            load(target, "requests", load_core, "--concurrency", 16, "--seconds", 1)
        for number in range(ROUNDS):
            for target in targets if number % 2 else targets[::-1]:
                result = load(target, "requests", load_core, "--concurrency", 16, "--seconds", 1.5)
                target.note("a request", cpu=result["cpu_per_1000"])
                result = load(target, "streams", load_core, "--streams", STREAMS, "--chunks", CHUNKS)
                target.note("a chunk", cpu=result["cpu_per_1000"])
    with capsys.disabled():
        print(f"\n\n{'CPU ms':12}{'with':>10}{'without':>10}{'ratio':>10}")
        for workload in ("a request", "a chunk"):
            with_, without = (target.median(workload, "cpu") for target in targets)
            print(f"{workload:12}{with_:>10.4f}{without:>10.4f}{with_ / without:>10.3f}")
    assert all(len(target.figures["a chunk"]["cpu"]) == ROUNDS for target in targets)
