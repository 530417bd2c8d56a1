"""A server that answers with given bytes and keeps what it was sent: for tests about single bytes."""

import asyncio
import contextlib

from collections.abc import AsyncIterator
from dataclasses import dataclass, field


__all__ = ["Wire", "wire"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Wire:
    port: int = 0
    received: list[bytes] = field(default_factory=list)
    """One entry a request, head and body as they came."""
    connections: int = 0
    closed: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def wire(*answers: bytes, pieces: float = 0.0, read_body: bool = True) -> AsyncIterator[Wire]:
    """Answer the n-th request with the n-th bytes (the last one again and again); `pieces` pauses between its bytes."""
    seen = Wire()
    left = list(answers or [OK])
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = b""
                lower = head.lower()
                if read_body and b"transfer-encoding: chunked" in lower:
                    while not body.endswith(b"0\r\n\r\n"):
                        piece = await reader.read(65536)
                        if not piece:
                            raise ConnectionError
                        body += piece
                elif read_body and b"content-length: " in lower:
                    body = await reader.readexactly(int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]))
                seen.received.append(head + body)
                answer = left.pop(0) if len(left) > 1 else left[0]
                if pieces:
                    for at in range(len(answer)):
                        writer.write(answer[at : at + 1])
                        await asyncio.sleep(pieces)
                else:
                    writer.write(answer)
                    await writer.drain()
                if b"connection: close" in answer.lower():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            seen.closed += 1
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
        await server.wait_closed()
