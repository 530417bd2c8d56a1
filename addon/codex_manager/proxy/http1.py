"""The client's side of HTTP/1, stricter than mitmproxy's own: limits, a deadline for the head, errors in OpenAI's shape.

A subclass of mitmproxy's `Http1Server`, so everything around it (streams, pipelining, CONNECT) stays mitmproxy's.
Law: after a protocol error the connection is closed; nothing the client sent is quoted, neither to it nor in a log; an
exception never leaves the client waiting.
"""

from collections.abc import Callable

import h11

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server, make_body_reader, should_make_pipe

from codex_manager.proxy.faults import error_response
from codex_manager.proxy.incoming import Limits
from codex_manager.proxy.parser import BadHeadError, HeadBuffer, parse_head


__all__ = ["CodexHttp1Server", "ResponseStart"]

PIPELINE_LIMIT = 1024 * 1024  # bytes of further requests; real clients pipeline little or nothing
LINGER_S = 1.0  # a reset before the client has read its error would take the error away (RFC 9112 9.6)
CHUNK_LINE_LIMIT = 16 * 1024  # a chunk's size line or the trailers; h11 allows this much for any incomplete event


class ResponseStart(ResponseHeaders):
    """Response headers with the part of the body that is at hand, so that both leave in one packet."""

    def __init__(self, stream_id: int, response: http.Response, data: bytes) -> None:
        super().__init__(stream_id, response, end_stream=False)
        self.data = data


