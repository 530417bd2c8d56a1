"""The event loop: uvloop where there is one, asyncio otherwise, with tasks that start at once.

mitmproxy's layers count on eager tasks. uvloop from 0.22 passes `eager_start` to the task factory, which
`asyncio.eager_task_factory` of Python 3.13.0 does not take; the factory here takes it.
"""

import asyncio
import importlib
import logging

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any


__all__ = ["run", "start_tasks_at_once"]

log = logging.getLogger(__name__)


def run[T](main: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine in the fastest loop there is."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def start_tasks_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """Have every task run until it first waits as soon as it is made."""
    loop.set_task_factory(_eager_task)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        log.info("uvloop is not installed; the asyncio loop serves as well, a little slower")
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _eager_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    *,
    name: str | None = None,
    context: Context | None = None,
    **_: object,
) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, name=name, context=context, eager_start=loop.is_running())
