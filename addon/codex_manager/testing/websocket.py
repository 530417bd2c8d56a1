"""One accepted WebSocket of the fake: wsproto reads frames and writes them, a talk decides what is said.

Knows RFC 6455 and nothing of OpenAI. wsproto (it comes with mitmproxy) is loaded when the first socket is opened.
Law: a peer's close is answered and recorded, a ping is answered, what breaks the protocol is closed with its code; the
journal tells how the socket ended.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import time

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from codex_manager.testing.journal import Seen
from codex_manager.testing.reply import Reply


__all__ = ["Pipe", "Socket", "Talk", "accept", "wants_websocket"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
CLOSE_S = 1.0
"""How long the other side's close frame is waited for."""


class Pipe(Protocol):
    """The connection after it has switched."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


class Talk(Protocol):
    """What is said on a socket."""

    async def opened(self, socket: "Socket") -> None: ...
    async def heard(self, socket: "Socket", message: str | bytes) -> None: ...


def wants_websocket(seen: Seen) -> bool:
    """Whether a request asks for one."""
    return seen.method == "GET" and (seen.header("upgrade") or "").lower() == "websocket"


def accept(seen: Seen, talk: Talk, *, compress: bool) -> Reply:
    """The 101, or 400 where the handshake is none."""
    key = seen.header("sec-websocket-key") or ""
    try:
        sound = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        sound = False
    if not sound or seen.header("sec-websocket-version") != "13":
        return Reply(status=400, headers=[("content-type", "text/plain")], body=b"invalid WebSocket handshake\n")
    digest = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()  # noqa: S324  # RFC 6455's choice
    headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", digest)]
    offered = [name.strip() for value in seen.header_values("sec-websocket-protocol") for name in value.split(",")]
    if "realtime" in offered:
        headers.append(("sec-websocket-protocol", "realtime"))
    deflate = _deflate(seen) if compress else None
    if deflate is not None:
        headers.append(("sec-websocket-extensions", deflate[1]))
    extensions = [deflate[0]] if deflate is not None else []
    return Reply(status=101, headers=headers, socket=lambda pipe: Socket(pipe, seen, talk, extensions))


def _deflate(seen: Seen) -> tuple[Any, str] | None:
    from wsproto.extensions import PerMessageDeflate

    for value in seen.header_values("sec-websocket-extensions"):
        for offer in value.split(","):
            if offer.split(";")[0].strip() == "permessage-deflate":
                extension = PerMessageDeflate()
                agreed = extension.accept(offer.strip())
                if isinstance(agreed, str):
                    return extension, f"permessage-deflate; {agreed}" if agreed else "permessage-deflate"
    return None


class Socket:
    """The mutable state: wsproto's, whether a close has been sent, and the talk's own task."""

    def __init__(self, pipe: Pipe, seen: Seen, talk: Talk, extensions: list[Any]) -> None:
        from wsproto.connection import Connection, ConnectionType

        self.seen = seen
        self._pipe = pipe
        self._talk = talk
        self._ws = Connection(ConnectionType.SERVER, extensions)
        self._waiting: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._sending = asyncio.Lock()
        self._closing = False

    async def run(self) -> None:
        """Until one side has closed. Cancelled when the client hangs up."""
        talking = asyncio.create_task(self._work())
        listening = asyncio.create_task(self._listen())
        try:
            done, _ = await asyncio.wait({talking, listening}, return_when=asyncio.FIRST_COMPLETED)
            if talking in done and not talking.cancelled() and (error := talking.exception()) is not None:
                raise error
            if listening not in done and self._closing:
                await asyncio.wait({listening}, timeout=CLOSE_S)
            if listening.done() and (failure := listening.exception()) is not None:
                raise failure
        finally:
            for task in (talking, listening):
                task.cancel()
            await asyncio.gather(talking, listening, return_exceptions=True)

    async def send(self, event: dict[str, Any] | str | bytes) -> None:
        """Send one message; a dict becomes JSON."""
        from wsproto.events import BytesMessage, TextMessage

        text = json.dumps(event, ensure_ascii=False) if isinstance(event, dict) else event
        async with self._sending:
            if self._closing:
                return
            made: BytesMessage | TextMessage = TextMessage(text) if isinstance(text, str) else BytesMessage(text)
            self.seen.sent_at.append(time.monotonic_ns())
            await self._pipe.write(self._ws.send(made))

    async def close(self, code: int, reason: str = "") -> None:
        """Send a close frame; the talk ends with it."""
        from wsproto.events import CloseConnection

        async with self._sending:
            if not self._closing:
                self._closing = True
                self.seen.close_sent = code
                await self._pipe.write(self._ws.send(CloseConnection(code, reason)))

    async def ping(self, payload: bytes = b"") -> None:
        """Ask for a pong."""
        from wsproto.events import Ping

        await self._pipe.write(self._ws.send(Ping(payload)))

    async def _work(self) -> None:
        await self._talk.opened(self)
        while not self._closing:
            await self._talk.heard(self, await self._waiting.get())

    async def _listen(self) -> None:
        from wsproto import events

        parts: list[Any] = []
        handlers: dict[type, Callable[[Any], Awaitable[bool]]] = {
            events.Ping: self._pinged,
            events.CloseConnection: self._closed,
        }
        while True:
            self._ws.receive_data(await self._pipe.read())
            for event in self._ws.events():
                if isinstance(event, events.Message):
                    parts.append(event.data)
                    if event.message_finished:
                        message = parts[0][:0].join(parts)
                        parts.clear()
                        self.seen.messages.append(message if isinstance(message, str) else bytes(message))
                        self._waiting.put_nowait(self.seen.messages[-1])
                elif (handler := handlers.get(type(event))) is not None and await handler(event):
                    return

    async def _pinged(self, event: Any) -> bool:
        self.seen.pings += 1
        await self._pipe.write(self._ws.send(event.response()))
        return False

    async def _closed(self, event: Any) -> bool:
        self.seen.close_code = int(event.code)
        self.seen.close_reason = event.reason or ""
        self.seen.finished_at = time.monotonic()
        async with self._sending:
            if not self._closing:
                self._closing = True
                with contextlib.suppress(OSError):
                    await self._pipe.write(self._ws.send(event.response()))
        return True
