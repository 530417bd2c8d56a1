"""The fake server in a thread of its own, for tests that are not async."""

import asyncio
import contextlib
import threading

from collections.abc import Iterator

from codex_manager.testing.server import FakeOpenAI


__all__ = ["in_thread"]


@contextlib.contextmanager
def in_thread(fake: FakeOpenAI | None = None) -> Iterator[FakeOpenAI]:
    """Serve from a background thread while the block runs; accounts and scripts may be changed from any thread."""
    served = fake or FakeOpenAI()
    ready = threading.Event()
    failure: list[BaseException] = []
    loop: asyncio.AbstractEventLoop | None = None
    leave: asyncio.Event | None = None

    async def serve() -> None:
        nonlocal loop, leave
        loop, leave = asyncio.get_running_loop(), asyncio.Event()
        async with served:
            ready.set()
            await leave.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that asked
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="fake-openai", daemon=True)
    thread.start()
    ready.wait()
    try:
        if not failure:
            yield served
    finally:
        if loop is not None and leave is not None and not loop.is_closed():
            loop.call_soon_threadsafe(leave.set)
        thread.join()
    if failure:
        raise failure[0]
