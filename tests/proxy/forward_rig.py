"""The rig as a forward proxy: CONNECT, TLS with an authority of its own in a temporary folder, tunnels."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitmproxy import options
from mitmproxy.proxy.layers.http import HTTPMode
from tests.proxy.rig import KEY, TIMEOUT, FakeDoor, Rig

from codex_manager.proxy import loop as event_loop
from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.dialer import Dialer, DialSettings, resolve
from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.forward import Forward, ForwardSettings
from codex_manager.proxy.interception import Interception
from codex_manager.proxy.layer import CodexHttpLayer
from codex_manager.proxy.listener import Listener
from codex_manager.proxy.tunnels import Tunnels


HOST = "api.openai.com"
LOOPBACK = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1"))


@dataclass
class ForwardRig(Rig):
    ca: Path
    tunnels: Tunnels

    def trusting(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    async def ask_connect(self, authority: str = f"{HOST}:443", *lines: str):
        """Send a CONNECT; the answer's head, and the streams."""
        reader, writer = await self.connect()
        head = "\r\n".join([f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *lines, "", ""])
        writer.write(head.encode("latin-1"))
        async with asyncio.timeout(TIMEOUT):
            return await reader.readuntil(b"\r\n\r\n"), reader, writer

    async def tls(self, authority: str = f"{HOST}:443", *alpn: str, sni: str | None = HOST, context=None):
        """Through CONNECT, then TLS."""
        head, reader, writer = await self.ask_connect(authority)
        assert head.startswith(b"HTTP/1.1 200 "), head
        context = context or self.trusting(*alpn)
        if sni is None:
            context.check_hostname = False
        async with asyncio.timeout(TIMEOUT):
            await writer.start_tls(context, server_hostname=sni)
        return reader, writer

    async def refused(self, context: ssl.SSLContext, sni: str = HOST) -> str:
        """Why a handshake fails. With sockets: asyncio leaks after a failed one, and may not send the client's alert."""
        return await asyncio.to_thread(_handshake, self.port, context, sni)


def _handshake(port: int, context: ssl.SSLContext, sni: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as link:
        link.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert b" 200 " in link.recv(4096)
        try:
            with context.wrap_socket(link, server_hostname=sni):
                return ""
        except (ssl.SSLError, ConnectionError) as error:
            return f"{type(error).__name__}: {error}"


@contextlib.asynccontextmanager
async def forwarding(
    door: FakeDoor, folder: Path, *addons: object, look_up=resolve, own=frozenset(), **settings: Any
) -> AsyncIterator[ForwardRig]:
    """Listen on a free port until the block ends; loopback may be tunnelled to, unless `dial` says otherwise."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    event_loop.start_tasks_at_once(loop)
    chosen: dict[str, Any] = {
        "enabled": True,
        "hosts": frozenset({HOST}),
        "tunnel": True,
        "dial": DialSettings(allowed=LOOPBACK, own=own),
    }
    given = ForwardSettings(**(chosen | settings))
    master = LeanMaster(options.Options())
    tunnels = Tunnels(Dialer(lambda: given.dial, look_up), lambda: listener.connections)
    interception = Interception(folder, lambda: given.hosts)
    bridge = Bridge(
        door,
        connections=lambda: listener.connections,
        hears=master.addons.hears,
        routed=frozenset,
        forward=False,
        forwarder=Forward(lambda: given, lambda key: key == KEY.encode(), lambda: "http://127.0.0.1:8080/v1"),
    )
    listener = Listener(master, lambda context: CodexHttpLayer(context, HTTPMode.regular, bridge))
    master.addons.add(listener, bridge, tunnels, interception, *addons)
    try:
        async with interception.kept():
            bound = await listener.listen("127.0.0.1", 0)
            yield ForwardRig(bound[0][1], door, bridge, listener, master, folder / "ca.pem", tunnels)
    finally:
        listener.stop()
        listener.drop(lambda _: False)
        await listener.closed(2.0)
        loop.set_task_factory(before)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close, however the other end is doing."""
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
        async with asyncio.timeout(2):
            await writer.wait_closed()
