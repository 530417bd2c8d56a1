"""The way out of one answer: writes its bytes to the socket as slowly, as piecemeal and as far as the script says."""

import asyncio
import contextlib
import socket
import struct
import sys

from collections.abc import Awaitable, Callable

from codex_manager.testing.journal import Seen
from codex_manager.testing.step import Cut, Travel


__all__ = ["CutError", "Wire", "reset"]

FLUSH_LIMIT_S = 1.0
"""How long a reset waits for the bytes before it to be acknowledged, so that the client surely has them."""


class CutError(Exception):
    """The script ends the answer here."""

    def __init__(self, cut: Cut) -> None:
        super().__init__(cut.kind)
        self.cut = cut


class Wire:
    """Carries one answer. The mutable state is what was sent and where the head ended."""

    def __init__(
        self, transport: asyncio.Transport, drain: Callable[[], Awaitable[None]], travel: Travel, seen: Seen
    ) -> None:
        self._transport, self._drain, self._travel, self._seen = transport, drain, travel, seen
        self._limit = travel.cut.at if travel.cut and travel.cut.of == "wire" else None
        self._pieces = 0

    def head_ends(self, size: int) -> None:
        """Offsets in the body count from here: the head takes the first `size` bytes."""
        if self._travel.cut and self._travel.cut.of == "body":
            self._limit = size + self._travel.cut.at

    def piece(self) -> None:
        """One more piece of a stream begins."""
        cut = self._travel.cut
        if cut and cut.of == "pieces" and self._pieces >= cut.at:
            raise CutError(cut)
        self._pieces += 1

    async def write(self, data: bytes) -> None:
        """Send `data`, or as much of it as the script lets through."""
        cut = None
        if self._limit is not None and self._seen.sent_bytes + len(data) > self._limit:
            cut = self._travel.cut
            data = data[: self._limit - self._seen.sent_bytes]
        size = self._travel.slice_bytes
        if not size:
            self._put(data)
        else:
            for start in range(0, len(data), size):
                if start:
                    await asyncio.sleep(self._travel.slice_pause_s)
                self._put(data[start : start + size])
        await self._drain()
        if cut is not None:
            raise CutError(cut)

    def _put(self, data: bytes) -> None:
        if data:
            self._transport.write(data)
            self._seen.sent_bytes += len(data)


async def reset(transport: asyncio.Transport) -> None:
    """End a connection with RST, after everything written so far has reached the other side."""
    sock = transport.get_extra_info("socket")
    deadline = asyncio.get_running_loop().time() + FLUSH_LIMIT_S
    while sock is not None and (transport.get_write_buffer_size() or unacknowledged(sock)):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.001)
    abort(transport)


def abort(transport: asyncio.Transport) -> None:
    """RST at once; what is not yet on the way is lost."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # the client may have been faster
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def unacknowledged(sock: socket.socket) -> int:
    """Bytes in the kernel's send queue that the other side has not acknowledged; 0 where the system cannot tell."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"), sys.byteorder)
    except OSError:
        return 0
