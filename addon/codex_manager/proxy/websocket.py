"""The client's end of a WebSocket: frames of the client's connection on one side, the engine's session on the other.

Sans-io. Two layers work for it, each paused by its own hooks alone: `FromClient` reads what the client sends, `ToClient`
brings what the session has. mitmproxy's own hooks (`websocket_start`, `_message`, `_end`) run as with its own layer,
and messages injected by its command are sent.
Law: `websocket_end` runs once; the client's connection is closed in the end, whoever ended it and however; a session that
broke off is passed on as that (1006), never as a clean close.
"""

import time

from collections.abc import Callable
from typing import Protocol

from mitmproxy import http, websocket
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.websocket import (
    WebsocketEndHook,
    WebsocketMessageHook,
    WebSocketMessageInjected,
)
from wsproto.frame_protocol import Opcode

from codex_manager.engine.messages import Headers
from codex_manager.engine.websocket_frames import Closed, Frames, Message, Ping, Pong, accept_value
from codex_manager.engine.websocket_pipe import PassedSession
from codex_manager.proxy.exchange import Ending, Exchange
from codex_manager.proxy.hooks import CodexSocketFullHook, CodexSocketReadHook


__all__ = ["ClientSocket", "switching_headers"]

LINGER_S = 2.0  # what a client may take to answer our close frame
MOST_SHOWN, MOST_SHOWN_BYTES = 1000, 8 * 1024 * 1024
"""Messages kept in a flow for viewers; a voice call of an hour has tens of thousands. The newest stay."""
LEFT = 1006  # RFC 6455 §7.1.5: no close frame


class Stream(Protocol):
    """The stream the socket belongs to."""

    context: Context
    flow: http.HTTPFlow
    stream_id: int


def switching_headers(headers: Headers, key: bytes) -> Headers:
    """The headers of the 101 for the client: the upstream's, with the answer to the client's own key."""
    kept = tuple(header for header in headers if header[0].lower() != b"sec-websocket-accept")
    own = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Accept", accept_value(key)))
    return own + kept


class ClientSocket:
    """See the module's docstring. Mutable state: the frames', what of the closing has happened."""

    def __init__(
        self, stream: Stream, exchange: Exchange, hears: Callable[[str], bool], *, extensions: str, limit: int
    ) -> None:
        """`extensions` is the header of the 101.

        Raises:
            ValueError: it names one that is not spoken here.
        """
        assert exchange.answer is not None
        assert exchange.answer.session is not None
        self.stream = stream
        self.exchange = exchange
        self.session: PassedSession = exchange.answer.session
        self.frames = Frames(client=False, extensions=extensions, limit=limit)
        self.hears = hears
        self.ended = False
        self._shown_bytes = 0
        self._linger: commands.RequestWakeup | None = None
        self._from_client = FromClient(stream.context, self)
        self._to_client = ToClient(stream.context, self)

    def begin(self, response: http.Response) -> layer.CommandGenerator[None]:
        """Switch the client's connection and start. `websocket_start` has not run yet."""
        stream = self.stream
        self.session.start()
        yield SendHttp(ResponseHeaders(stream.stream_id, response, end_stream=False), stream.context.client)
        yield SendHttp(ResponseEndOfMessage(stream.stream_id), stream.context.client)
        yield from self._to_client.handle_event(events.Start())

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Everything the stream hears from now on."""
        if isinstance(event, events.CommandCompleted):
            for pump in (self._from_client, self._to_client):
                if pump.waits_for(event):
                    yield from pump.handle_event(event)
                    return
            if event.command is self._linger:
                yield from self.close_connection()
        elif isinstance(event, RequestData):
            yield from self._from_client.handle_event(events.DataReceived(self.stream.context.client, event.data))
        elif isinstance(event, RequestEndOfMessage | RequestProtocolError):
            # Not behind a paused hook: whoever is gone is gone.
            self.exchange.abandon()
            yield from self._from_client.handle_event(events.ConnectionClosed(self.stream.context.client))
        elif isinstance(event, WebSocketMessageInjected):
            pump = self._from_client if event.message.from_client else self._to_client
            yield from pump.handle_event(event)

    # --- what both layers do ---

    def write(self, data: bytes) -> layer.CommandGenerator[None]:
        """Bytes for the client."""
        if data:
            yield SendHttp(ResponseData(self.stream.stream_id, data), self.stream.context.client)

    def close_connection(self) -> layer.CommandGenerator[None]:
        """End the client's connection."""
        self._linger = None
        gone = ResponseProtocolError(self.stream.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE)
        yield SendHttp(gone, self.stream.context.client)

    def show(
        self, message: Message, *, from_client: bool, injected: bool = False
    ) -> layer.CommandGenerator[Message | None]:
        """Let the addons see a message: as they leave it, or None when they dropped it."""
        if not self.hears("websocket_message"):
            return message
        kind = Opcode.TEXT if isinstance(message.data, str) else Opcode.BINARY
        content = message.raw
        shown = websocket.WebSocketMessage(kind, from_client, content, injected=injected)
        self._keep(shown)
        yield WebsocketMessageHook(self.stream.flow)
        if shown.dropped:
            return None
        if shown.content is content:
            return message
        return Message(shown.content.decode("utf-8", "replace") if kind is Opcode.TEXT else shown.content)

    def _keep(self, shown: websocket.WebSocketMessage) -> None:
        assert self.stream.flow.websocket is not None
        kept = self.stream.flow.websocket.messages
        kept.append(shown)
        self._shown_bytes += len(shown.content)
        while len(kept) > 1 and (len(kept) > MOST_SHOWN or self._shown_bytes > MOST_SHOWN_BYTES):
            self._shown_bytes -= len(kept.pop(0).content)

    def end(self, closed: Closed, *, by_client: bool) -> layer.CommandGenerator[None]:
        """The socket is over; the first to say so counts."""
        if self.ended:
            return
        self.ended = True
        flow = self.stream.flow
        assert flow.websocket is not None
        flow.websocket.timestamp_end = time.time()
        flow.websocket.closed_by_client = by_client
        flow.websocket.close_code = closed.code if closed.code is not None else LEFT
        flow.websocket.close_reason = closed.reason
        if self.session.moves:
            flow.comment = f"{flow.comment} · then {self.session.account_label}"
        if self.hears("websocket_end"):
            yield WebsocketEndHook(flow)
        flow.live = False

    def wait_for_close(self) -> layer.CommandGenerator[None]:
        """Our close frame is out: the client has a moment to answer it, so that it reads everything before it."""
        self._linger = commands.RequestWakeup(LINGER_S)
        yield self._linger


