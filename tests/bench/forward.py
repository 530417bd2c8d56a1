"""Forward mode beside stock mitmdump: what a new client pays, and what a warm upstream pool gives it.

Two measurements, interleaved, against one TLS upstream whose every round trip takes `DELAY_S` longer:
new clients one after the other (TCP, CONNECT, TLS, one request), and handshakes alone, as many as go through.
"""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.compare import cores, pin_process, until_listening
from tests.bench.process import cpu_seconds
from tests.bench.upstream import WHOLE
from tests.support import LOCAL_KEY, account, make_home, running_proxy, stop

from codex_manager_certs.authority import Authority


HOST = "localhost"
"""Intercepted, and the upstream's name: both proxies do the same work for the same host."""
DELAY_S = 0.05
"""Added to every round trip between proxy and upstream."""
BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'


class Upstream(asyncio.Protocol):
    """Answers every request it has wholly read with the same bytes."""

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0 and len(self.buffer) >= end + 4 + len(BODY):
            self.buffer = self.buffer[end + 4 + len(BODY) :]
            self.transport.write(WHOLE)


class Wire(asyncio.Protocol):
    """One direction of a line on which every byte takes half of `delay`."""

    target = 0
    """The port it leads to."""

    def __init__(self, delay, peer=None):
        self.delay, self.peer = delay / 2, peer
        self.transport: Any = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport):
        self.transport = transport
        if self.peer is None:
            asyncio.get_running_loop().create_task(self.lay())

    async def lay(self):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.delay * 2)  # the round trip of TCP's own handshake
        try:
            _, self.peer = await loop.create_connection(lambda: Wire(self.delay * 2, self), HOST, Wire.target)
        except OSError:
            self.transport.abort()
            return
        for data in self.waiting:
            self.later(data)

    def data_received(self, data):
        if self.peer is None or self.peer.transport is None:
            self.waiting.append(data)
        else:
            self.later(data)

    def later(self, data):
        asyncio.get_running_loop().call_later(self.delay, self.deliver, data)

    def deliver(self, data):
        if not self.peer.transport.is_closing():
            self.peer.transport.write(data)

    def connection_lost(self, error):
        if self.peer is not None and self.peer.transport is not None:
            asyncio.get_running_loop().call_later(self.delay, self.peer.transport.close)


@contextlib.contextmanager
def upstream(folder: Path, delay: float):
    """A TLS upstream behind a slow line; its port and whom to trust. In a thread: it does little."""
    theirs = Authority.open_or_make(folder / "theirs", {HOST})
    context = theirs.leaf(HOST).server_context()
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    ports = []

    async def serve():
        server = await loop.create_server(Upstream, "127.0.0.1", 0, ssl=context, backlog=1024)
        Wire.target = server.sockets[0].getsockname()[1]
        line = await loop.create_server(lambda: Wire(delay), "127.0.0.1", 0, backlog=1024)
        ports.append(line.sockets[0].getsockname()[1] if delay else Wire.target)
        ready.set()
        await stopping.wait()
        for one in (line, server):
            one.close()
            one.close_clients()
        await asyncio.sleep(0.1)

    stopping = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0], theirs.certificate_file
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


@dataclass
class Contender:
    """A proxy, how to trust it, and what was measured of it."""

    name: str
    port: int
    pid: int
    ca_file: Path
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])


@contextlib.contextmanager
def ours(folder: Path, port: int, upstream_ca: Path, core: int | None):
    accounts = [account(name, f"sk-bench-{name}-0123456789abcdef", organization=f"org-{name}") for name in "ab"]
    config = (
        f"proxy:\n  openai_base_url: https://{HOST}:{port}\nupstream:\n  ca_file: {upstream_ca}\n"
        f"forward:\n  hosts: [{HOST}]\nrouting:\n  strategy: priority\n  min_request_interval_ms: 0\n"
    )
    home = make_home(folder / "home", accounts, config)
    with running_proxy(home) as proxy:
        pin_process(proxy.process.pid, core)
        yield Contender("codex-manager", proxy.port, proxy.process.pid, home.path / "ca" / "ca.pem")


