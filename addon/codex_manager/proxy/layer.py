"""mitmproxy's HTTP layer with our streams and our HTTP/1 in it, and how it takes the place of the stock one.

Knows mitmproxy's layers. Law: an exception here closes the client's connection; mitmproxy would leave it hanging.
"""

import copy
import logging

from mitmproxy import connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode

from codex_manager.core.errors import type_and_place
from codex_manager.proxy.client_tls import ClientTls
from codex_manager.proxy.destination import Destination
from codex_manager.proxy.host import LayerHost
from codex_manager.proxy.http1 import CodexHttp1Server
from codex_manager.proxy.http2 import CodexHttp2Server
from codex_manager.proxy.notices import Notice, Room
from codex_manager.proxy.stream import CodexStream


__all__ = ["ClosedLayer", "CodexHttpLayer", "replace_http_layer"]

log = logging.getLogger(__name__)


class CodexHttpLayer(HttpLayer):
    """The HTTP layer whose streams are carried by the engine."""

    def __init__(self, context: Context, mode: HTTPMode, host: LayerHost) -> None:
        super().__init__(context, mode)
        self.host = host
        self.http2: CodexHttp2Server | None = None
        self._successor: layer.Layer | None = None
        self._succeeded = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            if isinstance(event, Notice):
                yield from self._pass_notice(event)
                return
            if self._succeeded:
                yield from self._hand_over(event)
                return
            if isinstance(event, events.Start):
                self._open()
            yield from super()._handle_event(event)
            if self._successor is not None:
                yield from self._begin(self._successor)
            if self.http2 is not None and isinstance(event, events.DataReceived):
                for stream in self.streams.values():  # a window may have opened
                    if isinstance(stream, CodexStream) and stream.exchange is not None and stream.exchange.progress:
                        stream.exchange.progress.set()
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a connection was closed because of an internal error: %s", type_and_place(error))  # noqa: TRY400 - the message may quote a header
            yield commands.CloseConnection(self.context.client)

    def _open(self) -> None:
        alpn = self.context.client.alpn
        if alpn == b"h2":
            self.http2 = CodexHttp2Server(self.context.fork(), self.host.limits, self._is_full)
            self.connections.setdefault(self.context.client, self.http2)
        elif alpn is None or not alpn.startswith(b"h3"):
            server = CodexHttp1Server(self.context.fork(), self.host.limits)
            self.connections.setdefault(self.context.client, server)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        context = copy.copy(self.context)  # `fork` would also make a server object, which takes its place at once
        context.layers = self.context.layers.copy()
        stream = CodexStream(context, stream_id, self.host)
        if self.http2 is not None:
            stream.backlog = self._backlog
        self.streams[stream_id] = stream
        yield from self.event_to_child(stream, events.Start())

    # Handing the connection over (host.Successor).

    def succeed(self, successor: layer.Layer) -> None:
        """From the next event on, the connection is this layer's."""
        self._successor = successor

    def intercept(self, destination: Destination) -> None:
        """From the next event on, the connection is TLS with a certificate of ours, and HTTP in it."""
        context = copy.copy(self.context)
        context.layers = self.context.layers.copy()
        context.server = connection.Server(address=(destination.host, destination.port))
        deadline = self.host.limits().header_deadline_s
        self._successor = ClientTls(
            context, destination.host, deadline, lambda inner: CodexHttpLayer(inner, HTTPMode.transparent, self.host)
        )

    def _begin(self, successor: layer.Layer) -> layer.CommandGenerator[None]:
        """What the client sent before it knew belongs to the successor."""
        self._succeeded = True
        yield from successor.handle_event(events.Start())
        server = self.connections[self.context.client]
        assert isinstance(server, CodexHttp1Server)
        if early := server.take_rest():
            yield from successor.handle_event(events.DataReceived(self.context.client, early))

    def _hand_over(self, event: events.Event) -> layer.CommandGenerator[None]:
        assert self._successor is not None
        if isinstance(event, events.CommandCompleted) and self.command_sources.pop(event.command, None) is not None:
            return  # a timer of the HTTP that was spoken before
        yield from self._successor.handle_event(event)

    def _pass_notice(self, notice: Notice) -> layer.CommandGenerator[None]:
        """To whoever speaks HTTP/2 with the client; below us, when we only carried the CONNECT."""
        if self._succeeded:
            yield from self._hand_over(notice)
        elif self.http2 is not None:
            doing = self.http2.room(notice.stream_id) if isinstance(notice, Room) else self.http2.drain()
            yield from doing
        elif isinstance(notice, Room):
            for stream in list(self.streams.values()):  # inside mitmdump the layers of CONNECT are a stream's
                if stream.child_layer is not None:
                    yield from self.event_to_child(stream, notice)

    # HTTP/2.

    def _is_full(self, stream_id: int) -> bool:
        """More of a stream's body waits than should."""
        stream = self.streams.get(stream_id)
        exchange = stream.exchange if isinstance(stream, CodexStream) else None
        return exchange is not None and exchange.upload is not None and exchange.upload.full

    def _backlog(self, stream_id: int) -> int:
        """Bytes an HTTP/2 client has no window for yet; hyper-h2 would take any amount."""
        assert self.http2 is not None
        waiting = self.http2.h2_conn.stream_buffers.get(stream_id)
        return sum(len(piece.data) for piece in waiting) if waiting else 0


class ClosedLayer(layer.Layer):
    """Closes the connection: what stands in when we could not decide what belongs there."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.context.client)


def replace_http_layer(chosen: layer.Layer, host: LayerHost) -> layer.Layer:
    """Put ours where `chosen` (a layer, or a stack of TLS layers above one) has mitmproxy's own HTTP layer."""
    if type(chosen) is HttpLayer:
        context = chosen.context
        ours = CodexHttpLayer(context, chosen.mode, host)  # appends itself to the context's layers
        context.layers.remove(chosen)
        return ours
    child = getattr(chosen, "child_layer", None)
    if isinstance(child, layer.Layer):
        chosen.child_layer = replace_http_layer(child, host)  # type: ignore[attr-defined]  # tunnels have one
    return chosen
