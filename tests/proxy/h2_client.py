"""A small HTTP/2 client for tests: hyper-h2 over the streams it is given, everything it got on record."""

import asyncio
import contextlib

from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.proxy.rig import KEY, TIMEOUT


GOAWAY = 7


@dataclass
class Got:
    """What came on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", 0))


class H2Client:
    """`take` says whether received data is acknowledged, so that the server may send more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, take: bool = True) -> None:
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.reader, self.writer, self.take = reader, writer, take
        self.streams: dict[int, Got] = {}
        self.goaway: tuple[int, int] | None = None
        """Error code and last stream."""
        self.closed = False
        self._received = b""
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def headers(
        self, *extra: tuple[str, str], method="POST", path="/v1/chat/completions", key=KEY, host="api.openai.com"
    ):
        return [
            (":method", method),
            (":scheme", "https"),
            (":authority", host),
            (":path", path),
            ("authorization", f"Bearer {key}"),
            *extra,
        ]

    def ask(self, headers=None, body: bytes | None = b"{}") -> int:
        """Send a request; with `body` None it stays open."""
        stream = self.h2.get_next_available_stream_id()
        self.streams[stream] = Got()
        self.h2.send_headers(stream, headers or self.headers(), end_stream=False)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    async def until(self, condition: Callable[[], object], seconds: float = TIMEOUT) -> bool:
        """Read until the condition holds; False when the time is over or the connection is."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self.closed:
                return bool(condition())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.05)):
                    await self.step()
        return True

    async def step(self) -> None:
        """What came next."""
        try:
            data = await self.reader.read(65536)
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return
        try:
            events = self.h2.receive_data(self._without_goaway(data))
        except h2.exceptions.ProtocolError:
            self.closed = True
            return
        for event in events:
            self._note(event)
        self.flush()

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames but GOAWAY, which is noted: hyper-h2 takes nothing any more after one."""
        self._received += data
        frames = b""
        while len(self._received) >= 9 and len(self._received) >= 9 + (length := int.from_bytes(self._received[:3])):
            frame, self._received = self._received[: 9 + length], self._received[9 + length :]
            if frame[3] == GOAWAY:
                self.goaway = (int.from_bytes(frame[13:17]), int.from_bytes(frame[9:13]))
            else:
                frames += frame
        return frames

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.streams[event.stream_id].headers = {str(name): str(value) for name, value in event.headers}
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                if self.take:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = event.error_code
            case _:
                pass

    async def answer(self, stream: int, seconds: float = TIMEOUT) -> Got:
        """The whole answer on a stream, or how it was cut."""
        got = self.streams[stream]
        await self.until(lambda: got.ended or got.reset is not None, seconds)
        return got