class CodexHttp1Server(Http1Server):
    """HTTP/1 towards a client."""

    def __init__(self, context: Context, limits: Callable[[], Limits]) -> None:
        super().__init__(context)
        self.buf: HeadBuffer = HeadBuffer()
        self._limits = limits
        self._deadline: commands.RequestWakeup | None = None
        self._linger: commands.RequestWakeup | None = None
        self._close = False
        """The connection ends with this exchange."""
        self._chunked = False
        self._bodiless = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            if event.command is self._linger:
                yield commands.CloseConnection(self.conn)
            elif event.command is self._deadline and self.state == self.read_headers:
                yield from self._refuse(BadHeadError(408, "The request's headers did not arrive in time."))
            return
        yield from super()._handle_event(event)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            return
        limits = self._limits()
        try:
            head = self.buf.take_head(limits.header_bytes)
            if head is None:
                if self.buf and self._deadline is None:
                    self._deadline = commands.RequestWakeup(limits.header_deadline_s)
                    yield self._deadline
                return
            self._deadline = None
            parsed = parse_head(head, limits)
        except BadHeadError as error:
            yield from self._refuse(error)
            return
        self.request = parsed.request
        self._close = parsed.close
        yield ReceiveHttp(RequestHeaders(self.stream_id, parsed.request, parsed.size == 0))
        if self.state == self.done:
            return
        self.body_reader = make_body_reader(parsed.size)
        self.state = self.read_body
        yield from self.read_body(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            yield self._broken("The client left before its request was complete.", ErrorCode.CLIENT_DISCONNECTED)
            self.state = self.done
            return
        while self.state == self.read_body:
            try:
                piece = self.body_reader(self.buf)
            except h11.ProtocolError:
                yield from self._refuse_body("The request's body is malformed.")
                return
            if piece is None:
                if len(self.buf) > CHUNK_LINE_LIMIT:  # a size line or trailers without an end; other data is taken
                    yield from self._refuse_body("The chunked body is malformed.")
                return
            if isinstance(piece, h11.Data):
                yield ReceiveHttp(RequestData(self.stream_id, bytes(piece.data)))
            elif piece.headers:
                yield from self._refuse_body("Request trailers are not supported.")
            else:
                if self.request is not None and self.request.data.method != b"CONNECT":
                    yield ReceiveHttp(RequestEndOfMessage(self.stream_id))
                yield from self.mark_done(request=True)
                return

    def wait(self, event: events.Event) -> layer.CommandGenerator[None]:
        """A client may send further requests before it has this answer; not any number of them."""
        if isinstance(event, events.DataReceived) and len(self.buf) > PIPELINE_LIMIT:
            yield commands.CloseConnection(self.conn)
            yield self._broken("The client sent too much before it had its answer.", ErrorCode.GENERIC_CLIENT_ERROR)
            self.state = self.done
            return
        yield from super().wait(event)

    def mark_done(self, *, request: bool = False, response: bool = False) -> layer.CommandGenerator[None]:
        """As mitmproxy's, with the headers already looked at."""
        self.request_done = self.request_done or request
        self.response_done = self.response_done or response
        if not (self.request_done and self.response_done):
            if self.request_done:
                self.state = self.wait
            return
        assert self.request is not None
        assert self.response is not None
        if should_make_pipe(self.request, self.response):
            yield from self.make_pipe()
        elif self._close:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        else:
            self.request_done = self.response_done = False
            self.request = self.response = None
            self.stream_id += 2
            self.state = self.read_headers
            if self.buf:
                yield from self.state(events.DataReceived(self.conn, b""))

    def take_rest(self) -> bytes:
        """What the client sent after its request; superfluous empty lines after CONNECT are eaten, as mitmproxy does."""
        rest = bytes(self.buf.maybe_extract_at_most(len(self.buf)) or b"").lstrip(b"\r\n")
        self.buf = HeadBuffer()
        return rest

    def done(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Whatever still comes after the end is ignored."""
        self.buf = HeadBuffer()
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if self.state == self.done and not isinstance(event, ResponseProtocolError):
            return  # the last word has been said; what was still under way for this request comes too late
        if isinstance(event, ResponseHeaders):
            yield from self._send_head(event)
        elif isinstance(event, ResponseData):
            if event.data and not self._bodiless:
                yield commands.SendData(self.conn, self._framed(event.data))
        elif isinstance(event, ResponseEndOfMessage):
            if self._chunked and not self._bodiless:
                yield commands.SendData(self.conn, b"0\r\n\r\n")
            yield from self.mark_done(response=True)
        elif isinstance(event, ResponseProtocolError):
            if not self.conn.state & ConnectionState.CAN_WRITE:
                return
            status = event.code.http_status_code()
            if self.response is None and status is not None:
                yield commands.SendData(self.conn, error_response(status, event.message))
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        else:
            raise AssertionError(f"unexpected event: {type(event).__name__}")  # noqa: TRY004 - as mitmproxy's layers do

    def _send_head(self, event: ResponseHeaders) -> layer.CommandGenerator[None]:
        response = event.response
        self.response = response
        if response.is_http2 or response.is_http3:
            yield from super().send(ResponseHeaders(event.stream_id, response, event.end_stream))
            return
        assert self.request is not None
        self._chunked = framed = False
        for name, value in response.headers.fields:
            low = name.lower()
            if low == b"transfer-encoding":
                framed = self._chunked = b"chunked" in value.lower()
            elif low == b"content-length":
                framed = True
            elif low == b"connection" and b"close" in value.lower():
                self._close = True
        status = response.status_code
        bodiless = status in {204, 304} or (status < 200 and status != 101)
        self._bodiless = self.request.data.method == b"HEAD" or bodiless
        self._close = self._close or not (framed or self._bodiless)
        raw = http1.assemble_response_head(response)
        if isinstance(event, ResponseStart) and event.data and not self._bodiless:
            raw += self._framed(event.data)
        yield commands.SendData(self.conn, raw)
        if 100 <= status < 200 and status != 101:
            self.response = None  # an interim answer; the real one is still to come

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data

    def _refuse(self, error: BadHeadError) -> layer.CommandGenerator[None]:
        """Answer a head that never became a request."""
        self.buf = HeadBuffer()
        yield from self._last_word(error.status, str(error))

    def _refuse_body(self, message: str) -> layer.CommandGenerator[None]:
        """Answer a body that went wrong; the stream is told, so that nothing goes on upstream."""
        if self.response is None:
            yield from self._last_word(400, message)
        else:
            yield commands.CloseConnection(self.conn)
        self.state = self.done
        yield self._broken(message, ErrorCode.GENERIC_CLIENT_ERROR)

    def _last_word(self, status: int, message: str) -> layer.CommandGenerator[None]:
        """Send an error and nothing after it; the client may go on sending for a moment, or it would not read this."""
        self.state = self.done
        yield commands.SendData(self.conn, error_response(status, message))
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        self._linger = commands.RequestWakeup(LINGER_S)
        yield self._linger

    def _broken(self, message: str, code: ErrorCode) -> ReceiveHttp:
        return ReceiveHttp(RequestProtocolError(self.stream_id, message, code))
