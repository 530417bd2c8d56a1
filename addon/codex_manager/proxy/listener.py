"""The listening socket of our own launcher, and mitmproxy's connection handler behind it.

An addon named `proxyserver`, as mitmproxy's own is: it declares the options the layers read and holds the table of
connections. Knows sockets and mitmproxy's handler. Law: always binds to a named host; accepts nothing any more once
`stop` was called.
"""

import asyncio
import socket

from collections.abc import Callable
from typing import Any

from mitmproxy import connection, flow, options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, layer, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.held import released
from codex_manager.proxy.notices import Notice


__all__ = ["Listener"]

BACKLOG = 1024  # asyncio's default of 100 refuses bursts; the kernel caps it at net.core.somaxconn (4096 on Linux)
MODE = mode_specs.ProxyMode.parse("regular")


class Connection(ProxyConnectionHandler):
    """mitmproxy's handler with a short way to the hooks."""

    master: LeanMaster

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """Run a hook if anybody listens; the idle timeout stands still meanwhile."""
        addons = self.master.addons
        if not addons.listeners(hook.name):
            return
        with self.timeout_watchdog.disarm():
            await addons.handle_lifecycle(hook)
            (data,) = hook.args()
            if isinstance(data, flow.Flow) and data.intercepted:
                await released(data)

    def close_connection(self, closed: connection.Connection, half_close: bool = False) -> None:
        """Close once: a second cancellation would reach mitmproxy while it cleans up after the first, and leak the socket."""
        if closed.state is not ConnectionState.CLOSED:
            super().close_connection(closed, half_close)


class Listener(Proxyserver):
    """Accepts connections and gives each its layer."""

    name = "proxyserver"

    def __init__(self, master: LeanMaster, make_layer: Callable[[Context], layer.Layer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        self._master = master
        self._make_layer = make_layer
        self._server: asyncio.Server | None = None
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def configure(self, updated: object) -> None:
        """The modes of mitmproxy's own server are not ours to set up."""

    async def listen(self, host: str, port: int) -> tuple[tuple[str, int], ...]:
        """Bind and accept; the addresses that are bound.

        Raises:
            OSError: the address is taken or not ours.
        """
        self._server = await asyncio.start_server(self._serve, host, port, backlog=BACKLOG)
        return self._bound()

    async def listen_on(self, sock: socket.socket) -> tuple[tuple[str, int], ...]:
        """Accept on a socket that whoever started us has bound; the addresses that are bound."""
        self._server = await asyncio.start_server(self._serve, sock=sock, backlog=BACKLOG)
        return self._bound()

    def _bound(self) -> tuple[tuple[str, int], ...]:
        assert self._server is not None
        return tuple((name[0], name[1]) for sock in self._server.sockets for name in [sock.getsockname()])

    def stop(self) -> None:
        """Accept nothing any more; the connections there are go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def drop(self, spare: Callable[[str], bool]) -> None:
        """Close the connections, except those of the clients to be spared."""
        for client, task in list(self._tasks.items()):
            handler = self.connections.get(client)
            if spare(client) or handler is None:
                continue
            io = handler.transports.get(handler.client)
            (io.handler if io is not None and io.handler is not None else task).cancel()

    async def tell(self, notice: Notice) -> None:
        """Hand a notice to the layers of every connection."""
        for handler in list(self.connections.values()):
            await handler.server_event(notice)

    async def closed(self, patience: float) -> None:
        """Wait until every connection has been wound up."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=patience)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opts: options.Options = self._master.options
        handler = Connection(self._master, reader, writer, opts, MODE)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        context = handler.layer.context
        handler.layer = self._make_layer(context)
        client = context.client.id
        task = asyncio.current_task()
        assert task is not None
        self._tasks[client] = task
        try:
            with self.register_connection(client, handler):
                await handler.handle_client()
        finally:
            del self._tasks[client]
