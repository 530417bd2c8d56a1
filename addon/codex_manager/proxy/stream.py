"""The asking half of a stream: one HTTP request of a client, carried by the engine instead of a server connection.

Sans-io: events in, commands out. The order is that of a reader's questions: is it ours, is it admitted, what is its
body. A stream that is not ours (another host in forward mode) behaves as mitmproxy's own in every respect.
Law: the client's key is out of the flow before the first hook; nothing is forwarded that was not admitted; every path
ends in a whole response or a closed connection, also when this code or another addon fails.
"""

import enum
import logging
import time

from collections.abc import Generator
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseHeaders,
)
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpRequestHook

from codex_manager.core.errors import type_and_place
from codex_manager.engine.messages import Answer, Headers
from codex_manager.proxy import faults, flows
from codex_manager.proxy.connect import ConnectStream
from codex_manager.proxy.exchange import Ending
from codex_manager.proxy.hooks import CodexUploadFullHook
from codex_manager.proxy.host import Claim, LayerHost, incoming_of
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.proxy.upload import Upload


__all__ = ["CodexStream"]

log = logging.getLogger(__name__)

DRAIN_BODY = 1024 * 1024  # a refused body up to this is read to its end and the connection kept


class _Body(enum.Enum):
    """What becomes of the request's body."""

    COLLECT = enum.auto()
    STREAM = enum.auto()
    DISCARD = enum.auto()


