"""Time as the engine sees it: monotonic for deadlines, wall time for dates in headers, and a sleep that can be faked."""

import asyncio
import time

from typing import Protocol


__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the engine needs of time. `codex_manager.testing.FakeClock` is one that is set by hand."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    def time(self) -> float:
        """Unix time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
