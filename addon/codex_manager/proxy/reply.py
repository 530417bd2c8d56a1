"""The answering half of a stream: an answer of the engine, of ours or of another addon, brought to the client.

Sans-io: waiting is done by the hooks. Law: what was begun ends whole or visibly broken; every hook a viewer of flows
expects runs, in mitmproxy's order; the exchange is given up on every way out.
"""

import logging
import time

from collections.abc import Callable, Iterable

from mitmproxy import flow, http, websocket
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpResponseHeadersHook, HttpResponseHook
from mitmproxy.proxy.layers.websocket import WebsocketStartHook

from codex_manager.engine.messages import Answer
from codex_manager.proxy import faults, flows
from codex_manager.proxy.exchange import Ending, Exchange
from codex_manager.proxy.hooks import CodexUpstreamReadHook, CodexUpstreamSendHook
from codex_manager.proxy.host import LayerHost
from codex_manager.proxy.http1 import ResponseStart
from codex_manager.proxy.inspect.capture import Captured
from codex_manager.proxy.inspect.telling import Telling
from codex_manager.proxy.websocket import ClientSocket, switching_headers


__all__ = ["ReplyStream"]

log = logging.getLogger(__name__)

LINGER_S = 2.0  # how long a client may go on sending a body nobody wants, so that it can read the answer (nginx: 5 s)
CUT = "The upstream broke off in the middle of its answer."
LEFT = "Client disconnected."