class CodexStream(ConnectStream):
    """A stream that is ours; or, once `foreign`, mitmproxy's own."""

    def __init__(self, context: Context, stream_id: int, host: LayerHost) -> None:
        super().__init__(context, stream_id, host)
        self.foreign = False
        self._claim = Claim.THEIRS
        self._received: Headers = ()
        """The headers as the client sent them; never in the flow."""
        self._shown: Headers = ()
        """The headers as the flow got them, to see whether an addon changed something."""
        self._admission: Admission | None = None
        self._body = _Body.COLLECT

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """What must not wait behind the hook that pauses this stream is dealt with here; the rest is queued."""
        if not self.foreign:
            if self._body is not _Body.COLLECT and isinstance(event, RequestData):
                yield from self._pass_on(event.data)
                return
            if self._body is not _Body.COLLECT and isinstance(event, RequestEndOfMessage):
                yield from self._body_ended()
                return
            if isinstance(event, RequestProtocolError) and self.exchange is not None:
                self.exchange.abandon()
        yield from super().handle_event(event)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.foreign or isinstance(event, events.Start):
            yield from self._as_mitmproxy(super()._handle_event(event))
            return
        try:
            yield from self._step(event)
        except Exception as error:  # noqa: BLE001 - fail closed: whatever it is, the client gets an answer
            log.error("a request failed inside the bridge: %s", type_and_place(error))  # noqa: TRY400 - the message may quote a header
            yield from self.fail()

    def _step(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.socket is not None:
            yield from self.socket.handle_event(event)
        elif isinstance(event, RequestHeaders):
            yield from self._begin(event)
        elif isinstance(event, RequestData):
            yield from self._collect(event.data)
        elif isinstance(event, RequestEndOfMessage):
            self.request_done = True
            if self.finished:
                yield DropStream(self.stream_id)
            else:
                yield from self._complete()
        elif isinstance(event, RequestProtocolError):
            yield from self.left(event.message)
        elif isinstance(event, RequestTrailers) and not self.finished:
            self._body = _Body.DISCARD
            yield from self.say(faults.fault(400, "Request trailers are not supported.", "invalid_http_request"))
        elif isinstance(event, events.Wakeup) and event.command is self.linger and not self.request_done:
            yield from self.stop_listening()

    def _begin(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        request = event.request
        claim = self.host.claim(self.context, self.mode, request)
        if claim is Claim.THEIRS or event.replay_flow is not None:
            yield from self._hand_over(event)
            return
        if claim is Claim.CONNECT:
            yield from self.connect(event)
            return
        self._claim = claim
        self._received = fields = request.headers.fields
        request.headers.fields = flows.mask(fields)
        incoming = incoming_of(request, fields, self.context, claim, ends=event.end_stream)
        verdict = self._judge(incoming, request)
        if isinstance(verdict, Admission) and verdict.foreign and verdict.passage is None:
            yield from self._hand_over(event)
            return
        self.flow = http.HTTPFlow(self.context.client, self.context.server)
        self.flow.request = request
        self.flow.live = True
        self._address(request, incoming.host)
        limits = self.host.limits()
        length = incoming.content_length or 0
        if isinstance(verdict, Admission) and length > limits.max_body_bytes:
            verdict = faults.too_large(limits.max_body_bytes)
        waits = request.headers.get("expect", "").lower() == "100-continue"
        if waits:
            request.headers.pop("expect")
        self._shown = request.headers.fields
        if (yield from self.hook(HttpRequestHeadersHook(self.flow))):
            return
        if isinstance(verdict, Answer):
            self._discard()
            if waits or incoming.chunked or length > DRAIN_BODY:
                verdict.headers = (*(f for f in verdict.headers if f[0].lower() != b"connection"), faults.CLOSE)
            yield from self.say(verdict)
            return
        self._admission = verdict
        if waits and not event.end_stream and request.is_http11:
            interim = http.Response.make(100)
            interim.headers.clear()
            yield SendHttp(ResponseHeaders(self.stream_id, interim), self.context.client)
        if length > limits.replay_body_bytes:
            yield from self._stream_body(b"")

    def _judge(self, incoming: Incoming, request: http.Request) -> Admission | Answer:
        if self._claim is Claim.PROXY:
            return self.host.not_proxied()
        if self._claim is Claim.OTHER:
            return self.host.pass_on(incoming, request.data.scheme)
        return self.host.admit(incoming)

    def _address(self, request: http.Request, host: str) -> None:
        """Where the request was addressed to, as mitmproxy would fill it in."""
        request.authority = "" if not request.is_http2 else request.authority
        server = self.context.server.address
        if server is not None:
            request.data.host, request.data.port = server[0], server[1]
            request.scheme = "https" if self.context.server.tls or self.context.client.tls else "http"
        elif not request.data.host:
            name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
            request.data.host = name or host
            request.data.port = int(port) if name and port.isdigit() else 80
            request.scheme = "https" if self.context.client.tls else "http"

    def _collect(self, data: bytes) -> layer.CommandGenerator[None]:
        """Body data that may still turn out little enough to be replayed."""
        if self.finished:
            return
        self.request_body_buf += data
        if len(self.request_body_buf) > self.host.limits().replay_body_bytes:
            collected = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            yield from self._stream_body(collected)

    def _complete(self) -> layer.CommandGenerator[None]:
        """The whole request is here."""
        data = self.flow.request.data
        data.timestamp_end = time.time()
        data.content = bytes(self.request_body_buf)
        self.request_body_buf.clear()
        if (yield from self.hook(HttpRequestHook(self.flow))):
            return
        if self.flow.response is not None:
            yield from self.say_flow()
        else:
            yield from self._ask(data.content or b"")

    def _stream_body(self, collected: bytes) -> layer.CommandGenerator[None]:
        """A body too large to keep goes on as it comes and cannot be replayed.

        mitmproxy runs the `request` hook after such a body; here it runs before, so that an addon can still answer.
        """
        exchange = self.new_exchange()
        upload = exchange.upload = Upload()
        self._body = _Body.STREAM
        for data in (collected, *self._take_queued()):
            yield from self._pass_on(data)
        if (yield from self.hook(HttpRequestHook(self.flow))):
            return
        if self.flow.response is not None:
            yield from self.say_flow()
        else:
            yield from self._ask(upload)

    def _pass_on(self, data: bytes) -> layer.CommandGenerator[None]:
        """Body data that is not collected: for the engine, or for nobody."""
        exchange = self.exchange
        upload = exchange.upload if exchange is not None else None
        if exchange is None or upload is None or self._body is _Body.DISCARD:
            return
        was_full = upload.full
        upload.feed(data)
        if upload.received > self.host.limits().max_body_bytes:
            exchange.end(Ending.TOO_LARGE)
            self._body = _Body.DISCARD
        elif upload.full and not was_full:
            yield CodexUploadFullHook(exchange)

    def _body_ended(self) -> layer.CommandGenerator[None]:
        self.request_done = True
        self.flow.request.timestamp_end = time.time()
        if self.exchange is not None and self.exchange.upload is not None:
            self.exchange.upload.finish()
        if self.finished:
            yield DropStream(self.stream_id)

    def _take_queued(self) -> list[bytes]:
        """Body data that arrived while a hook paused us, in order; from now on it does not queue any more."""
        queued = [e for e in self._paused_event_queue if isinstance(e, RequestData | RequestEndOfMessage)]
        for event in queued:
            self._paused_event_queue.remove(event)
        if any(isinstance(event, RequestEndOfMessage) for event in queued):
            self.request_done = True
            if self.exchange is not None and self.exchange.upload is not None:
                self.exchange.upload.finish()
        return [event.data for event in queued if isinstance(event, RequestData)]

    def _discard(self) -> None:
        """Nobody wants the body."""
        self._body = _Body.DISCARD
        self._take_queued()

    def _ask(self, body: bytes | Upload) -> layer.CommandGenerator[None]:
        """Have the engine carry the request."""
        assert self._admission is not None
        verdict: Admission | Answer = self._admission
        if self._changed():
            verdict = self._readmit()
        if isinstance(verdict, Answer):
            yield from self.say(verdict)
            return
        exchange = self.exchange or self.new_exchange()
        exchange.ask(verdict, body)
        yield from self.run(exchange)

    def _changed(self) -> bool:
        """Another addon has changed the head."""
        data = self.flow.request.data
        assert self._admission is not None
        incoming = self._admission.incoming
        return (
            data.headers.fields is not self._shown
            or data.path != incoming.target.encode("utf-8", "surrogateescape")
            or data.method != incoming.method.encode("utf-8", "surrogateescape")
        )

    def _readmit(self) -> Admission | Answer:
        """Judge the head once more, as another addon left it, with the client's own key in its place."""
        request = self.flow.request
        fields = flows.unmask(request.headers.fields, self._received)
        incoming = incoming_of(request, fields, self.context, self._claim, ends=self.request_done)
        return self._judge(incoming, request)

    def _hand_over(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        """Not ours: from here on a stream of mitmproxy's."""
        self.foreign = True
        yield from self._as_mitmproxy(super()._handle_event(event))

    def _as_mitmproxy(self, generator: layer.CommandGenerator[None]) -> Generator[commands.Command, Any]:
        """What mitmproxy's own stream does; a key that was masked goes into the copy that is sent, not into the flow."""
        if not self._received:
            yield from generator
            return
        reply: Any = None
        while True:
            try:
                command = generator.send(reply)
            except StopIteration:
                return
            if isinstance(command, SendHttp) and isinstance(command.event, RequestHeaders):
                command.event.request = request = command.event.request.copy()
                request.headers.fields = flows.unmask(request.headers.fields, self._received)
            reply = yield command
