"""The client's side of HTTP/2: mitmproxy's, with flow control that holds back, limits, and an end that is announced.

A subclass of mitmproxy's `Http2Server`, which takes any amount of any stream. Law: a client may send of a body what the
upstream takes, plus one window; who resets, pings or fragments beyond reason is told to calm down and disconnected;
nothing the client sent is quoted, neither to it nor in a log (hyper-h2's messages quote header values).
"""

import time

from collections.abc import Callable

import h2.connection
import h2.errors
import h2.events

from h2.config import H2Configuration
from hyperframe.frame import GoAwayFrame
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._http2 import Http2Server, StreamState
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection

from codex_manager.proxy.incoming import Limits


__all__ = ["CodexHttp2Server"]

STREAM_WINDOW = 1024 * 1024  # one window a round trip: 80 Mbit/s over 100 ms; on loopback no limit at all
FRAME = 16 * 1024  # RFC 9113 6.5.2, the default; with h2's 64 CONTINUATIONs a header block takes at most 1 MiB
RESETS = (500.0, 33.0)  # rapid reset (CVE-2023-44487): at once, and a second; nghttp2 allows 1,000 and 33
CHATTER = (2000.0, 200.0)  # pings, settings, priorities, empty frames; BDP probing sends a ping a read at most
HEADER_FRAMES = frozenset({1, 9})  # HEADERS, CONTINUATION


class _LimitedConnection(BufferedH2Connection):
    """mitmproxy's connection with the windows and sizes of a server among strangers."""

    def __init__(self, config: H2Configuration, limits: Limits) -> None:
        super().__init__(config)
        self.local_settings.initial_window_size = STREAM_WINDOW
        self.local_settings.max_frame_size = FRAME
        self.max_inbound_frame_size = FRAME
        self.local_settings.max_header_list_size = limits.header_bytes
        self.local_settings.acknowledge()
        # A little more than a client is told, so that the gate can say 431 in words. HPACK counts 32 bytes a header.
        self.decoder.max_header_list_size = 2 * limits.header_bytes + 32 * limits.header_count

    @property
    def frame_too_large(self) -> bool:
        """A frame has begun that says it is larger than allowed; h2 would collect all of it before it looks."""
        data = self.incoming_buffer._data  # noqa: SLF001 - as below
        return len(data) >= 3 and int.from_bytes(data[:3]) > FRAME

    @property
    def heads_begun(self) -> bool:
        """The preface or a header block has begun to arrive and not ended."""
        buffer = self.incoming_buffer
        data = buffer._data  # noqa: SLF001 - h2 has no other word for it
        partial = len(data) > 3 and data[3] in HEADER_FRAMES
        return bool(buffer._headers_buffer) or buffer._preamble_len > 0 or partial  # noqa: SLF001 - as above


