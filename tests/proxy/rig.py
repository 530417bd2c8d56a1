"""The real listener, layers and bridge in this process, in front of a door the test decides about."""

import asyncio
import contextlib

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import options
from mitmproxy.proxy.layers.http import HTTPMode

from codex_manager.engine.messages import Answer, Body, Headers
from codex_manager.proxy import loop as event_loop
from codex_manager.proxy.answers import json_answer
from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.incoming import Admission, Incoming, Limits
from codex_manager.proxy.layer import CodexHttpLayer
from codex_manager.proxy.listener import Listener
from codex_manager.proxy.strip import strip


KEY = "sk-codex-manager"
TIMEOUT = 10.0

type Carry = Callable[["Seen"], Awaitable[Answer]]


@dataclass
class Seen:
    """What the door was given."""

    admission: Admission
    body: Body

    async def read(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else b"".join([piece async for piece in self.body])


@dataclass
class FakeDoor:
    """A door that lets the local key in and answers as the test says."""

    carry_out: Carry
    limits: Limits = field(default_factory=Limits)
    response_headers: bool = True
    seen: list[Seen] = field(default_factory=list)
    cancelled: list[float] = field(default_factory=list)
    refused: list[Incoming] = field(default_factory=list)

    def admit(self, incoming: Incoming) -> Admission | Answer:
        keys = [value for name, value in incoming.headers if name.lower() == b"authorization"]
        if keys != [f"Bearer {KEY}".encode()]:
            self.refused.append(incoming)
            return json_answer(401, {"error": {"message": "no", "type": "x", "param": None, "code": "invalid_api_key"}})
        return Admission(incoming=incoming, client="default", headers=strip(incoming.headers))

    async def carry(self, admission: Admission, body: Body) -> Answer:
        seen = Seen(admission, body)
        self.seen.append(seen)
        try:
            return await self.carry_out(seen)
        except asyncio.CancelledError:
            self.cancelled.append(asyncio.get_running_loop().time())
            raise


@dataclass
class Upstream:
    """An answer whose body the test drives, and what became of it."""

    closed: int = 0
    cancelled: bool = False
    pulled: int = 0

    def answer(self, pieces: AsyncIterator[bytes], *, status: int = 200, headers: Headers = (), **fields) -> Answer:
        async def body() -> AsyncIterator[bytes]:
            try:
                async for piece in pieces:
                    self.pulled += len(piece)
                    yield piece
            except asyncio.CancelledError:
                self.cancelled = True
                raise

        async def aclose() -> None:
            self.closed += 1

        return Answer(status=status, reason="OK", headers=headers, body=body(), aclose=aclose, **fields)


async def once(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def plain(body: bytes = b'{"ok":true}', **fields) -> Answer:
    length = (b"Content-Length", b"%d" % len(body))
    return Upstream().answer(once(body), headers=((b"Content-Type", b"application/json"), length), **fields)


@dataclass
class Rig:
    port: int
    door: FakeDoor
    bridge: Bridge
    listener: Listener
    master: LeanMaster

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def serving(
    door: FakeDoor, *addons: object, forward: bool = False, **options_of_bridge: Any
) -> AsyncIterator[Rig]:
    """Listen on a free port until the block ends."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    event_loop.start_tasks_at_once(loop)
    master = LeanMaster(options.Options())
    bridge = Bridge(
        door,
        connections=lambda: listener.connections,
        hears=master.addons.hears,
        routed=frozenset,
        forward=forward,
        **options_of_bridge,
    )
    listener = Listener(master, lambda context: CodexHttpLayer(context, HTTPMode.regular, bridge))
    master.addons.add(listener, bridge, *addons)
    try:
        bound = await listener.listen("127.0.0.1", 0)
        yield Rig(bound[0][1], door, bridge, listener, master)
    finally:
        listener.stop()
        listener.drop(lambda _: False)
        await listener.closed(2.0)
        loop.set_task_factory(before)


def head(method: str = "POST", target: str = "/v1/chat/completions", *lines: str, key: str | None = KEY) -> bytes:
    """A request head with Host and the local key."""
    first = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    first += [f"Authorization: Bearer {key}"] if key is not None else []
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


def post(body: bytes = b"{}", *lines: str, **options) -> bytes:
    return (
        head(
            "POST",
            "/v1/chat/completions",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *lines,
            **options,
        )
        + body
    )


@dataclass
class Reply:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def __getitem__(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


async def read_reply(reader: asyncio.StreamReader, *, method: str = "POST") -> Reply:
    """One response off the wire, its framing undone; `raw` is the bytes as they came."""
    async with asyncio.timeout(TIMEOUT):
        raw = await reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        _, status, reason = first.split(" ", 2)
        headers = [(line.partition(":")[0], line.partition(":")[2].strip()) for line in lines]
        reply = Reply(int(status), reason, headers, b"", raw)
        if method == "HEAD" or reply.status in {204, 304} or reply.status < 200:
            return reply
        if reply["transfer-encoding"]:
            while size := int((line := await reader.readuntil(b"\r\n")).strip(), 16):
                piece = await reader.readexactly(size + 2)
                reply.body += piece[:-2]
                reply.raw += line + piece
            reply.raw += line + await reader.readexactly(2)
        else:
            length = reply["content-length"]
            reply.body = await (reader.readexactly(int(length)) if length is not None else reader.read())
            reply.raw += reply.body
        return reply


async def ask(rig: Rig, request: bytes, *, method: str = "POST") -> Reply:
    """One request on a connection of its own."""
    reader, writer = await rig.connect()
    try:
        writer.write(request)
        return await read_reply(reader, method=method)
    finally:
        writer.close()
        await writer.wait_closed()
