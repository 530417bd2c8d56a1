"""Speaks HTTP to the fake byte by byte, so that tests see exactly what arrived and how it ended."""

import asyncio
import json
import time

from dataclasses import dataclass, field


CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


def request(method="POST", path="/v1/chat/completions", *, key="sk-a", body=CHAT, headers=()):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: api.openai.com"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (content if method == "POST" else b"")


@dataclass
class Heard:
    """Everything a connection said until it ended (`eof`, `reset`) or fell silent (`silent`)."""

    data: bytes = b""
    end: str = "silent"
    times: list = field(default_factory=list)
    sizes: list = field(default_factory=list)

    @property
    def status(self):
        return int(self.data.split(b" ", 2)[1])

    @property
    def headers(self):
        lines = self.data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self):
        """The body, its chunks joined as far as they came."""
        raw = self.data.partition(b"\r\n\r\n")[2]
        if self.headers.get("transfer-encoding") != "chunked":
            return raw
        joined = b""
        while raw:
            size, _, raw = raw.partition(b"\r\n")
            joined, raw = joined + raw[: int(size, 16)], raw[int(size, 16) + 2 :]
        return joined

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


async def listen(reader, *, silence, whole=True):
    heard = Heard()
    try:
        async with asyncio.timeout(5):
            while True:
                piece = await asyncio.wait_for(reader.read(65536), silence)
                if not piece:
                    heard.end = "eof"
                    break
                heard.data += piece
                heard.times.append(time.monotonic())
                heard.sizes.append(len(piece))
                if whole and complete(heard):
                    heard.end = "complete"
                    break
    except TimeoutError:
        pass
    except ConnectionResetError:
        heard.end = "reset"
    return heard


def complete(heard):
    _, separator, body = heard.data.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = heard.headers.get("content-length")
    return len(body) >= int(length) if length is not None else heard.data.endswith(b"0\r\n\r\n")


async def say(fake, data, *, silence=0.3, whole=True):
    """Send bytes on a new connection and hear what comes."""
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    try:
        writer.write(data)
        return await listen(reader, silence=silence, whole=whole)
    finally:
        writer.close()


async def ask(fake, method="POST", path="/v1/chat/completions", **kwargs):
    """One request on a connection of its own."""
    return await say(fake, request(method, path, **kwargs), silence=3)