@contextlib.contextmanager
def stock(folder: Path, upstream_ca: Path, core: int | None, *options: str):
    """As it comes, or with options; by default it connects to the upstream before it answers the client's TLS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    confdir = folder / "mitmproxy"
    command = [
        str(Path(sys.executable).with_name("mitmdump")), "-q", "--listen-host", "127.0.0.1", "-p", str(port), "--set", f"confdir={confdir}",
        "--set", f"ssl_verify_upstream_trusted_ca={upstream_ca}",
        *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until_listening(port)
        pin_process(process.pid, core)
        yield Contender(
            " ".join(["stock mitmdump", *options[1:]]), port, process.pid, confdir / "mitmproxy-ca-cert.pem"
        )
    finally:
        stop(process)


def secure(contender: Contender, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """TCP, CONNECT, TLS."""
    link = socket.create_connection(("127.0.0.1", contender.port), timeout=20)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = link.recv(1)
        assert piece, head
        head += piece
    assert b" 200 " in head, head
    return context.wrap_socket(link, server_hostname=HOST)


def one_shot(contender: Contender, port: int, context: ssl.SSLContext) -> tuple[float, float]:
    """Seconds of a client that makes one request: until TLS stood, and until the first byte of the answer."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}:{port}\r\nAuthorization: Bearer {LOCAL_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    begun = time.perf_counter()
    with secure(contender, port, context) as link:
        stood = time.perf_counter()
        link.sendall(head.encode() + BODY)
        first = link.recv(65536)
        took = time.perf_counter() - begun
        assert first.startswith(b"HTTP/1.1 200 "), first[:300]
    return stood - begun, took


def handshakes(contender: Contender, port: int, context: ssl.SSLContext, seconds: float) -> tuple[float, float]:
    """Handshakes a second, one after the other, and milliseconds of CPU of the proxy for each."""
    count, cpu, begun = 0, cpu_seconds(contender.pid), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        secure(contender, port, context).close()
        count += 1
    took = time.perf_counter() - begun
    return count / took, (cpu_seconds(contender.pid) - cpu) / count * 1000


def compare(
    folder: Path, *, rounds: int = 5, shots: int = 8, seconds: float = 1.5, delay: float = DELAY_S
) -> list[Contender]:
    """The proxies with their figures; the order within a round alternates."""
    load_core, proxy_core = cores()
    allowed = os.sched_getaffinity(0) if load_core is not None else None
    with (
        upstream(folder, delay) as (port, upstream_ca),
        ours(folder, port, upstream_ca, proxy_core) as us,
        stock(folder, upstream_ca, proxy_core) as them,
        stock(folder, upstream_ca, proxy_core, "--set", "connection_strategy=lazy") as lazy,
    ):
        contenders = [us, them, lazy]
        try:
            if load_core is not None:
                os.sched_setaffinity(0, {load_core})
            contexts = {one.name: ssl.create_default_context(cafile=one.ca_file) for one in contenders}
            for one in contenders:
                one_shot(one, port, contexts[one.name])  # makes certificates, and warms the pool of who has one
            for number in range(rounds):
                for one in contenders if number % 2 == 0 else contenders[::-1]:
                    context = contexts[one.name]
                    rate, cpu = handshakes(one, port, context, seconds)
                    one.note("handshakes a second", rate)
                    one.note("cpu ms", cpu)
                    for _ in range(shots):
                        stood, first = one_shot(one, port, context)
                        one.note("tls ms", stood * 1000)
                        one.note("first byte ms", first * 1000)
        finally:
            if allowed is not None:
                os.sched_setaffinity(0, allowed)
    return contenders


def table(contenders: list[Contender], delay: float = DELAY_S) -> str:
    """What was measured, as text."""
    names = ("handshakes a second", "cpu ms", "tls ms", "first byte ms")
    lines = [
        f"new clients in forward mode, upstream {delay * 1000:g} ms away",
        f"{'':42}" + "".join(f"{n:>22}" for n in names),
    ]
    lines += [f"{one.name:42}" + "".join(f"{one.median(n):>22.2f}" for n in names) for one in contenders]
    return "\n".join(lines)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        found = compare(Path(place))
        print(table(found))
        print(json.dumps({one.name: {name: one.median(name) for name in one.figures} for one in found}))
