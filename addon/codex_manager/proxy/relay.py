"""The layer of a tunnel: bytes from one side to the other, unopened, ends passed on as they come.

Sans-io. Law: nothing is looked at, changed, kept or logged but the number of bytes. A viewer of flows sees a TCP flow
that is named a tunnel and holds no messages.
"""

from mitmproxy import tcp
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpStartHook

from codex_manager.proxy.host import LayerHost
from codex_manager.proxy.tunnels import Tunnel


__all__ = ["Relay"]


class Relay(layer.Layer):
    """Between `context.client` and the tunnel's server."""

    def __init__(self, context: Context, tunnel: Tunnel, host: LayerHost) -> None:
        super().__init__(context)
        self._tunnel = tunnel
        self._host = host
        self._flow: tcp.TCPFlow | None = None
        self._done = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        client, server = self.context.client, self._tunnel.server
        if isinstance(event, events.Start):
            yield from self._begin()
        elif self._done:
            return
        elif isinstance(event, events.DataReceived):
            if event.connection is client:
                self._tunnel.moved(sent=len(event.data))
                yield commands.SendData(server, event.data)
            else:
                self._tunnel.moved(received=len(event.data))
                yield commands.SendData(client, event.data)
        elif isinstance(event, events.ConnectionClosed):
            reading = (client.state | server.state) & ConnectionState.CAN_READ
            other = server if event.connection is client else client
            whole = event.connection.state is ConnectionState.CLOSED  # broken off, not only ended
            if reading and not whole and (other is client or self._tunnel.can_half_close):
                yield commands.CloseTcpConnection(other, half_close=True)
            else:
                yield from self._end()

    def _begin(self) -> layer.CommandGenerator[None]:
        if self._host.hears("tcp_start") or self._host.hears("tcp_end"):
            self._flow = tcp.TCPFlow(self.context.client, self._tunnel.server, live=True)
            self._flow.comment = f"tunnel to {self._tunnel.destination}"
            self._flow.metadata["codex_manager"] = {"tunnel": str(self._tunnel.destination)}
            yield TcpStartHook(self._flow)
        self._tunnel.begin()

    def _end(self) -> layer.CommandGenerator[None]:
        self._done = True
        for connection in (self._tunnel.server, self.context.client):
            if connection.state is not ConnectionState.CLOSED:
                yield commands.CloseConnection(connection)
        if self._flow is not None:
            tunnel = self._tunnel
            self._flow.comment = f"tunnel to {tunnel.destination} · {tunnel.sent} bytes out, {tunnel.received} in"
            self._flow.metadata["codex_manager"] |= {"sent": tunnel.sent, "received": tunnel.received}
            self._flow.live = False
            yield TcpEndHook(self._flow)
