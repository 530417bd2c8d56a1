"""The whole proxy in this process, listener to transport, in front of a fake OpenAI; and clients that speak frames."""

import asyncio
import base64
import contextlib
import json
import os

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitmproxy import options
from mitmproxy.proxy.layers.http import HTTPMode
from tests.support import MASTER_KEY, POLLING, account, make_home
from wsproto import events
from wsproto.connection import Connection, ConnectionType
from wsproto.extensions import Extension, PerMessageDeflate

from codex_manager.config.paths import Paths
from codex_manager.proxy import loop as event_loop
from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.layer import CodexHttpLayer
from codex_manager.proxy.listener import Listener
from codex_manager.proxy.runtime import Runtime
from codex_manager.testing import FakeOpenAI


KEY = "sk-codex-manager"
TIMEOUT = 10.0
CREATE = {"type": "response.create", "model": "gpt-5", "input": "hello", "store": False}


@dataclass
class Proxy:
    port: int
    runtime: Runtime
    bridge: Bridge
    listener: Listener
    fake: FakeOpenAI

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def state(self):
        assert self.runtime._engine is not None
        return self.runtime._engine.state

    async def until_idle(self) -> None:
        """Everything was let go: no exchange, no lease, no connection to the upstream that is in use."""
        async with asyncio.timeout(5):
            while self.bridge.running or self.state.in_flight():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def through(
    fake: Any, folder: Path, *keys: str, addons: Sequence[object] = (), config: str = "", **fields: Any
) -> AsyncIterator[Proxy]:
    """A proxy whose accounts have these keys; the first has the highest priority."""
    for key in keys:
        if key not in fake._accounts:
            fake.account(key)
    accounts = [
        account(key.removeprefix("sk-"), key, **{"priority": len(keys) - n, **fields}) for n, key in enumerate(keys)
    ]
    text = (
        f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority\n  max_inline_wait_s: 0\n{config}"
    )
    home = make_home(folder, accounts, text)
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    event_loop.start_tasks_at_once(loop)
    environ = {"CAM_MASTER_KEY": MASTER_KEY, POLLING: "false"}
    runtime = await asyncio.to_thread(Runtime.open, Paths(folder, folder), environ)
    master = LeanMaster(options.Options())
    bridge = Bridge(
        runtime, connections=lambda: listener.connections, hears=master.addons.hears, routed=frozenset, forward=False
    )
    listener = Listener(master, lambda context: CodexHttpLayer(context, HTTPMode.regular, bridge))
    master.addons.add(listener, bridge, *addons)
    assert home.path == folder
    try:
        bound = await listener.listen("127.0.0.1", 0)
        await runtime.start(bound)
        yield Proxy(bound[0][1], runtime, bridge, listener, fake)
    finally:
        listener.stop()
        listener.drop(lambda _: False)
        await listener.closed(2.0)
        await runtime.close()
        loop.set_task_factory(before)


class RefusedError(Exception):
    """The handshake was answered otherwise."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


@dataclass
class Client:
    """A WebSocket spoken frame by frame. `closed` is the code of the close frame that came, or 1006."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ws: Connection
    headers: dict[str, str]
    pongs: list[bytes] = field(default_factory=list)
    closed: int | None = None
    reason: str = ""
    _parts: list[Any] = field(default_factory=list)
    _ready: list[Any] = field(default_factory=list)

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        data = json.dumps(message) if isinstance(message, dict) else message
        self.writer.write(
            self.ws.send(events.TextMessage(data) if isinstance(data, str) else events.BytesMessage(data))
        )
        await self.writer.drain()

    async def receive(self, patience: float = TIMEOUT) -> Any:
        """The next message, parsed when it is JSON; None when the socket has ended."""
        async with asyncio.timeout(patience):
            while not self._ready:
                if self.closed is not None:
                    return None
                try:
                    data = await self.reader.read(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    self.closed = 1006
                    return None
                self.ws.receive_data(data)
                for event in self.ws.events():
                    if isinstance(event, events.Message):
                        self._parts.append(event.data)
                        if event.message_finished:
                            self._ready.append(self._parts[0][:0].join(self._parts))
                            self._parts.clear()
                    elif isinstance(event, events.Pong):
                        self.pongs.append(bytes(event.payload))
                    elif isinstance(event, events.Ping):
                        self.writer.write(self.ws.send(event.response()))
                    elif isinstance(event, events.CloseConnection):
                        self.closed, self.reason = int(event.code), event.reason or ""
                        with contextlib.suppress(Exception):
                            self.writer.write(self.ws.send(event.response()))
        message = self._ready.pop(0)
        return json.loads(message) if isinstance(message, str) and message[:1] == "{" else message

    async def turn(self, message: dict[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
        """Send a `response.create` and read its answer to the end."""
        await self.send({**(message or CREATE), **changes})
        return await self.answer()

    async def answer(self) -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []
        while (event := await self.receive()) is not None:
            heard.append(event)
            if event["type"] in {"error", "response.completed", "response.failed", "response.done"}:
                break
        return heard

    async def end(self) -> int:
        """Read until the socket has ended: how."""
        while await self.receive() is not None:
            pass
        assert self.closed is not None
        return self.closed

    async def close(self, code: int = 1000) -> int:
        self.writer.write(self.ws.send(events.CloseConnection(code)))
        return await self.end()


def handshake(path: str = "/v1/responses", *lines: str, key: str | None = KEY, deflate: bool = False) -> bytes:
    nonce = base64.b64encode(os.urandom(16)).decode()
    first = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
    first += [f"Sec-WebSocket-Key: {nonce}", "Sec-WebSocket-Version: 13"]
    first += [f"Authorization: Bearer {key}"] if key is not None else []
    first += ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] if deflate else []
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


@contextlib.asynccontextmanager
async def open_socket(
    port: int, path: str = "/v1/responses", *lines: str, host: str = "127.0.0.1", **options: Any
) -> AsyncIterator[Client]:
    """Open a WebSocket; RefusedError when the answer is no 101. Leaving the block hangs up without a close frame."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(handshake(path, *lines, **options))
        async with asyncio.timeout(TIMEOUT):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.rstrip("\r\n").split("\r\n")
            headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in rest}
            status = int(first.split(" ")[1])
            if status != 101:
                raise RefusedError(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        extensions: list[Extension] = []
        if agreed := headers.get("sec-websocket-extensions"):
            deflate = PerMessageDeflate()
            deflate.finalize(agreed)
            extensions.append(deflate)
        yield Client(reader, writer, Connection(ConnectionType.CLIENT, extensions), headers)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
