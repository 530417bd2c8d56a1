"""Work beside the terminal's loop: in a thread, its end told to the loop as a message.

Law: the loop never waits. Threads are daemons, so that quitting waits for nobody; what went wrong is a value like what went well.
"""

import threading

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump


__all__ = ["Aside", "Ended"]


@dataclass
class Ended(Message):
    """Something that was done aside is over: `then` is for the loop to call."""

    then: Callable[[], None]


class Aside:
    """Does things beside the loop, and tells `pump` when each is over. Mutable state: the names of those under way."""

    def __init__(self, pump: MessagePump) -> None:
        self._pump = pump
        self._busy: set[str] = set()

    def is_busy(self, name: str) -> bool:
        """Whether something of this name is under way."""
        return name in self._busy

    def do[T](
        self, name: str, work: Callable[[], T], then: Callable[[T], object], failed: Callable[[Exception], object]
    ) -> bool:
        """Have it done; False when one of this name is under way still. `then` or `failed` is called on the loop."""
        if name in self._busy:
            return False
        self._busy.add(name)

        def over(call: Callable[[Any], object], value: Any) -> None:
            self._busy.discard(name)
            call(value)

        def run() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is told
                self._pump.post_message(Ended(partial(over, failed, error)))
            else:
                self._pump.post_message(Ended(partial(over, then, value)))

        threading.Thread(target=run, name=f"tui-{name}", daemon=True).start()
        return True
