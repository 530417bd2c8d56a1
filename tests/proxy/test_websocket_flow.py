"""WebSockets under load and over time: nothing grows, nothing times out, every way to the upstream works."""

import asyncio
import json

from typing import Any

import pytest

from tests.proxy.websocket_rig import CREATE, open_socket, through

from codex_manager.engine.websocket_frames import accept_value
from codex_manager.engine.websocket_pipe import HIGH_WATER, MOST_QUEUED
from codex_manager.testing import FakeOpenAI, answers


REALTIME = "/v1/realtime?model=gpt-realtime"


@pytest.fixture
async def fake():
    async with FakeOpenAI() as server:
        yield server


def session_of(proxy):
    (exchange,) = proxy.bridge.running
    return exchange.answer.session


@pytest.mark.slow
async def test_a_client_that_does_not_read_stops_the_reading_upstream(fake, tmp_path):
    """Its messages wait at the upstream, not here; when it reads, all of them come, in order."""
    count = 300
    fake.account("sk-a")
    fake.always("sk-a", answers.ok("0123456789" * 10_000 * count, chunks=count), path="*#create")
    async with through(fake, tmp_path, "sk-a") as proxy, open_socket(proxy.port) as client:
        transport: Any = client.writer.transport
        transport.pause_reading()
        await client.send(CREATE)
        await asyncio.sleep(1.0)
        assert session_of(proxy)._out.qsize() <= MOST_QUEUED
        assert 0 < len(fake.log[0].sent_at) < count
        transport.resume_reading()
        deltas = [event["delta"] for event in await client.answer() if event["type"] == "response.output_text.delta"]
        assert len(deltas) == count
        assert sum(map(len, deltas)) == 100_000 * count


async def test_an_upstream_that_does_not_read_stops_the_reading_from_the_client(tmp_path):
    """Bounded here; when the upstream reads again everything arrives."""
    reading, received = asyncio.Event(), bytearray()

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
        writer.write(answer % accept_value(key.encode()))
        await reading.wait()
        while data := await reader.read(1 << 20):
            received.extend(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=65536)

    class Upstream:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        _accounts = ("sk-a",)

    try:
        async with through(Upstream(), tmp_path, "sk-a") as proxy:
            async with open_socket(proxy.port, REALTIME) as client:
                piece, count = "x" * 500_000, 80

                async def send():
                    for _ in range(count):
                        await client.send(piece)

                sending = asyncio.create_task(send())
                await asyncio.sleep(1.0)
                assert not sending.done()
                assert session_of(proxy)._in_size <= HIGH_WATER + 4 * len(piece)
                reading.set()
                async with asyncio.timeout(20):
                    await sending
                    while len(received) < len(piece) * count:
                        await asyncio.sleep(0.05)
            await proxy.until_idle()
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.slow
async def test_a_silent_socket_outlives_mitmproxys_idle_timeout(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a") as proxy:
        proxy.listener._master.options.tcp_timeout = 1
        async with open_socket(proxy.port, REALTIME) as client:
            await client.receive()
            await asyncio.sleep(3.5)
            await client.send({"type": "session.update", "session": {}})
            assert (await client.receive())["type"] == "session.updated"


async def test_fifty_sockets_at_once_leave_nothing_behind(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:

        async def one(number):
            async with open_socket(proxy.port, deflate=number % 2 == 0) as client:
                turn = await client.turn(input=f"{number}")
                assert turn[-1]["type"] == "response.completed"
                if number % 3 == 0:
                    assert await client.close() == 1000

        await asyncio.gather(*(one(number) for number in range(50)))
        await proxy.until_idle()
        async with asyncio.timeout(5):
            while fake.connections_open:
                await asyncio.sleep(0.02)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if "WebSocket" in name]


async def test_a_companys_proxy_is_used_and_environment_proxies_are_not(fake, tmp_path, monkeypatch):
    """`upstream.proxy` carries the socket by CONNECT or in absolute form; HTTPS_PROXY would lead nowhere."""
    asked = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0].decode())
        there_reader, there = await asyncio.open_connection("127.0.0.1", fake.port)
        first = head.split(b"\r\n")[0]
        there.write(head.replace(first, first.replace(fake.base_url.encode(), b""), 1))

        async def pump(source, target):
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(pump(reader, there), pump(there_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    config = f"upstream:\n  proxy: http://127.0.0.1:{port}\n"
    try:
        async with through(fake, tmp_path, "sk-a", config=config) as proxy:
            async with open_socket(proxy.port) as client:
                assert (await client.turn())[-1]["type"] == "response.completed"
            await proxy.until_idle()
        assert asked == [f"GET {fake.base_url}/v1/responses HTTP/1.1"]
    finally:
        server.close()
        await server.wait_closed()


async def test_messages_sent_before_the_101_are_not_lost(fake, tmp_path):
    """A client that does not wait: its frame comes in one piece with the handshake."""
    from tests.proxy.websocket_rig import Client, handshake
    from wsproto.connection import Connection, ConnectionType
    from wsproto.events import TextMessage

    async with through(fake, tmp_path, "sk-a") as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        ws = Connection(ConnectionType.CLIENT)
        create = json.dumps({"type": "response.create", "model": "gpt-5", "input": "early"})
        writer.write(handshake() + ws.send(TextMessage(create)))
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        client = Client(reader, writer, ws, {})
        assert (await client.answer())[-1]["type"] == "response.completed"
        writer.close()
        await writer.wait_closed()