class _Pump(layer.Layer):
    def __init__(self, context: Context, socket: ClientSocket) -> None:
        super().__init__(context)
        self.socket = socket

    def waits_for(self, event: events.CommandCompleted) -> bool:
        """The event ends this layer's pause."""
        return self._paused is not None and self._paused.command is event.command


class FromClient(_Pump):
    """What the client sends."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        socket = self.socket
        if isinstance(event, events.ConnectionClosed):
            socket.exchange.abandon()
            yield from socket.end(Closed(None), by_client=True)
            yield from socket.close_connection()
        elif isinstance(event, WebSocketMessageInjected):
            content = event.message.content
            text = event.message.is_text
            yield from self._message(Message(content.decode("utf-8", "replace") if text else content), injected=True)
        elif isinstance(event, events.DataReceived):
            for found in socket.frames.feed(event.data):
                if isinstance(found, Message):
                    if not socket.ended:
                        yield from self._message(found, injected=False)
                elif isinstance(found, Ping):
                    yield from socket.write(socket.frames.pong(found.payload))
                    socket.session.ping(found.payload)
                elif not isinstance(found, Pong):
                    yield from self._closed(found)

    def _message(self, message: Message, *, injected: bool) -> layer.CommandGenerator[None]:
        socket = self.socket
        left = yield from socket.show(message, from_client=True, injected=injected)
        if left is None or socket.ended:
            return
        was_full = socket.session.full
        socket.session.send(left)
        if socket.session.full and not was_full:
            yield CodexSocketFullHook(socket.exchange)

    def _closed(self, closed: Closed) -> layer.CommandGenerator[None]:
        """The client has closed, or broken the protocol."""
        socket = self.socket
        yield from socket.write(socket.frames.close(closed.code, closed.reason if closed.broken else ""))
        if not socket.ended:
            socket.session.finish(closed)
            yield from socket.end(closed, by_client=True)
        yield from socket.close_connection()


class ToClient(_Pump):
    """What the session has for the client."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield from self._run()

    def _run(self) -> layer.CommandGenerator[None]:
        socket, exchange = self.socket, self.socket.exchange
        while exchange.ending is Ending.OPEN:
            yield CodexSocketReadHook(exchange)
            for found in exchange.arrived:
                if isinstance(found, Closed):
                    yield from self._closed(found)
                    return
                left = yield from socket.show(found, from_client=False)
                if left is not None and not socket.ended:
                    yield from socket.write(socket.frames.message(left))
        if not socket.ended:  # we failed, or the process ends
            yield from self._closed(Closed(None))

    def _closed(self, closed: Closed) -> layer.CommandGenerator[None]:
        socket = self.socket
        socket.exchange.end(Ending.WHOLE)
        if socket.ended:
            return
        if closed.code is None:
            yield from socket.end(closed, by_client=False)
            yield from socket.close_connection()
            return
        yield from socket.write(socket.frames.close(closed.code, closed.reason))
        yield from socket.end(closed, by_client=False)
        yield from socket.wait_for_close()
