"""Tunnels: another host's bytes pass unopened, forbidden destinations are refused, flow lists show tunnels."""

import asyncio
import contextlib
import socket
import ssl
import time

import pytest

from cryptography.hazmat.primitives.serialization import Encoding
from tests.proxy.forward_rig import HOST, LOOPBACK, close, forwarding
from tests.proxy.rig import TIMEOUT, FakeDoor, head, plain, read_reply

from codex_manager.proxy.dialer import DialSettings
from codex_manager.proxy.notices import Drain
from codex_manager_certs.authority import Authority


async def good(seen):
    return plain()


@contextlib.asynccontextmanager
async def server(handle, *, context=None):
    """A server on a free port of the loopback interface."""
    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def echo(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    await close(writer)


async def test_a_tls_server_is_seen_with_its_own_certificate(tmp_path):
    """Its certificate is one we could not have made, and the bytes on the wire are its own."""
    theirs = Authority.open_or_make(tmp_path / "theirs", {"localhost"})
    seen = []

    async def answer(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await close(writer)

    async with (
        server(answer, context=theirs.leaf("localhost").server_context()) as port,
        forwarding(FakeDoor(good), tmp_path / "ours") as rig,
    ):
        trust = ssl.create_default_context(cafile=theirs.certificate_file)
        _, reader, writer = await rig.ask_connect(f"localhost:{port}")
        await writer.start_tls(trust, server_hostname="localhost")
        shown = writer.get_extra_info("ssl_object").getpeercert(True)
        assert shown == theirs.leaf("localhost").certificate.public_bytes(Encoding.DER)
        writer.write(b"GET /secret HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer theirs\r\n\r\n")
        assert (await read_reply(reader)).body == b"hi"
        await close(writer)
    assert b"Bearer theirs" in seen[0]
    assert not rig.door.seen
    assert not rig.door.refused


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
async def test_bytes_pass_unchanged_both_ways(tmp_path, size):
    data = bytes(i * 7 % 251 for i in range(4096)) * (size // 4096 + 1)
    data = data[:size]
    async with server(echo) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        _, reader, writer = await rig.ask_connect(f"127.0.0.1:{port}")

        async def send():
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        async with asyncio.timeout(TIMEOUT):
            _, received = await asyncio.gather(send(), reader.read())
        assert received == data
        await close(writer)


async def test_the_end_of_one_direction_leaves_the_other_open(tmp_path):
    async def late(reader, writer):
        assert await reader.read() == b"question"
        await asyncio.sleep(0.1)
        writer.write(b"answer")
        await close(writer)

    async with server(late) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        _, reader, writer = await rig.ask_connect(f"127.0.0.1:{port}")
        writer.write(b"question")
        writer.write_eof()
        async with asyncio.timeout(TIMEOUT):
            assert await reader.read() == b"answer"
        await close(writer)


async def test_a_server_that_ends_first_still_hears_the_client(tmp_path):
    heard = asyncio.get_running_loop().create_future()

    async def early(reader, writer):
        writer.write(b"bye")
        writer.write_eof()
        heard.set_result(await reader.read())
        await close(writer)

    async with server(early) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        _, reader, writer = await rig.ask_connect(f"127.0.0.1:{port}")
        async with asyncio.timeout(TIMEOUT):
            assert await reader.read() == b"bye"
            writer.write(b"the rest")
            await close(writer)
            assert await heard == b"the rest"


async def test_what_the_client_sends_along_with_connect_is_not_lost(tmp_path):
    async with server(echo) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        reader, writer = await rig.connect()
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\nearly".encode())
        async with asyncio.timeout(TIMEOUT):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(5) == b"early"
        await close(writer)


async def test_a_server_that_speaks_first_is_heard(tmp_path):
    async def greeting(reader, writer):
        writer.write(b"220 hello\r\n")
        await reader.read()
        await close(writer)

    async with server(greeting) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        _, reader, writer = await rig.ask_connect(f"127.0.0.1:{port}")
        async with asyncio.timeout(TIMEOUT):
            assert await reader.readline() == b"220 hello\r\n"
        await close(writer)


async def test_a_slow_reader_holds_the_server_back(tmp_path):
    sent = 0

    async def endless(reader, writer):
        nonlocal sent
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        await close(writer)

    async with server(endless) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        with socket.create_connection(("127.0.0.1", rig.port), timeout=5) as link:
            link.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await asyncio.sleep(1)
            before = sent
            await asyncio.sleep(0.3)
            assert sent == before < 64 * 2**20


async def test_a_client_that_leaves_closes_the_server_and_the_other_way_round(tmp_path):
    gone = asyncio.get_running_loop().create_future()

    async def waiting(reader, writer):
        await reader.read()
        gone.set_result(None)
        await close(writer)

    async def leaving(reader, writer):
        await close(writer)

    async with server(waiting) as port, server(leaving) as other, forwarding(FakeDoor(good), tmp_path) as rig:
        _, _, writer = await rig.ask_connect(f"127.0.0.1:{port}")
        await close(writer)
        async with asyncio.timeout(2):
            await gone
        _, reader, writer = await rig.ask_connect(f"127.0.0.1:{other}")
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        await close(writer)
        await asyncio.sleep(0.1)
        assert not rig.tunnels.open
        assert not rig.listener.connections


async def test_a_client_that_leaves_while_we_connect_stops_it(tmp_path):
    cancelled = []

    async def never(host, port):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(host)
            raise

    async with forwarding(FakeDoor(good), tmp_path, look_up=never) as rig:
        _, writer = await rig.connect()
        writer.write(b"CONNECT slow.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        await close(writer)
        await asyncio.sleep(0.1)
        assert cancelled == ["slow.example"]


FORBIDDEN = (
    "127.0.0.1:443", "127.1:443", "127.0.0.1.:443", "2130706433:443", "0x7f000001:443", "0x7f.0.0.1:443", "0177.0.0.1:443",
    "017700000001:443", "127.255.255.254:443", "[::1]:443", "[0:0:0:0:0:0:0:1]:443", "[::ffff:127.0.0.1]:443",
    "[::ffff:7f00:1]:443", "[64:ff9b::7f00:1]:443", "[2002:7f00:1::]:443", "localhost:443", "LOCALHOST:443", "localhost.:443",
    "0.0.0.0:443", "0:443", "[::]:443", "10.0.0.1:443", "172.16.0.1:443", "192.168.1.1:443", "100.64.0.1:443", "169.254.169.254:80",
    "[fd00:ec2::254]:80", "[fe80::1]:443", "[fe80::1%25eth0]:443", "[fc00::1]:443", "224.0.0.1:443", "255.255.255.255:443",
    "168.63.129.16:80", "rebind.example:443", "mixed.example:443", "metadata.example:80", "１２７.0.0.1:443", "127。0。0。1:443",
    "bücher.example:443", "[::ffff:169.254.169.254]:80", "user@8.8.8.8:443", "8.8.8.8:0", "8.8.8.8:99999", "8.8.8.8",
)  # fmt: skip
NAMES = {
    "rebind.example": ["127.0.0.1"],
    "mixed.example": ["8.8.8.8", "10.0.0.1"],
    "metadata.example": ["169.254.169.254"],
}


async def told(host, port):
    """A resolver as an attacker would like it."""
    if host in NAMES:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in NAMES[host]]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(f), int(k), p, n, a) for f, k, p, n, a in found]


@pytest.mark.parametrize("authority", FORBIDDEN)
async def test_forbidden_destinations_are_refused(tmp_path, authority):
    async with forwarding(FakeDoor(good), tmp_path, look_up=told, dial=DialSettings()) as rig:
        reader, writer = await rig.connect()
        writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = await read_reply(reader)
        assert reply.status in {400, 403}
        await close(writer)
        assert not rig.tunnels.open


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
async def test_our_own_port_is_refused_even_where_loopback_is_allowed(tmp_path, host):
    settings = DialSettings(allowed=LOOPBACK, own=frozenset({("127.0.0.1", 8080)}))
    async with forwarding(FakeDoor(good), tmp_path, dial=settings) as rig:
        answer, _, writer = await rig.ask_connect(f"{host}:8080")
        assert answer.startswith(b"HTTP/1.1 403 ")
        await close(writer)


async def test_an_unreachable_destination_is_a_502_with_the_reason(tmp_path, free_port):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        reader, writer = await rig.connect()
        writer.write(f"CONNECT 127.0.0.1:{free_port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = await read_reply(reader)
        assert (reply.status, reply.reason) == (502, "Bad Gateway")
        assert b"destination_unreachable" in reply.body
        await close(writer)


@pytest.mark.parametrize(
    ("settings", "authority", "status"),
    [
        ({"tunnel": False}, "example.com:443", 403),
        ({"tunnel": False}, f"{HOST}:443", 200),
        ({"tunnel": False}, f"{HOST}:80", 403),
        ({"enabled": False}, f"{HOST}:443", 501),
    ],
)
async def test_the_switches(tmp_path, settings, authority, status):
    async with forwarding(FakeDoor(good), tmp_path, **settings) as rig:
        answer, _, writer = await rig.ask_connect(authority)
        assert int(answer.split()[1]) == status
        await close(writer)


async def test_a_connect_with_a_body_is_refused(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        for line in ("Content-Length: 5", "Transfer-Encoding: chunked"):
            answer, _, writer = await rig.ask_connect(f"{HOST}:443", line)
            assert answer.startswith(b"HTTP/1.1 400 ")
            await close(writer)


class Watcher:
    """An addon that sees TCP flows as mitmweb does."""

    def __init__(self):
        self.flows = []
        self.ended = []

    def tcp_start(self, flow):
        self.flows.append((flow.type, flow.comment, flow.server_conn.address, flow.server_conn.peername))

    def tcp_message(self, flow):
        raise AssertionError("a tunnel's bytes are nobody's business")

    def tcp_end(self, flow):
        self.ended.append((flow.comment, flow.messages, flow.metadata["codex_manager"]))


async def test_flow_lists_show_a_tunnel_as_a_tunnel(tmp_path):
    watcher = Watcher()
    async with server(echo) as port, forwarding(FakeDoor(good), tmp_path, watcher) as rig:
        _, reader, writer = await rig.ask_connect(f"localhost:{port}")
        writer.write(b"hello")
        async with asyncio.timeout(TIMEOUT):
            await reader.readexactly(5)
        await close(writer)
        for _ in range(100):
            if watcher.ended:
                break
            await asyncio.sleep(0.02)
    place = f"localhost:{port}"
    assert watcher.flows == [("tcp", f"tunnel to {place}", ("localhost", port), ("127.0.0.1", port))]
    assert watcher.ended == [
        (f"tunnel to {place} · 5 bytes out, 5 in", [], {"tunnel": place, "sent": 5, "received": 5})
    ]


async def test_draining_spares_a_tunnel_in_use_and_not_a_quiet_one(tmp_path, monkeypatch):
    monkeypatch.setattr("codex_manager.proxy.tunnels.QUIET_S", 0.3)
    async with server(echo) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        _, reader, writer = await rig.ask_connect(f"127.0.0.1:{port}")
        await rig.listener.tell(Drain())
        writer.write(b"x")
        async with asyncio.timeout(TIMEOUT):
            await reader.readexactly(1)
        assert len(rig.tunnels.busy_clients()) == 1
        rig.listener.drop(rig.tunnels.busy_clients().__contains__)
        await asyncio.sleep(0.35)
        assert rig.tunnels.busy_clients() == set()
        rig.listener.drop(rig.tunnels.busy_clients().__contains__)
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        await close(writer)


async def test_many_tunnels_leave_nothing_behind(tmp_path):
    async with server(echo) as port, forwarding(FakeDoor(good), tmp_path) as rig:
        started = time.monotonic()
        for _ in range(20):

            async def one():
                _, reader, writer = await rig.ask_connect(f"127.0.0.1:{port}")
                writer.write(b"x")
                async with asyncio.timeout(TIMEOUT):
                    await reader.readexactly(1)
                await close(writer)

            await asyncio.gather(*(one() for _ in range(10)))
        await asyncio.sleep(0.2)
        assert not rig.tunnels.open
        assert not rig.listener.connections
        assert time.monotonic() - started < 30


async def test_a_request_after_a_refused_connect_needs_a_new_connection_and_gets_it(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path, dial=DialSettings()) as rig:
        answer, reader, writer = await rig.ask_connect("127.0.0.1:1")
        assert answer.startswith(b"HTTP/1.1 403 ")
        await close(writer)
        reader, writer = await rig.connect()
        writer.write(head("GET", "/v1/models"))
        assert (await read_reply(reader)).status == 200
        await close(writer)
