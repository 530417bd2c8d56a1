"""One client connection: h11 reads requests and frames answers; a task carries one exchange after the other.

Knows HTTP/1.1 and nothing of OpenAI: what to answer comes from the `Service`. Law: a client that hangs up ends the
exchange at once and is recorded; nothing outlives the connection.
"""

import asyncio
import contextlib
import hashlib
import http
import time

from typing import Protocol, cast

import h11

from codex_manager.testing.encoding import encode
from codex_manager.testing.journal import Seen
from codex_manager.testing.reply import Reply, rendered
from codex_manager.testing.step import Travel
from codex_manager.testing.wire import CutError, Wire, abort, reset


__all__ = ["Connection", "Service"]

MAX_HEAD = 1 << 20
"""The fake is not the one to refuse long heads: OpenAI's edge allows 128 KiB in all."""
READ_AHEAD = 1 << 18
"""Unread bytes at which the client is made to wait."""
DRAIN_S = 1.0
"""How long the rest of a body is read after an early answer, so that a reset does not eat that answer."""


class Service(Protocol):
    """What a connection asks of its server."""

    keep_body: int

    def begin(self, connection: int, method: str, target: str, headers: list[tuple[str, str]]) -> Seen: ...
    def answer_early(self, seen: Seen) -> tuple[Reply, Travel] | None: ...
    def answer(self, seen: Seen) -> tuple[Reply, Travel]: ...
    def malformed(self, reason: str) -> None: ...
    def opened(self, connection: "Connection") -> bool: ...
    def closed(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """The mutable state: h11's, the exchange in progress, and who waits for what."""

    def __init__(self, service: Service, number: int) -> None:
        self.number = number
        self.done = asyncio.get_running_loop().create_future()
        self._service = service
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._seen: Seen | None = None
        self._raw: bytearray | None = None
        """What has come since the connection switched to another protocol."""
        self._unread = 0
        self._arrival: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._task: asyncio.Task[None] | None = None

    # What the socket says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        if not self._service.opened(self):
            abort(self._transport)
            return
        self._task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        if self._raw is None:
            self._http.receive_data(data)
        else:
            self._raw += data
        self._unread += len(data)
        if self._unread > READ_AHEAD and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def eof_received(self) -> None:
        self._client_left()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._client_left()
        self._service.closed(self)
        if not self.done.done():
            self.done.set_result(None)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _client_left(self) -> None:
        seen = self._seen
        if seen is not None and seen.finished_at is None and seen.aborted_at is None and not seen.cut:
            seen.aborted_at = time.monotonic()
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End the connection from our side, whatever is going on."""
        if self._seen is not None and self._seen.finished_at is None:
            self._seen.cut = True
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()
        await self.done
        if self._task is not None:
            await asyncio.wait([self._task])

    # What the task does.

    async def _run(self) -> None:
        try:
            while await self._exchange():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._service.malformed(str(error))
            phrase = http.HTTPStatus(error.error_status_hint).phrase
            self._transport.write(
                f"HTTP/1.1 {error.error_status_hint} {phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
            )
        except asyncio.CancelledError:
            pass  # the client left or the server stops: either way this connection is over, and nobody awaits more
        finally:
            self._transport.close()

    async def _exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        self._seen = None
        head = await self._event()
        if not isinstance(head, h11.Request):
            return False
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
        seen = self._service.begin(self.number, head.method.decode(), head.target.decode("latin-1"), headers)
        self._seen = seen
        answer = self._service.answer_early(seen)
        if answer is None:
            await self._read_body(seen)
            answer = self._service.answer(seen)
        reply, travel = answer
        try:
            await self._send(seen, reply, travel)
        except CutError as error:
            seen.cut = error.cut.kind != "hang"
            await self._end_by(error.cut.kind)
            return False
        if reply.socket is not None:
            return False
        seen.finished_at = time.monotonic()
        if travel.close == "silent" or reply.wire is not None:
            return False
        if self._http.their_state is h11.SEND_BODY:
            await self._drain_body()
            return False
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def read(self) -> bytes:
        """What has come since the connection switched to another protocol (websocket.Pipe)."""
        assert self._raw is not None
        while not self._raw:
            await self._more()
        data = bytes(self._raw)
        self._raw.clear()
        return data

    async def write(self, data: bytes) -> None:
        """Send on a connection that has switched."""
        self._transport.write(data)
        await self._drain()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11 types its sentinels loosely
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self._transport.write(self._http.send(go_on) or b"")
            await self._more()

    async def _more(self) -> None:
        self._unread = 0
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    async def _read_body(self, seen: Seen) -> None:
        digest = hashlib.sha256()
        kept: list[bytes] = []
        while isinstance(event := await self._event(), h11.Data):
            digest.update(event.data)
            if (room := self._service.keep_body - seen.body_size) > 0:
                kept.append(bytes(event.data[:room]))
            seen.body_size += len(event.data)
        seen.body = b"".join(kept)
        seen.body_sha256 = digest.hexdigest()
        seen.body_at = time.monotonic()

    async def _send(self, seen: Seen, reply: Reply, travel: Travel) -> None:
        wire = Wire(self._transport, self._drain, travel, seen)
        if travel.delay_s:
            await asyncio.sleep(travel.delay_s)
        seen.answered_at = time.monotonic()
        if reply.wire is not None:
            await wire.write(reply.wire)
            return
        seen.status = reply.status
        if reply.socket is not None:
            switch = h11.InformationalResponse(status_code=101, headers=reply.headers, reason=b"Switching Protocols")
            await wire.write(self._http.send(switch) or b"")
            self._raw = bytearray(self._http.trailing_data[0])
            await reply.socket(self).run()
            return
        if travel.encoding:
            encode(reply, travel.encoding)
        send = self._http.send
        head = send(self._response(reply, travel)) or b""
        wire.head_ends(len(head))
        bodiless = seen.method == "HEAD" or reply.status in {204, 304}
        if isinstance(reply.body, bytes):
            body = b"" if bodiless else send(h11.Data(data=reply.body)) or b""
            if travel.body_delay_s:
                await wire.write(head)
                await asyncio.sleep(travel.body_delay_s)
                await wire.write(body + (send(h11.EndOfMessage()) or b""))
            else:
                await wire.write(head + body + (send(h11.EndOfMessage()) or b""))
            return
        await wire.write(head)
        if travel.body_delay_s:
            await asyncio.sleep(travel.body_delay_s)
        if not bodiless:
            for number, piece in enumerate(reply.body):
                if number and reply.every_s:
                    await asyncio.sleep(reply.every_s)
                wire.piece()
                data = send(h11.Data(data=rendered(piece))) or b""
                seen.sent_at.append(time.monotonic_ns())
                await wire.write(data)
        await wire.write(send(h11.EndOfMessage()) or b"")

    def _response(self, reply: Reply, travel: Travel) -> h11.Response:
        headers = [*reply.headers, *travel.extra_headers]
        framed = any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers)
        if not framed and reply.status not in {204, 304}:
            if isinstance(reply.body, bytes):
                headers.append(("content-length", str(len(reply.body))))
            elif reply.length is not None:
                headers.append(("content-length", str(reply.length)))
            else:
                headers.append(("transfer-encoding", "chunked"))
        if travel.close == "announced" or self._http.their_state is h11.SEND_BODY:
            headers.append(("connection", "close"))
        try:
            phrase = http.HTTPStatus(reply.status).phrase
        except ValueError:
            phrase = "Unknown"  # 520 to 524 are Cloudflare's own
        return h11.Response(status_code=reply.status, headers=headers, reason=phrase)

    async def _drain(self) -> None:
        if self._writable is not None:
            await self._writable

    async def _drain_body(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while isinstance(await self._event(), h11.Data):
                    pass

    async def _end_by(self, kind: str) -> None:
        if kind == "hang":
            await asyncio.get_running_loop().create_future()
        elif kind == "reset":
            await reset(self._transport)
