"""The addon between mitmproxy's layers and the runtime: answers what the layers ask, serves the hooks they yield.

Knows mitmproxy's addons and connections, and the door. Knows nothing of accounts. Law: fails closed. What cannot be
decided is refused; a connection whose layer could not be chosen is closed.
"""

import asyncio
import contextlib
import logging
import socket
import struct

from collections.abc import Callable, Mapping
from dataclasses import replace

from mitmproxy import connection, hooks, http
from mitmproxy.options import Options
from mitmproxy.proxy import layer, mode_specs, server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode

from codex_manager.core.errors import type_and_place
from codex_manager.engine.messages import Answer
from codex_manager.proxy import faults
from codex_manager.proxy.exchange import Exchange
from codex_manager.proxy.forward import Forward, Intercept, Passage, passage_of
from codex_manager.proxy.host import Claim
from codex_manager.proxy.incoming import Admission, Door, Incoming, Limits
from codex_manager.proxy.inspect.capture import STORED_BODY, Captured
from codex_manager.proxy.layer import ClosedLayer, replace_http_layer
from codex_manager.proxy.notices import Room


__all__ = ["Bridge", "Connections"]

log = logging.getLogger(__name__)

type Connections = Mapping[tuple[object, ...] | str, server.ConnectionHandler]
"""mitmproxy's table of client connections, by the client's id."""


