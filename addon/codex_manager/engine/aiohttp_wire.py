"""The raw bytes of an aiohttp connection after a 101.

Law: reading stops when nobody takes what came; what was written is not collected without bound either. The end is the
end, however it came: an orderly close and a reset both read as no more bytes.
"""

import asyncio

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_writer import StreamWriter


__all__ = ["AiohttpWire"]

MOST_WAITING = 256 * 1024
"""Bytes that may wait before the socket is not read any more; four of asyncio's reads."""
HIGH_WATER = 64 * 1024  # asyncio's own default


class AiohttpWire:
    """A `transport.Wire`. One reader, any number of writers."""

    def __init__(self, protocol: ResponseHandler, stalled_s: float) -> None:
        self._protocol = protocol
        self._writer = StreamWriter(protocol, asyncio.get_running_loop())
        self._stalled_s = stalled_s
        self._waiting = bytearray()
        self._ended = False
        self._paused = False
        self._arrival: asyncio.Future[None] | None = None
        protocol.set_parser(self, None)

    # --- what aiohttp tells (as it tells its own WebSocketReader) ---

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Bytes have come."""
        self._waiting += data
        if len(self._waiting) > MOST_WAITING and not self._paused:
            self._paused = True
            self._protocol.pause_reading()
        self._wake()
        return False, b""

    def feed_eof(self) -> None:
        """No more will come."""
        self._ended = True
        self._wake()

    # --- what the engine asks ---

    async def read(self) -> bytes:
        """What has come, as soon as there is something; empty at the end. May be cancelled without losing a byte."""
        while not self._waiting:
            transport = self._protocol.transport
            if self._ended or transport is None:
                return b""
            if self._paused:
                self._paused = False
                self._protocol.resume_reading()
                continue
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    async def write(self, data: bytes) -> None:
        """Send, and wait while the upstream does not take what it was sent. Nothing happens after the end."""
        transport = self._protocol.transport
        if not data or transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > HIGH_WATER:
            try:
                async with asyncio.timeout(self._stalled_s):
                    await self._writer.drain()
            except (OSError, TimeoutError):
                transport.abort()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
