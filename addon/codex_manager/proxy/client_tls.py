"""The client's side of an intercepted connection: TLS with a certificate of our own, for one host and no other.

mitmproxy's layer with what it lacks: a handshake ends within a deadline, a ClientHello has a size, and the name it asks
for is the host the client asked the proxy for. Law: the name is decided by CONNECT alone; nothing the client sent
before TLS stands appears in a log or an error (a client that speaks plain HTTP here sends its key).
"""

import contextlib

from collections.abc import Callable

from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from OpenSSL import SSL


__all__ = ["ClientTls"]

LONGEST_HELLO = 64 * 1024  # real ones are under 4 KiB, with post-quantum key shares
UNRECOGNIZED_NAME = b"\x15\x03\x03\x00\x02\x02\x70"  # RFC 8446 section 6: a fatal alert, 112


class ClientTls(ClientTLSLayer):
    """TLS towards a client. `make_child` gives the layer inside, once the context knows of this one."""

    def __init__(
        self, context: Context, host: str, deadline_s: float, make_child: Callable[[Context], layer.Layer]
    ) -> None:
        super().__init__(context)
        self._host = host
        self._deadline = commands.RequestWakeup(deadline_s)
        self.child_layer = make_child(context)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup) and event.command is self._deadline:
            if self.tunnel_state is tunnel.TunnelState.ESTABLISHING:
                yield commands.CloseConnection(self.tunnel_connection)
            return
        if isinstance(event, events.Start):
            yield self._deadline
        yield from super()._handle_event(event)

    def receive_handshake_data(self, data: bytes) -> layer.CommandGenerator[tuple[bool, str | None]]:
        if not self.client_hello_parsed:
            begun = bytes(self.recv_buffer[:3]) + data[:3]
            if len(begun) > 2 and not starts_like_tls_record(begun):
                return False, "the client does not speak TLS"
            if len(self.recv_buffer) + len(data) > LONGEST_HELLO:
                return False, "the ClientHello is too long"
        return (yield from super().receive_handshake_data(data))

    def start_tls(self) -> layer.CommandGenerator[None]:
        asked = self.conn.sni
        if asked is not None and asked.lower().removesuffix(".") != self._host:
            yield commands.SendData(self.conn, UNRECOGNIZED_NAME)
            yield commands.CloseTcpConnection(self.conn, half_close=True)  # the rest is mitmproxy's own way to fail
            return
        yield from super().start_tls()

    def send_close(self, command: commands.CloseConnection) -> layer.CommandGenerator[None]:
        """Say that this is the end (mitmproxy does not): without it OpenSSL takes what came for cut off."""
        if self.tunnel_state is tunnel.TunnelState.OPEN:
            with contextlib.suppress(SSL.Error):  # the client is gone already
                self.tls.shutdown()
            yield from self.tls_interact()
        yield from super().send_close(command)

    def on_handshake_error(self, err: str) -> layer.CommandGenerator[None]:
        if err.startswith("Cannot parse ClientHello"):  # mitmproxy quotes it
            err = "the ClientHello is malformed"
        for command in super().on_handshake_error(err):
            if not isinstance(command, commands.Log):  # the addon says it, and not a hundred times
                yield command
