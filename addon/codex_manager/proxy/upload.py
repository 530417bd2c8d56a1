"""A request body on its way through: bytes in from the client's connection, out to the engine, never much in between.

Knows nothing of HTTP. Law: at most `HIGH_WATER` bytes plus one read of the socket wait here, provided the owner stops
reading while `full` is true and waits for `room()`.
"""

import asyncio

from collections import deque


__all__ = ["HIGH_WATER", "LOW_WATER", "Upload"]

HIGH_WATER = 256 * 1024  # four reads of mitmproxy's 64 KiB: enough to keep an upstream busy, small beside any body
LOW_WATER = 64 * 1024  # as asyncio's own default for a stream's low-water mark


class Upload:
    """An iterator of bytes with one reader; the writer is synchronous and asks `full` whether to go on."""

    def __init__(self) -> None:
        self.received = 0
        """Bytes that came in, whether they were wanted or not."""
        self.ended = False
        """The client has sent everything."""
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._unwanted = False

    @property
    def full(self) -> bool:
        """More waits than should: stop reading from the client."""
        return not self._room.is_set()

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        self.received += len(data)
        if self._unwanted:
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self._room.clear()
        self._arrived.set()

    def finish(self) -> None:
        """The client has sent everything."""
        self.ended = True
        self._arrived.set()

    def discard(self) -> None:
        """Nobody reads on: drop what waits and what is still to come, so that the client is not held up."""
        self._unwanted = True
        self._waiting.clear()
        self._size = 0
        self._room.set()
        self._arrived.set()

    async def room(self) -> None:
        """Wait until there is room again."""
        await self._room.wait()

    def __aiter__(self) -> "Upload":
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self.ended or self._unwanted:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        data = self._waiting.popleft()
        self._size -= len(data)
        if self._size <= LOW_WATER:
            self._room.set()
        return data
