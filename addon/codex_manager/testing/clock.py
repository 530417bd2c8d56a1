"""A clock that stands still until a test moves it.

It has the engine's clock's shape: `monotonic()`, `time()`, `await sleep(seconds)`. Law: sleepers wake in the order of
their deadlines, each seeing the time it asked for, and whatever they do runs before time goes on.
"""

import asyncio
import heapq
import itertools


__all__ = ["FakeClock"]

SETTLE_ROUNDS = 32
"""Turns of the event loop between two wakings: long enough for chains of awaits without I/O to run to their next sleep."""


class FakeClock:
    """Starts at `start` on the monotonic clock and at `wall` Unix time."""

    def __init__(self, start: float = 1000.0, wall: float = 1_790_000_000.0) -> None:
        self._now = start
        self._wall = wall - start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def __repr__(self) -> str:
        return f"<FakeClock at {self._now:g}, {self.sleepers} asleep>"

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._now + self._wall

    @property
    def sleepers(self) -> int:
        """How many are asleep."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def next_deadline(self) -> float | None:
        """When the first sleeper wakes, on the monotonic clock."""
        return min((at for at, _, future in self._sleepers if not future.done()), default=None)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved far enough; 0 or less lets other tasks run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on, waking every sleeper on the way; those who sleep again within the span wake again."""
        target = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            at, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not future.done():
                future.set_result(None)
                await self.settle()
        self._now = target
        await self.settle()

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or a user does; the monotonic clock stands."""
        self._wall += seconds

    @staticmethod
    async def settle() -> None:
        """Let every task that can run without I/O run."""
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)
