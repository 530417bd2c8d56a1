"""One request and its answer on one aiohttp connection.

Law: bytes go out as they are given and come in as they arrive, nothing is collected; uploads wait when the kernel's
buffer is full, downloads stop being read when nobody takes them. Whatever ends an exchange early aborts its connection:
only one that is complete in both directions goes back to the pool.
"""

import asyncio

from collections.abc import AsyncIterator

import aiohttp

from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import StreamWriter

from codex_manager.engine.aiohttp_wire import AiohttpWire
from codex_manager.engine.messages import Headers, UpstreamCutError
from codex_manager.engine.transport import (
    BodyFailedError,
    Phase,
    Timeouts,
    TransportError,
    Trouble,
    UpstreamRequest,
)
from codex_manager.engine.websocket_frames import accept_value


__all__ = ["Exchange"]

AT_ONCE = 64 * 1024
"""A body up to this goes into the transport's buffer (64 KiB high water in asyncio) in one piece with the head."""
READ_BUFFER = 64 * 1024
"""The parser's limit; reading pauses at twice of it, so one exchange holds at most about 192 KiB of an answer."""
LONGEST_LINE = 64 * 1024
"""Of an answer's head. OpenAI's longest header is under 2 KiB; Cloudflare's reports and CSPs of gateways are longer."""
BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, aiohttp.EofStream)


