"""mitmproxy's HTTP layer with our streams and our HTTP/1 in it, and how it takes the place of the stock one.

Knows mitmproxy's layers. Law: an exception here closes the client's connection; mitmproxy would leave it hanging.
"""

import copy
import logging

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.http._http2 import Http2Server

from codex_manager.core.errors import type_and_place
from codex_manager.proxy.host import LayerHost
from codex_manager.proxy.http1 import CodexHttp1Server
from codex_manager.proxy.stream import CodexStream


__all__ = ["ClosedLayer", "CodexHttpLayer", "replace_http_layer"]

log = logging.getLogger(__name__)


class CodexHttpLayer(HttpLayer):
    """The HTTP layer whose streams are carried by the engine."""

    def __init__(self, context: Context, mode: HTTPMode, host: LayerHost) -> None:
        super().__init__(context, mode)
        self.host = host
        self.http2: Http2Server | None = None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            if isinstance(event, events.Start):
                self._open()
            yield from super()._handle_event(event)
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
            self.http2 = Http2Server(self.context.fork())
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