class ReplyStream(HttpStream):
    """What a stream does once it knows what to ask, or what to say."""

    def __init__(self, context: Context, stream_id: int, host: LayerHost) -> None:
        super().__init__(context, stream_id)
        self.host = host
        self.exchange: Exchange | None = None
        self.backlog: Callable[[int], int] | None = None
        """How much an HTTP/2 client has not taken yet; None over HTTP/1."""
        self.request_done = False
        """The client has sent its whole request."""
        self.socket: ClientSocket | None = None
        """The client's end of a WebSocket, once it is one."""
        self.begun = False
        """The status line is out: nothing can be taken back."""
        self.finished = False
        """The client has its answer, or will never have one."""
        self.linger: commands.RequestWakeup | None = None

    def new_exchange(self) -> Exchange:
        """An exchange that knows how this client takes data."""
        self.exchange = exchange = self.host.exchange(self.context)
        if (backlog := self.backlog) is not None:
            stream_id = self.stream_id
            exchange.multiplexed(lambda: backlog(stream_id), stream_id)
        return exchange

    def hook(self, hook: commands.StartHook) -> layer.CommandGenerator[bool]:
        """Run a hook of mitmproxy's; True when nobody wants to go on afterwards."""
        if not self.host.hears(hook.name):
            return False
        yield hook
        if not (yield from self.check_killed(True)):
            return False
        self.finished = True
        if self.exchange is not None:
            self.exchange.abandon()
        yield DropStream(self.stream_id)
        return True

    def run(self, exchange: Exchange) -> layer.CommandGenerator[None]:
        """Carry what the exchange was told to ask, and bring the client the answer."""
        yield CodexUpstreamSendHook(exchange)
        answer = exchange.answer
        if exchange.ending is Ending.GONE:
            yield from self._gone()
        elif exchange.ending is Ending.TOO_LARGE:
            yield from self.say(faults.too_large(self.host.limits().max_body_bytes))
        elif exchange.ending is Ending.BROKEN or answer is None:
            yield from self.say(faults.broken())
        elif answer.session is not None:
            yield from self._upgrade(exchange, answer)
        else:
            yield from self._hand_on(exchange, answer)

    def say(self, answer: Answer) -> layer.CommandGenerator[None]:
        """Answer without asking anybody."""
        exchange = self.new_exchange()
        exchange.answer = answer
        yield from self.run(exchange)

    def _hand_on(self, exchange: Exchange, answer: Answer) -> layer.CommandGenerator[None]:
        host = self.host
        response = flows.response_of(answer, self.flow.request.data.http_version, identity=host.identity())
        self.flow.response = response
        viewed = host.hears("response")
        told = Telling(self.flow, answer, exchange.client) if viewed or host.hears("responseheaders") else None
        if told is not None:
            told.begin(exchange.sent_at)
        if (yield from self.hook(HttpResponseHeadersHook(self.flow))):
            return
        response = self.flow.response  # an addon may have put another in its place
        transform = response.stream if callable(response.stream) else None
        response.stream = response.stream or True
        kept = host.captured(self.flow, self.context.options) if viewed else None
        data = exchange.chunk
        while True:
            if data:
                pieces = _pieces(transform(data)) if transform else (data,)
                for piece in pieces:
                    yield from self._send(response, piece)
                if kept is not None:
                    kept.feed(data, more=exchange.ending is Ending.OPEN)
            if not self.begun:
                yield from self._send(response, b"")
            if exchange.ending is not Ending.OPEN:
                break
            if exchange.sink is None and transform is None:
                exchange.sink = self._direct(response, kept)
            yield CodexUpstreamReadHook(exchange)
            data = exchange.chunk
        if kept is not None:
            kept.end()
        if told is not None:
            told.end()
        if exchange.ending is Ending.WHOLE:
            if transform:
                for piece in _pieces(transform(b"")):
                    yield from self._send(response, piece)
            yield from self._complete_response(response)
        elif exchange.ending is Ending.GONE:
            yield from self._gone()
        else:
            yield from self._cut(response)

    def _upgrade(self, exchange: Exchange, answer: Answer) -> layer.CommandGenerator[None]:
        """The client's connection becomes a WebSocket."""
        host = self.host
        key = self.flow.request.headers.get("sec-websocket-key", "").encode("latin-1", "replace")
        answer.headers = switching_headers(answer.headers, key)
        response = self.flow.response = flows.response_of(answer, b"HTTP/1.1", identity=host.identity())
        response.stream = True
        self.flow.websocket = websocket.WebSocketData()
        if host.hears("response") or host.hears("websocket_end"):
            Telling(self.flow, answer, exchange.client).begin(exchange.sent_at)
        agreed = response.headers.get("sec-websocket-extensions", "")
        limit = host.limits().replay_body_bytes
        socket = ClientSocket(self, exchange, host.hears, extensions=agreed, limit=limit)
        if (yield from self.hook(HttpResponseHeadersHook(self.flow))) or (
            yield from self.hook(HttpResponseHook(self.flow))
        ):
            return
        if host.hears("websocket_start"):
            yield WebsocketStartHook(self.flow)
        self.begun, self.socket = True, socket
        if host.closing():
            exchange.wind_down()
        yield from socket.begin(response)

    def _send(self, response: http.Response, data: bytes) -> layer.CommandGenerator[None]:
        """A piece of the body, with the head before it if that is not out yet."""
        client = self.context.client
        if self.begun:
            if data:
                yield SendHttp(ResponseData(self.stream_id, data), client)
            return
        self.begun = True
        if self.backlog is None:
            yield SendHttp(ResponseStart(self.stream_id, response, data), client)
            return
        yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), client)
        if data:
            yield SendHttp(ResponseData(self.stream_id, data), client)

    def _direct(self, response: http.Response, kept: Captured | None) -> Callable[[bytes], None] | None:
        """The short way for the rest of the body: a tenth of the work, where nobody in between changes it."""
        write = self.host.sink(self.context) if self.backlog is None else None
        if write is None or self.flow.request.data.method == b"HEAD" or response.status_code in {204, 304}:
            return None
        chunked = response.headers.get("transfer-encoding", "").lower() == "chunked"
        if kept is None:
            return (lambda data: write(b"%x\r\n%s\r\n" % (len(data), data))) if chunked else write
        feed = kept.feed

        def watched(data: bytes) -> None:
            write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            feed(data)

        return watched

    def say_flow(self) -> layer.CommandGenerator[None]:
        """Another addon has answered in our place."""
        if self.exchange is not None:
            self.exchange.abandon()
        assert self.flow.response is not None
        self.flow.response.timestamp_start = self.flow.response.timestamp_end = time.time()
        if (yield from self.hook(HttpResponseHeadersHook(self.flow))):
            return
        response = self.flow.response
        if (yield from self.hook(HttpResponseHook(self.flow))):
            return
        yield from self._send(response, response.raw_content or b"")
        yield from self._end()

    def _complete_response(self, response: http.Response) -> layer.CommandGenerator[None]:
        response.timestamp_end = time.time()
        if (yield from self.hook(HttpResponseHook(self.flow))):
            return
        yield from self._end()

    def _end(self) -> layer.CommandGenerator[None]:
        self.finished = True
        self.flow.live = False
        if self.request_done:
            yield DropStream(self.stream_id)
        else:
            self.linger = commands.RequestWakeup(LINGER_S)
            yield self.linger
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        if self.backlog is None and self.host.closing():
            yield commands.CloseConnection(self.context.client)

    def _cut(self, response: http.Response) -> layer.CommandGenerator[None]:
        """Make it visible that the answer is not whole."""
        self.finished = True
        self.flow.error = flow.Error(CUT)
        self.flow.live = False
        if self.host.hears("error"):
            yield HttpErrorHook(self.flow)
        if self.backlog is None and not _framed(response):
            self.host.reset(self.context)  # the end of the connection is the end of such a body: only a reset tells
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseProtocolError(self.stream_id, CUT, ErrorCode.GENERIC_SERVER_ERROR), self.context.client)

    def _gone(self) -> layer.CommandGenerator[None]:
        """Nobody takes the answer any more. Should the connection still be there, it must not wait for one."""
        yield from self.left(LEFT)
        error = ResponseProtocolError(self.stream_id, LEFT, ErrorCode.CLIENT_DISCONNECTED)
        yield SendHttp(error, self.context.client)

    def stop_listening(self) -> layer.CommandGenerator[None]:
        """The client goes on sending a body that nobody wants."""
        if self.backlog is None:
            yield commands.CloseConnection(self.context.client)
            return
        yield DropStream(self.stream_id)  # over HTTP/2 there are other streams on the connection
        yield SendHttp(ResponseProtocolError(self.stream_id, "", ErrorCode.CANCEL), self.context.client)

    def left(self, message: str) -> layer.CommandGenerator[None]:
        """The client is gone; tell whoever watches the flow."""
        if self.exchange is not None:
            self.exchange.abandon()
        if self.finished:
            return
        self.finished = True
        self.flow.live = False
        self.flow.error = flow.Error(message)
        if self.host.hears("error"):
            yield HttpErrorHook(self.flow)
        yield DropStream(self.stream_id)

    def fail(self) -> layer.CommandGenerator[None]:
        """We failed: an error if nothing is out yet, a broken connection otherwise. Runs no hook: one may be why."""
        if self.exchange is not None:
            self.exchange.abandon()
        client = self.context.client
        if (failed := getattr(self, "flow", None)) is not None:  # there is none before the head was read
            failed.live = False
        if self.finished or self.begun:
            self.finished = True
            yield DropStream(self.stream_id)
            yield SendHttp(ResponseProtocolError(self.stream_id, faults.BROKEN, ErrorCode.GENERIC_SERVER_ERROR), client)
            return
        self.finished = True
        response, body = faults.broken_response()
        yield from self._send(response, body)
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), client)
        if self.backlog is None:
            yield commands.CloseConnection(client)


def _pieces(out: bytes | Iterable[bytes]) -> Iterable[bytes]:
    """What a `stream` callable of another addon returned."""
    if isinstance(out, bytes):
        return (out,) if out else ()
    return out


def _framed(response: http.Response) -> bool:
    """The body's end can be told from the bytes."""
    return any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in response.headers.fields)
