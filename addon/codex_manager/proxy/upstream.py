"""The way to the upstreams, exchanged while requests are on it.

Knows how the configuration decides the way (certificates, a company's proxy) and how to replace one transport by
another. Knows nothing of accounts; timeouts come with each request.
Law: a request ends on the way it began. An old transport is closed when the last exchange on it is, and not before.
"""

import asyncio
import ssl

from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from codex_manager.config.errors import ConfigError
from codex_manager.config.schema import Config
from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.messages import Headers
from codex_manager.engine.transport import Timeouts, Transport, UpstreamAnswer, UpstreamRequest, Wire
from codex_manager.proxy.watch import file_stamp
from codex_manager_certs.trust import TrustError, upstream_context


__all__ = ["Upstream", "UpstreamRoute"]


@dataclass(frozen=True, slots=True)
class UpstreamRoute:
    """What decides the way; two that are equal need no exchange."""

    ca_file: str | None
    ca_stamp: object
    """So that a file whose content was renewed is read again."""
    proxy: str | None = field(repr=False)
    """May hold the password for a company's proxy."""
    context: ssl.SSLContext = field(compare=False, repr=False)

    @classmethod
    def of(cls, config: Config) -> Self:
        """Read the certificates (blocking, some 30 ms).

        Raises:
            ConfigError: `upstream.ca_file` cannot be used.
        """
        name = config.upstream.ca_file
        path = Path(name) if name is not None else None
        stamp = file_stamp(path) if path is not None else None
        try:
            context = upstream_context(path)
        except TrustError as error:
            raise ConfigError(f"upstream.ca_file: {error}", hint=error.hint) from None
        return cls(name, stamp, config.upstream.proxy, context)

    def transport(self) -> Transport:
        """A new transport that goes this way; within a running loop."""
        return AiohttpTransport(ssl_context=self.context, proxy=self.proxy)


class Upstream:
    """A transport over the one in use. Mutable state: the line in use, and those that are being emptied."""

    def __init__(self, route: UpstreamRoute) -> None:
        self._route = route
        self._line = _Line(route.transport())
        self._emptying: dict[_Line, asyncio.Task[None]] = {}

    async def send(self, request: UpstreamRequest, timeouts: Timeouts, *, fresh: bool = False) -> UpstreamAnswer:
        """As the transport in use does."""
        line = self._line
        line.enter()
        try:
            answer = await line.transport.send(request, timeouts, fresh=fresh)
        except BaseException:
            line.leave()
            raise
        return _Answer(answer, line)

    def follow(self, route: UpstreamRoute) -> bool:
        """Go another way from now on; whether it is another."""
        if route == self._route:
            return False
        old, self._route, self._line = self._line, route, _Line(route.transport())
        task = self._emptying[old] = asyncio.create_task(old.close_when_empty(), name="empty an old transport")
        task.add_done_callback(lambda _: self._emptying.pop(old, None))
        return True

    async def aclose(self) -> None:
        """Close every connection, on old lines too. Safe to call twice."""
        lines = [self._line, *self._emptying]
        for task in self._emptying.values():
            task.cancel()
        await asyncio.gather(*(line.transport.aclose() for line in lines))


class _Line:
    """One transport, and how many exchanges are on it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._exchanges = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        self._exchanges += 1
        self._empty.clear()

    def leave(self) -> None:
        self._exchanges -= 1
        if not self._exchanges:
            self._empty.set()

    async def close_when_empty(self) -> None:
        await self._empty.wait()
        await self.transport.aclose()


class _Answer:
    """The transport's answer; closing it leaves the line."""

    __slots__ = ("_answer", "_line", "address", "headers", "reason", "status")

    def __init__(self, answer: UpstreamAnswer, line: _Line) -> None:
        self.status: int = answer.status
        self.reason: str = answer.reason
        self.headers: Headers = answer.headers
        self.address: tuple[str, int] | None = answer.address
        self._answer = answer
        self._line: _Line | None = line

    @property
    def is_complete(self) -> bool:
        return self._answer.is_complete

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._answer.__aiter__()  # the transport's own iterator: nothing is added per piece

    def __anext__(self) -> Coroutine[Any, Any, bytes]:
        return self._answer.__anext__()

    def switched(self) -> Wire:
        return self._answer.switched()

    def close(self) -> None:
        line, self._line = self._line, None
        try:
            self._answer.close()
        finally:
            if line is not None:
                line.leave()
