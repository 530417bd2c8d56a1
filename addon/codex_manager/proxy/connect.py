"""A CONNECT on our own listener: a host of ours is opened, another one tunnelled, and everything else refused in words.

Sans-io. Law: the client is told that the connection stands only when it does; after that the stream and the HTTP
parser before it have nothing more to do with the connection.
"""

import time

from mitmproxy import http
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers.http import DropStream
from mitmproxy.proxy.layers.http._events import RequestHeaders
from mitmproxy.proxy.layers.http._hooks import HttpConnectedHook, HttpConnectErrorHook, HttpConnectHook

from codex_manager.engine.messages import Answer
from codex_manager.proxy import faults, flows
from codex_manager.proxy.forward import Passage, unreachable
from codex_manager.proxy.hooks import CodexTunnelOpenHook
from codex_manager.proxy.host import Successor
from codex_manager.proxy.relay import Relay
from codex_manager.proxy.reply import ReplyStream
from codex_manager.proxy.tunnels import Tunnel


__all__ = ["ConnectStream"]

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectStream(ReplyStream):
    """What a stream does with CONNECT."""

    def connect(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        """Answer a CONNECT."""
        client, request = self.context.client, event.request
        self.request_done = True
        verdict = self.host.connect(self.context, request)
        request.headers.fields = flows.mask(request.headers.fields)
        if not event.end_stream:
            verdict = faults.fault(400, "CONNECT has no body.", "invalid_http_request")
        self.flow = http.HTTPFlow(client, self.context.server)
        self.flow.request = request
        self.flow.live = True
        if (yield from self.hook(HttpConnectHook(self.flow))):
            return
        if self.flow.response is not None:  # another addon's
            yield from self.say_flow()
            return
        if isinstance(verdict, Passage):
            tunnel = Tunnel(client, verdict.destination)
            yield CodexTunnelOpenHook(tunnel)
            if not client.connected:
                yield from self.left("Client disconnected.")
                return
            if tunnel.failure is None:
                self.context.server = self.flow.server_conn = tunnel.server
                yield from self._established()
                self._parent.succeed(Relay(self.context, tunnel, self.host))
                return
            verdict = unreachable(verdict.destination, tunnel.failure)
        if isinstance(verdict, Answer):
            if self.host.hears("http_connect_error"):
                self.flow.response = flows.response_of(verdict, request.data.http_version, identity=False)
                yield HttpConnectErrorHook(self.flow)
            yield from self.say(verdict)
            return
        yield from self._established()
        self._parent.intercept(verdict.destination)

    def _established(self) -> layer.CommandGenerator[None]:
        now = time.time()
        self.flow.response = http.Response(
            b"HTTP/1.1", 200, b"Connection established", http.Headers(), b"", None, now, now
        )
        if self.host.hears("http_connected"):
            yield HttpConnectedHook(self.flow)
        self.finished = True
        yield commands.SendData(self.context.client, ESTABLISHED)
        yield DropStream(self.stream_id)

    @property
    def _parent(self) -> Successor:
        parent = self.context.layers[self.context.layers.index(self) - 1]
        assert isinstance(parent, Successor)
        return parent
