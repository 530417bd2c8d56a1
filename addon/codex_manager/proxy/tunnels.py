"""Tunnels: connections to hosts that are not ours to look into, opened for clients and carried by mitmproxy's handler.

An addon that serves the hook a CONNECT yields. Knows the dialer and mitmproxy's table of transports. Law: a tunnel's
bytes are read only after the client was told that it stands; a client that leaves takes its tunnel, or the attempt at
one, with it.
"""

import asyncio
import time

from collections.abc import Callable, Mapping

from mitmproxy import connection
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import server
from mitmproxy.utils import asyncio_utils

from codex_manager.proxy.destination import Destination
from codex_manager.proxy.dialer import Dialer, DialError, Line


__all__ = ["Tunnel", "Tunnels"]

QUIET_S = 2.0
"""A tunnel without a byte for this long holds nobody up when the process wants to end."""


class Tunnel:
    """One tunnel, from the wish to the end."""

    def __init__(self, client: connection.Client, destination: Destination) -> None:
        self.client = client
        self.destination = destination
        self.server = connection.Server(address=(destination.host, destination.port))
        self.failure: DialError | None = None
        """Why there is no connection."""
        self.sent = 0
        self.received = 0
        """Bytes to and from the destination."""
        self.can_half_close = True
        self._begun = asyncio.Event()
        self._moved_at = time.monotonic()

    def begin(self) -> None:
        """The client knows: read."""
        self._begun.set()

    async def begun(self) -> None:
        """Wait for that."""
        await self._begun.wait()

    def moved(self, *, sent: int = 0, received: int = 0) -> None:
        """Bytes went through."""
        self.sent += sent
        self.received += received
        self._moved_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Something went through just now."""
        return time.monotonic() - self._moved_at < QUIET_S


class Tunnels:
    """Opens tunnels and knows those that are open."""

    def __init__(
        self, dialer: Dialer, connections: Callable[[], Mapping[tuple[object, ...] | str, server.ConnectionHandler]]
    ) -> None:
        self.name = "codex_manager_tunnels"
        self.open: set[Tunnel] = set()
        self._dialer = dialer
        self._connections = connections
        self._dialling: dict[Tunnel, asyncio.Task[object]] = {}

    async def codex_tunnel_open(self, tunnel: Tunnel) -> None:
        """Connect; afterwards the tunnel has a server or a failure."""
        task = asyncio.current_task()
        assert task is not None
        self._dialling[tunnel] = task
        tunnel.server.timestamp_start = time.time()
        try:
            line = await self._dialer.dial(tunnel.destination)
        except DialError as error:
            tunnel.failure = error
            return
        finally:
            del self._dialling[tunnel]
        handler = self._connections().get(tunnel.client.id)
        if handler is None:
            line.writer.transport.abort()
            tunnel.failure = DialError(502, "the client has left")
            return
        _connected(tunnel, line)
        self.open.add(tunnel)
        reading = asyncio_utils.create_task(self._carry(handler, tunnel, line), name="tunnel", keep_ref=True)
        handler.transports[tunnel.server] = server.ConnectionIO(handler=reading, reader=line.reader, writer=line.writer)

    def client_disconnected(self, client: connection.Client) -> None:
        """Stop connecting for a client that is gone; mitmproxy closes what is connected."""
        for task in [task for tunnel, task in self._dialling.items() if tunnel.client is client]:
            task.cancel()

    def busy_clients(self) -> set[str]:
        """Ids of clients whose tunnels are in use."""
        return {tunnel.client.id for tunnel in self.open if tunnel.busy}

    async def _carry(self, handler: server.ConnectionHandler, tunnel: Tunnel, line: Line) -> None:
        """Read what the destination sends until it ends; mitmproxy's own loop, with its back-pressure."""
        try:
            await tunnel.begun()
            await handler.handle_connection(tunnel.server)
        finally:
            tunnel.server.timestamp_end = time.time()
            handler.transports.pop(tunnel.server, None)
            line.writer.close()
            self.open.discard(tunnel)


def _connected(tunnel: Tunnel, line: Line) -> None:
    conn = tunnel.server
    conn.state = ConnectionState.OPEN
    conn.peername = line.peer
    sockname = line.writer.get_extra_info("sockname")
    conn.sockname = (sockname[0], sockname[1])
    conn.timestamp_tcp_setup = time.time()
    tunnel.can_half_close = line.writer.can_write_eof()