class Bridge:
    """Serves the layers. `forward` says whether CONNECT and absolute-form requests are mitmproxy's business, as in
    mitmdump. In the launcher of our own they are `forwarder`'s; without one they are refused.
    """

    def __init__(
        self,
        door: Door | None,
        *,
        connections: Callable[[], Connections],
        hears: Callable[[str], bool],
        routed: Callable[[], frozenset[str]],
        intercepted: Callable[[], frozenset[str]] = frozenset,
        forward: bool,
        forwarder: Forward | None = None,
        endpoint: Callable[[], str] = lambda: "http://127.0.0.1:8080/v1",
        capture: Callable[[], int] | None = None,
        streams: Callable[[], bool] = lambda: True,
    ) -> None:
        """`capture` says how many bytes of an answer are kept for viewers, `streams` whether that goes for streams, too.
        Without it answers are kept as inside mitmdump: whole, unless they are large or streams.
        """
        self.name = "codex_manager_bridge"
        self.door = door
        """None until the runtime is there: everything is refused."""
        self.running: set[Exchange] = set()
        """Every exchange that is not closed yet."""
        self.draining = False
        """No connection is kept after its answer."""
        self.hears = hears
        self._connections = connections
        self._routed = routed
        self._intercepted = intercepted
        self._forward = forward
        self._forwarder = forwarder
        self._endpoint = endpoint
        self._capture = capture
        self._streams = streams
        self._clients: dict[Exchange, connection.Client] = {}

    # What the layers ask (host.LayerHost).

    def limits(self) -> Limits:
        """The limits now in force."""
        return self.door.limits if self.door is not None else Limits()

    def identity(self) -> bool:
        """Whether answers carry our four headers."""
        return self.door is not None and self.door.response_headers

    def claim(self, context: Context, mode: HTTPMode, request: http.Request) -> Claim:
        """Whose request it is, and how it came."""
        data = request.data
        if mode is HTTPMode.transparent:
            reverse = isinstance(context.client.proxy_mode, mode_specs.ReverseMode)
            return Claim.BASE_URL if reverse else Claim.FORWARD  # the layer is there for routed hosts only
        if not data.authority and not data.host:
            return Claim.BASE_URL
        if self._forwarder is not None:
            if data.method == b"CONNECT":
                return Claim.CONNECT
            peer = context.client.peername[0]
            match self._forwarder.absolute(data.scheme, data.authority, request.headers.fields, peer):
                case "here":
                    return Claim.BASE_URL
                case "ours":
                    return Claim.FORWARD
                case _:
                    return Claim.OTHER
        if not self._forward:
            return Claim.PROXY
        ours = data.method != b"CONNECT" and data.host.lower() in self._intercepted()
        return Claim.FORWARD if ours else Claim.THEIRS

    def admit(self, incoming: Incoming) -> Admission | Answer:
        """Decide on the head; never raises."""
        if self.door is None:
            return faults.fault(503, "codex-manager is not ready yet.", "not_ready")
        try:
            admitted = self.door.admit(incoming)
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a request could not be judged: %s", type_and_place(error))  # noqa: TRY400 - the message may quote a header
            return faults.broken()
        if self._forwarder is not None and isinstance(admitted, Admission) and admitted.foreign:
            return replace(admitted, passage=passage_of(incoming))
        return admitted

    def connect(self, context: Context, request: http.Request) -> Intercept | Passage | Answer:
        """What becomes of a CONNECT; never raises."""
        if self.door is None or self._forwarder is None:
            return faults.fault(503, "codex-manager is not ready yet.", "not_ready")
        try:
            return self._forwarder.connect(request.data.authority, request.headers.fields, context.client.peername[0])
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a CONNECT could not be judged: %s", type_and_place(error))  # noqa: TRY400 - as above
            return faults.broken()

    def pass_on(self, incoming: Incoming, scheme: bytes) -> Admission | Answer:
        """What becomes of a request for another host; never raises."""
        if self.door is None or self._forwarder is None:
            return faults.fault(503, "codex-manager is not ready yet.", "not_ready")
        try:
            return self._forwarder.admit(incoming, scheme)
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a request could not be judged: %s", type_and_place(error))  # noqa: TRY400 - as above
            return faults.broken()

    def not_proxied(self) -> Answer:
        """What a client is told that takes the listener for a forward proxy."""
        return faults.not_proxied(self._endpoint())

    def exchange(self, context: Context) -> Exchange:
        """A new exchange on behalf of this client."""
        client = context.client
        exchange = Exchange(self.door, drain=lambda: self._drained(client))
        self._clients[exchange] = client
        self.running.add(exchange)
        exchange.on_close = self._closed
        return exchange

    def sink(self, context: Context) -> Callable[[bytes], None] | None:
        """Plain TCP: what HTTP/1 has framed can go to the socket as it is. TLS has to encrypt it first."""
        writer = self._writer(context.client) if not context.client.tls else None
        return writer.write if writer is not None else None

    def reset(self, context: Context) -> None:
        """End the client's connection with a reset."""
        writer = self._writer(context.client)
        if writer is None:
            return
        raw = writer.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RFC 9293: RST, not FIN
        writer.transport.abort()

    def captured(self, flow: http.HTTPFlow, options: Options) -> Captured | None:
        """What keeps the answer's body for viewers; None where that is not wanted."""
        assert flow.response is not None
        tell = _tell if self.hears("update") else None
        if options.store_streamed_bodies:
            return Captured(flow, None, tell=tell)
        streams = flow.response.headers.get("content-type", "").lower().startswith("text/event-stream")
        if self._capture is None:
            return None if streams else Captured(flow, STORED_BODY, whole=True)
        return None if streams and not self._streams() else Captured(flow, self._capture(), tell=tell)

    def closing(self) -> bool:
        """The process is about to end."""
        return self.draining

    def wind_down(self) -> None:
        """The process is about to end: no connection is kept, and WebSockets end with what is under way."""
        self.draining = True
        for exchange in list(self.running):
            exchange.wind_down()

    # What the layers yield (hooks.py).

    async def codex_upstream_send(self, exchange: Exchange) -> None:
        """Carry the request."""
        await exchange.send()

    async def codex_upstream_read(self, exchange: Exchange) -> None:
        """Fetch what comes next."""
        await exchange.read()

    async def codex_socket_read(self, exchange: Exchange) -> None:
        """Fetch what a WebSocket has for its client."""
        await exchange.listen()

    async def codex_socket_full(self, exchange: Exchange) -> None:
        """As `codex_upload_full`."""
        client = self._clients.get(exchange)
        handler = self._handler(client) if client is not None else None
        if handler is not None:
            async with handler._drain_lock:  # noqa: SLF001 - mitmproxy has no other way to pause a client
                await exchange.room()

    async def codex_upload_full(self, exchange: Exchange) -> None:
        """Keep mitmproxy from reading on: it reads after each drain of the writers, which takes this lock."""
        client = self._clients.get(exchange)
        handler = self._handler(client) if client is not None else None
        if handler is None or exchange.upload is None:
            return
        if exchange.stream_id is not None:  # the other streams of the connection go on: HTTP/2 has windows
            await exchange.upload.room()
            await handler.server_event(Room(exchange.stream_id))
        else:
            async with handler._drain_lock:  # noqa: SLF001 - mitmproxy has no other way to pause a client
                await exchange.upload.room()

    # mitmproxy's own hooks.

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Let mitmproxy choose, then put our HTTP layer where its own would stand between a client and us."""
        try:
            if nextlayer.layer is None and (chooser := self._chooser()) is not None:
                chooser(nextlayer)
            if nextlayer.layer is not None and self._is_ours(nextlayer.context):
                nextlayer.layer = replace_http_layer(nextlayer.layer, self)
        except Exception as error:  # noqa: BLE001 - fail closed: mitmproxy would go on with its own layer
            log.error("a connection was closed because its layer could not be chosen: %s", type_and_place(error))  # noqa: TRY400 - as above
            nextlayer.context.layers.clear()
            nextlayer.layer = ClosedLayer(nextlayer.context)

    def client_disconnected(self, client: connection.Client) -> None:
        """Whatever still runs for the client is cancelled now."""
        for exchange in [e for e, owner in self._clients.items() if owner is client]:
            exchange.abandon()

    def busy_clients(self) -> set[str]:
        """Ids of the clients that still wait for something."""
        return {client.id for client in self._clients.values()}

    def _is_ours(self, context: Context) -> bool:
        """Requests for us, or for a routed host, may come on this connection."""
        mode = context.client.proxy_mode
        address = context.server.address
        if isinstance(mode, mode_specs.RegularMode) and address is None:
            return True
        names = {address[0]} if address is not None else set()
        if isinstance(mode, mode_specs.ReverseMode):
            return any(name.lower() in self._routed() for name in names)
        if context.client.sni:
            names.add(context.client.sni)
        return any(name.lower() in self._intercepted() for name in names)

    def _chooser(self) -> Callable[[layer.NextLayer], None] | None:
        from mitmproxy import ctx

        addon = ctx.master.addons.get("nextlayer")
        return addon.next_layer if addon is not None and addon is not self else None

    def _closed(self, exchange: Exchange) -> None:
        self.running.discard(exchange)
        self._clients.pop(exchange, None)

    def _handler(self, client: connection.Client) -> server.ConnectionHandler | None:
        return self._connections().get(client.id)

    def _writer(self, client: connection.Client) -> asyncio.StreamWriter | None:
        handler = self._handler(client)
        io = handler.transports.get(client) if handler is not None else None
        return io.writer if io is not None and isinstance(io.writer, asyncio.StreamWriter) else None

    async def _drained(self, client: connection.Client) -> None:
        """Return when the client has taken what it was sent, but for what fits into asyncio's own buffer."""
        writer = self._writer(client)
        if writer is not None:
            await writer.drain()


def _tell(flow: http.HTTPFlow) -> None:
    """Let viewers know that there is more to see."""
    from mitmproxy import ctx

    ctx.master.addons.trigger(hooks.UpdateHook([flow]))
