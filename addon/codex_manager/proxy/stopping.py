"""Who asks this process to stop: the terminal, the service manager, `codex-manager stop`.

Asked once, what is under way may finish; asked again, not. Law: whoever may ask is the owner, by a signal of the system, or, where a
process in the background has none (Windows), by a file that holds the token of this run (config.presence).
"""

import asyncio
import contextlib
import signal

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from codex_manager.config import presence
from codex_manager.core.secret import Secret


__all__ = ["LOOK_S", "Stop"]

LOOK_S: Final = 0.3


class Stop:
    """What was asked so far."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.now = asyncio.Event()
        self.again = 0
        """The signal that asked a second time."""

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop; the second time, at once."""
        if self.asked.is_set():
            self.again = int(number)
            self.now.set()
        self.asked.set()

    @contextlib.contextmanager
    def on_signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Listen to the terminal and the service manager."""
        handled = (signal.SIGINT, signal.SIGTERM)
        try:
            for number in handled:
                loop.add_signal_handler(number, self.ask, number)
        except NotImplementedError:  # Windows
            for number in handled:
                signal.signal(number, lambda seen, _: loop.call_soon_threadsafe(self.ask, signal.Signals(seen)))
            yield
            return
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    @contextlib.asynccontextmanager
    async def on_file(self, folder: Path, token: Secret) -> AsyncIterator[None]:
        """Listen to the file in which `codex-manager stop` asks where it cannot send a signal."""
        looking = asyncio.create_task(self._look(folder, token), name="look for a request to stop")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self, folder: Path, token: Secret) -> None:
        while True:
            if await asyncio.to_thread(presence.is_asked_to_stop, folder, token):
                self.ask()
            await asyncio.sleep(LOOK_S)
