"""Requests that wait for an account to come back, instead of sending their clients away.

Law: at most `max_waiting` wait, none longer than it was told; whoever is cancelled leaves no trace. Everyone is woken when
anything was freed or learned and decides again; whom the half-open scope does not admit waits on.
"""

import asyncio

from codex_manager.engine.clock import Clock


__all__ = ["WaitingRoom"]


class WaitingRoom:
    """Use from one event loop."""

    __slots__ = ("_clock", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, seconds: float) -> None:
        """Until somebody calls `wake`, or this long."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        self._waiting.add(woken)
        try:
            await asyncio.wait({woken, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(woken)
            timer.cancel()

    def wake(self) -> None:
        """Something has changed."""
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)
