"""What the benchmark's processes share: a core to run on, the fastest loop there is, CPU time of others."""

import asyncio
import os

import psutil


def rounds(full: int) -> int:
    """How often a comparison is repeated: two rounds say that it runs, more make a figure (`CODEX_MANAGER_BENCH=short`)."""
    return min(full, 2) if os.environ.get("CODEX_MANAGER_BENCH") == "short" else full


def pin(core: int | None) -> None:
    """Stay on one core, where the system lets us."""
    if core is not None and hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


def run(main):
    """Run on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return asyncio.run(main, loop_factory=uvloop.new_event_loop)


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def memory_mib(pid: int) -> float:
    return psutil.Process(pid).memory_info().rss / (1 << 20)