class _Bucket:
    """So many at once, and so many a second after that."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = self._left = burst
        self._rate = rate
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class CodexHttp2Server(Http2Server):
    """HTTP/2 towards a client. `is_full` says of a stream that more of its body waits than should."""

    def __init__(self, context: Context, limits: Callable[[], Limits], is_full: Callable[[int], bool]) -> None:
        super().__init__(context)
        self._limits = limits
        self._is_full = is_full
        self.h2_conn: _LimitedConnection = _LimitedConnection(self.h2_conf, limits())
        self._withheld: dict[int, int] = {}
        """Bytes received for which the client has no new window yet, by stream."""
        self._resets = _Bucket(*RESETS)
        self._chatter = _Bucket(*CHATTER)
        self._deadline: commands.RequestWakeup | None = None
        self._heads_at_deadline = 0
        self._last_stream: int | None = None
        """The end is announced: streams beyond this are refused."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            if event.command is self._deadline:
                yield from self._head_is_due()
            return
        yield from super()._handle_event(event)
        if not self.conn.connected:
            return
        if isinstance(event, events.DataReceived) and self.h2_conn.frame_too_large:
            yield from self.protocol_error("", h2.errors.ErrorCodes.FRAME_SIZE_ERROR)
            return
        if (
            isinstance(event, events.Start | events.DataReceived)
            and self._deadline is None
            and self.h2_conn.heads_begun
        ):
            yield from self._set_deadline()
        if self._last_stream is not None and not self._works():
            yield commands.CloseConnection(self.conn)

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        """One thing the client did; True ends the connection."""
        match event:
            case h2.events.DataReceived():
                return (yield from self._receive_data(event))
            case h2.events.RequestReceived() if self._last_stream is not None and event.stream_id > self._last_stream:
                self.h2_conn.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
                return False
            case h2.events.StreamReset():
                self._forget(event.stream_id)
                if not self._resets.take():
                    return (yield from self._calm_down())
            case h2.events.StreamEnded():
                self._forget(event.stream_id)
            case (
                h2.events.PingReceived()
                | h2.events.RemoteSettingsChanged()
                | h2.events.PriorityUpdated()
                | h2.events.UnknownFrameReceived()
            ):
                return False if self._chatter.take() else (yield from self._calm_down())
            case _:
                pass
        return (yield from super().handle_h2_event(event))

    def _receive_data(self, event: h2.events.DataReceived) -> layer.CommandGenerator[bool]:
        stream_id, size = event.stream_id, event.flow_controlled_length
        if not event.data and not event.stream_ended and not self._chatter.take():
            return (yield from self._calm_down())
        if self.streams.get(stream_id) is StreamState.HEADERS_RECEIVED and event.data:
            yield ReceiveHttp(self.ReceiveData(stream_id, bytes(event.data)))
        if not size or self.is_closed(stream_id):
            if size:
                self.h2_conn.increment_flow_control_window(size)  # the connection's; the stream has none any more
        elif self._is_full(stream_id):
            self._withheld[stream_id] = self._withheld.get(stream_id, 0) + size
        else:
            self.h2_conn.acknowledge_received_data(size, stream_id)
        return False

    def room(self, stream_id: int) -> layer.CommandGenerator[None]:
        """The stream's body may go on."""
        size = self._withheld.pop(stream_id, 0)
        if size and not self.is_closed(stream_id):
            self.h2_conn.acknowledge_received_data(size, stream_id)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())

    def _forget(self, stream_id: int) -> None:
        """The stream takes nothing any more; the connection's window was lent by all."""
        size = self._withheld.pop(stream_id, 0)
        if size:
            self.h2_conn.increment_flow_control_window(size)

    def drain(self) -> layer.CommandGenerator[None]:
        """Announce the end: what is under way is finished, nothing new begins."""
        if self._last_stream is not None or not self.conn.connected:
            return
        self._last_stream = self.h2_conn.highest_inbound_stream_id
        frame = GoAwayFrame(0, last_stream_id=self._last_stream)  # h2's own would end its state machine, too
        yield commands.SendData(self.conn, frame.serialize())
        if not self._works():
            yield commands.CloseConnection(self.conn)

    def protocol_error(
        self, message: str, error_code: int = h2.errors.ErrorCodes.PROTOCOL_ERROR
    ) -> layer.CommandGenerator[None]:
        """End the connection without repeating `message`."""
        del message
        if self.h2_conn.state_machine.state is not h2.connection.ConnectionState.CLOSED:  # else h2 has said it already
            self.h2_conn.close_connection(error_code)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        yield from self.close_connection("HTTP/2 protocol error")

    def _calm_down(self) -> layer.CommandGenerator[bool]:
        yield from self.protocol_error("", h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        return True

    def _set_deadline(self) -> layer.CommandGenerator[None]:
        self._heads_at_deadline = self.h2_conn.highest_inbound_stream_id
        self._deadline = commands.RequestWakeup(self._limits().header_deadline_s)
        yield self._deadline

    def _head_is_due(self) -> layer.CommandGenerator[None]:
        self._deadline = None
        if not self.h2_conn.heads_begun or not self.conn.connected:
            return
        if self.h2_conn.highest_inbound_stream_id == self._heads_at_deadline:
            yield from self._calm_down()
        else:
            yield from self._set_deadline()  # heads do complete; another one is on its way

    def _works(self) -> bool:
        return self.h2_conn.open_inbound_streams > 0
