"""Counting keeps nothing of what it has counted: the proxy's memory stays where it is over many requests and streams."""

import os

from typing import Any

import pytest

from tests.bench.compare import load, ours, upstream
from tests.bench.process import memory_mib
from tests.support import wait_for

from codex_manager.ledger import Reader


REQUESTS = int(os.environ.get("CODEX_MANAGER_TEST_REQUESTS", "20000"))
WARM = 5000
"""Requests after which everything there is one of has been made: pools, caches, SQLite's pages."""
MIB = 8
"""Less than a kilobyte for each of those 15,000 requests."""
LIMITS: dict[str, Any] = {"daily_limit_usd": 100_000.0, "monthly_limit_usd": 1_000_000.0}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_is_flat_over_many_requests_that_are_counted(tmp_path):
    seen: list[tuple[int, float]] = []
    with upstream(None) as port, ours(tmp_path, port, None, "home", **LIMITS) as target:
        whole = streamed = 0
        while whole + streamed < REQUESTS:
            whole += load(target, "requests", None, "--concurrency", 16, "--seconds", 2)["count"]
            assert load(target, "streams", None, "--streams", 50, "--chunks", 100)["count"] == 5000
            streamed += 50
            seen.append((whole + streamed, memory_mib(target.pid)))
        ledger = tmp_path / "home" / "ledger.db"

        def written():
            with Reader.open(ledger) as reader:
                return reader.usage()[0].requests == whole + streamed

        assert wait_for(written, 20, 0.2)
    with Reader.open(ledger) as reader:
        (row,) = reader.usage()
        assert (row.input, row.output) == (250 * (whole + streamed), 175 * whole + 100 * streamed)
        assert row.estimated == 0
    begun = next(mib for count, mib in seen if count >= min(WARM, REQUESTS / 4))
    print(f"\n{whole} requests and {streamed} streams: {begun:.1f} MiB warm, {seen[-1][1]:.1f} MiB at the end")
    print(", ".join(f"{count}: {mib:.1f}" for count, mib in seen[:: max(1, len(seen) // 20)]))
    assert seen[-1][1] - begun < MIB
