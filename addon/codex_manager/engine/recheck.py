"""Asks now and then whether a refused key works again, with a request that costs nothing: `GET /v1/models`.

Law: one task, only while there is a refused key; first after 15 min, then twice as long each time, up to 6 h (semantics
§3). It ends with the engine.
"""

import asyncio
import math

from typing import TYPE_CHECKING

from codex_manager.core.marks import RECHECK_FIRST_S, RECHECK_LONGEST_S
from codex_manager.engine.messages import Request


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Recheck"]

QUESTION = Request(method="GET", target="/v1/models", headers=((b"Accept", b"application/json"),))


class Recheck:
    """The background task of one engine."""

    __slots__ = ("_delays", "_engine", "_task")

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._delays: dict[str, float] = {}

    def notice(self) -> None:
        """A key was refused."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="recheck of refused keys")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        engine = self._engine
        while (soonest := self._soonest()) < math.inf:
            await engine.clock.sleep(max(soonest - engine.clock.monotonic(), 0.0))
            now = engine.clock.monotonic()
            for account_id, standing in list(engine.state.accounts.items()):
                if standing.auth_failed is None:
                    self._delays.pop(account_id, None)
                elif standing.recheck_at <= now:
                    delay = min(self._delays.get(account_id, RECHECK_FIRST_S) * 2, RECHECK_LONGEST_S)
                    self._delays[account_id] = delay
                    standing.recheck_at = now + delay
                    answer = await engine.call_account(account_id, QUESTION)
                    await answer.aclose()
                    if answer.status < 300:
                        standing.auth_failed = None
                        del self._delays[account_id]
                        engine.waiting.wake()
                    elif standing.auth_failed is not None:
                        standing.recheck_at = engine.clock.monotonic() + delay

    def _soonest(self) -> float:
        return min(
            (s.recheck_at for s in self._engine.state.accounts.values() if s.auth_failed is not None), default=math.inf
        )
