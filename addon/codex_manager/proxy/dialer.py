"""Connections for tunnels: looked up once, judged, and made to exactly the addresses that were judged.

Knows resolvers, sockets and a company's proxy. Law: between judging and connecting no name is looked up again, so a
resolver that changes its mind (DNS rebinding) changes nothing; one forbidden address among several refuses the name; the
port on which we listen ourselves is never dialled on an address of this machine.
"""

import asyncio
import base64
import contextlib
import ssl

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohappyeyeballs

from codex_manager.config.address import url_address
from codex_manager.proxy.destination import Destination, Network, forbidden
from codex_manager.proxy.own_address import Bound, is_this_machine


__all__ = ["DialError", "DialSettings", "Dialer", "Line", "Resolve", "resolve"]

HEAD_START_S = 0.25  # RFC 8305 section 8: what an address gets before the next one is tried beside it
PROXY_HEAD = 16 * 1024  # a longer answer to CONNECT is none

type AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
type Resolve = Callable[[str, int], Awaitable[list[AddrInfo]]]


class DialError(Exception):
    """There is no connection. `status` is what HTTP calls it: 403 forbidden, 502, 504; the message is a sentence's end
    after the destination.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Line:
    """A connection, and which address it leads to."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSettings:
    """What may be dialled, and how."""

    allowed: tuple[Network, ...] = ()
    own: Bound = frozenset()
    """Where we listen ourselves."""
    timeout_s: float = 10.0
    proxy: str | None = None
    """A company's proxy; it looks names up itself, so those unknown here cannot be judged and are left to it."""
    tls: ssl.SSLContext | None = None
    """Whom to trust as an https:// proxy."""

    def __repr__(self) -> str:
        return f"<DialSettings {len(self.allowed)} networks allowed>"  # the proxy's URL may hold a password


async def resolve(host: str, port: int) -> list[AddrInfo]:
    """As the system does."""
    import socket

    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(family), int(kind), protocol, name, address) for family, kind, protocol, name, address in found]


class Dialer:
    """Opens connections for tunnels. `settings` is asked anew for each."""

    def __init__(self, settings: Callable[[], DialSettings], look_up: Resolve = resolve) -> None:
        self._settings = settings
        self._look_up = look_up

    @property
    def through_proxy(self) -> bool:
        """A company's proxy makes the connections."""
        return self._settings().proxy is not None

    async def dial(self, destination: Destination) -> Line:
        """A connection to the destination.

        Raises:
            DialError: it is forbidden, unknown, or cannot be reached.
        """
        settings = self._settings()
        try:
            async with asyncio.timeout(settings.timeout_s):
                addresses = await self.judged(destination)
                if settings.proxy is not None:
                    return await _through_proxy(settings.proxy, destination, settings.tls)
                return await _direct(addresses)
        except TimeoutError:
            message = f"did not answer within {settings.timeout_s:g} s"
            raise DialError(504, message) from None

    async def judged(self, destination: Destination) -> list[AddrInfo]:
        """Every address of the destination, all of them permitted.

        Raises:
            DialError: one is not, or there is none.
        """
        settings = self._settings()
        try:
            addresses = await self._look_up(destination.host, destination.port)
        except (OSError, UnicodeError) as error:
            if settings.proxy is not None:
                return []
            why = getattr(error, "strerror", None) or "it is not a name"
            raise DialError(502, f"cannot be resolved ({why.lower()})") from None
        if not addresses:
            raise DialError(502, "has no address")
        for *_, address in addresses:
            await _judge(str(address[0]), destination, settings)
        return addresses


async def _judge(address: str, destination: Destination, settings: DialSettings) -> None:
    reason = forbidden(address, settings.allowed)
    if reason is None and any(port == destination.port for _, port in settings.own):
        bare = address.partition("%")[0]
        reason = "this proxy itself" if await asyncio.to_thread(is_this_machine, bare) else None
    if reason is not None:
        leads = "is" if address == destination.host else f"leads to {address},"
        raise DialError(403, f"{leads} {reason}, where a tunnel may not lead")


async def _direct(addresses: list[AddrInfo]) -> Line:
    try:
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=HEAD_START_S, interleave=1)
    except (OSError, RuntimeError) as error:  # RuntimeError: no address at all could be tried
        why = getattr(error, "strerror", None) or "no address answered"
        raise DialError(502, f"cannot be reached ({why.lower()})") from None
    try:
        peer = sock.getpeername()
        reader, writer = await asyncio.open_connection(sock=sock)
    except BaseException:
        sock.close()
        raise
    return Line(reader, writer, (str(peer[0]), int(peer[1])))


async def _through_proxy(proxy: str, destination: Destination, tls: ssl.SSLContext | None) -> Line:
    host, port = url_address(proxy)
    parts = urlsplit(proxy)
    try:
        reader, writer = await asyncio.open_connection(
            host, port, ssl=(tls or True) if parts.scheme == "https" else None
        )
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise DialError(502, f"cannot be reached: no way to upstream.proxy ({why})") from None
    try:
        lines = [f"CONNECT {destination} HTTP/1.1", f"Host: {destination}"]
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await _close(writer)
        message = "cannot be reached: upstream.proxy did not answer with HTTP"
        raise DialError(502, message) from None
    except BaseException:
        writer.transport.abort()
        raise
    status = head.split(b" ", 2)[1:2]
    if len(head) > PROXY_HEAD or not status or not (status[0].isdigit() and 200 <= int(status[0]) < 300):
        await _close(writer)
        said = status[0].decode() if status and status[0].isdigit() and len(status[0]) == 3 else "no status"
        message = f"cannot be reached: upstream.proxy refused the way with status {said}"
        raise DialError(502, message)
    peer = writer.get_extra_info("peername")
    return Line(reader, writer, (str(peer[0]), int(peer[1])))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):  # it is over either way
        await writer.wait_closed()