class Exchange:
    """An `UpstreamAnswer` once `start` has returned."""

    __slots__ = (
        "_connection", "_deadline", "_payload", "_request", "_sent", "_switching", "_timeouts", "_upload", "_upload_error", "address",
        "headers", "reason", "reused", "status",
    )  # fmt: skip

    def __init__(self, connection: Connection, request: UpstreamRequest, timeouts: Timeouts, *, reused: bool) -> None:
        self._connection: Connection | None = connection
        self._request = request
        self._timeouts = timeouts
        self._payload: aiohttp.StreamReader | None = None
        self._sent = False
        self._switching = False
        self._upload: asyncio.Task[None] | None = None
        self._upload_error: BaseException | None = None
        self._deadline: asyncio.Timeout | None = None
        self.reused = reused
        self.status = 0
        self.reason = ""
        self.headers: Headers = ()
        self.address: tuple[str, int] | None = None

    # --- the request, until the answer's headers ---

    async def start(self, head: bytes) -> None:
        """Write the request and wait for the headers. Raises TransportError or BodyFailedError."""
        connection = self._connection
        assert connection is not None
        protocol, transport = connection.protocol, connection.transport
        assert protocol is not None
        if transport is None or transport.is_closing():
            raise self._no_answer(ConnectionResetError())
        address = transport.get_extra_info("peername")
        self.address = (address[0], address[1]) if isinstance(address, tuple) else None
        protocol.set_response_params(
            skip_payload=self._request.method == b"HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        body = self._request.body
        try:
            async with asyncio.timeout(None) as deadline:
                if isinstance(body, bytes) and len(body) <= AT_ONCE:
                    transport.write(head + _framed(body, last=True) if self._request.chunked else head + body)
                    self._has_sent()
                    deadline.reschedule(asyncio.get_running_loop().time() + self._timeouts.header)
                else:
                    self._deadline = deadline
                    transport.write(head)
                    self._upload = asyncio.create_task(self._send_body(connection), name="upload")
                message, payload = await protocol.read()
                while 100 <= message.code < 200 and message.code != 101:  # an interim answer
                    message, payload = await protocol.read()
        except TimeoutError:
            raise self._timed_out() from None
        except BROKEN as error:
            raise self._no_answer(error) from None
        finally:
            self._deadline = None
        self.status = message.code
        self.reason = message.reason
        self.headers = message.raw_headers
        if message.code == 101:
            key = self._request.websocket_key
            if key is None or not protocol.upgraded or message.headers.get("Sec-WebSocket-Accept") != _accept(key):
                raise self._no_answer(HttpProcessingError(message="a 101 that answers nothing"))
            self._switching = True
            return
        self._payload = payload
        if payload.is_eof():
            self._finish()

    async def _send_body(self, connection: Connection) -> None:
        try:
            await self._write_body(connection)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # `start` or whoever reads the answer is told; here there is nobody to raise to.
            self._upload_error = error
            _abort(connection)
            if not isinstance(error, Exception):
                raise

    async def _write_body(self, connection: Connection) -> None:
        protocol = connection.protocol
        assert protocol is not None
        writer = StreamWriter(protocol, asyncio.get_running_loop())
        request, body, written = self._request, self._request.body, 0
        if isinstance(body, bytes):
            view = memoryview(body)
            for at in range(0, len(body), AT_ONCE):
                await self._write(
                    connection, writer, _framed(body[at : at + AT_ONCE]) if request.chunked else view[at : at + AT_ONCE]
                )
        else:
            try:
                async for piece in body:
                    written += len(piece)
                    if piece:
                        await self._write(connection, writer, _framed(piece) if request.chunked else piece)
            except (OSError, aiohttp.ClientError, TimeoutError):
                raise
            except Exception as error:
                raise BodyFailedError("the request's body broke off") from error
            if not request.chunked and written != request.content_length:
                raise BodyFailedError("the request's body is not as long as it said")
        if request.chunked:
            await self._write(connection, writer, b"0\r\n\r\n")
        self._has_sent()
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._timeouts.header)

    def _has_sent(self) -> None:
        self._sent = True
        if self._request.on_sent is not None:
            self._request.on_sent()

    async def _write(self, connection: Connection, writer: StreamWriter, data: bytes | memoryview) -> None:
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the upstream closed while the request was being sent")
        transport.write(data)
        if transport.get_write_buffer_size() > AT_ONCE:
            async with asyncio.timeout(self._timeouts.idle):
                await writer.drain()

    def _no_answer(self, error: BaseException) -> Exception:
        """The one place where a broken connection becomes a TransportError."""
        if isinstance(self._upload_error, BodyFailedError):
            return self._upload_error
        if isinstance(self._upload_error, TimeoutError):
            return self._timed_out()
        phase = Phase.SENT if self._sent else Phase.NOT_SENT
        if isinstance(error, HttpProcessingError):
            # Something that is not HTTP answered: whatever it is, it has read what we sent.
            text = f"{self._request.endpoint} did not answer with HTTP"
            return TransportError(text, phase=Phase.SENT, trouble=Trouble.GARBAGE, reused=self.reused)
        when = "before it answered" if self._sent else "before the request was sent"
        text = f"{self._request.endpoint} closed the connection {when}"
        return TransportError(text, phase=phase, trouble=Trouble.RESET, reused=self.reused)

    def _timed_out(self) -> TransportError:
        if self._sent:
            text = f"{self._request.endpoint} did not answer within {self._timeouts.header:g} s"
            return TransportError(text, phase=Phase.SENT, trouble=Trouble.TIMEOUT, reused=self.reused)
        text = f"{self._request.endpoint} took nothing of the request for {self._timeouts.idle:g} s"
        return TransportError(text, phase=Phase.NOT_SENT, trouble=Trouble.TIMEOUT, reused=self.reused)

    # --- after a 101 ---

    def switched(self) -> AiohttpWire:
        """The raw connection."""
        connection = self._connection
        assert connection is not None
        assert connection.protocol is not None
        assert self._switching
        return AiohttpWire(connection.protocol, self._timeouts.idle)

    # --- the answer's body ---

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        payload = self._payload
        if payload is None or payload.at_eof():
            self._finish()
            raise StopAsyncIteration
        try:
            async with asyncio.timeout(self._timeouts.idle):
                piece = await payload.readany()
        except TimeoutError:
            self.close()
            raise UpstreamCutError(
                f"nothing came from {self._request.endpoint} for {self._timeouts.idle:g} s"
            ) from None
        except BROKEN:
            # aiohttp puts the error before what had already arrived; the client gets that first, as it would directly.
            left = b"".join(payload._buffer)  # noqa: SLF001 - its readers raise instead of handing it out
            payload._buffer.clear()  # noqa: SLF001 - as above
            self.close()
            if left:
                return left
            raise UpstreamCutError(f"{self._request.endpoint} broke off its answer") from None
        except asyncio.CancelledError:
            self.close()
            raise
        if not piece:
            self._finish()
            raise StopAsyncIteration
        return piece

    @property
    def is_complete(self) -> bool:
        return self._connection is None and (self._payload is None or self._payload.at_eof())

    def _finish(self) -> None:
        """The answer is complete; the connection can be used again if the request is too."""
        if not self._sent:
            self.close()
        elif self._connection is not None:
            connection, self._connection = self._connection, None
            connection.release()

    def close(self) -> None:
        """Let the connection go, at once and for good unless the exchange is complete."""
        if self._upload is not None:
            self._upload.cancel()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            _abort(connection)


def _accept(key: bytes) -> str:
    return accept_value(key).decode("ascii")


def _abort(connection: Connection) -> None:
    """Close without waiting for the other end or for what is still in our buffer."""
    transport = connection.transport
    if transport is not None:
        transport.abort()
    connection.close()


def _framed(piece: bytes, *, last: bool = False) -> bytes:
    """A chunk in its framing (RFC 9112 §7.1)."""
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
    return chunk + b"0\r\n\r\n" if last else chunk
