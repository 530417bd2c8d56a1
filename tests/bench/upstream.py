"""An upstream too fast to be the bottleneck: `python -m tests.bench.upstream` prints its port and serves until killed.

One `asyncio.Protocol`, no HTTP library: a POST is answered with about 1 KB of chat completion, or, when its body says
`"stream":true`, with chunks spaced evenly; each chunk carries its number and the monotonic time it was written. A stream
that is asked for its usage says so in each chunk and tells it at the end, as OpenAI's does.
"""

import argparse
import asyncio
import json
import re
import time

from tests.bench.process import pin, run


LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
STREAM = re.compile(rb'"stream": ?true')

ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 700}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 175, "total_tokens": 425},
    }
).encode()
LIMITS = (
    b"openai-organization: org-bench\r\nopenai-processing-ms: 12\r\nopenai-version: 2020-10-01\r\n"
    b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n"
    b"x-ratelimit-limit-tokens: 2000000\r\nx-ratelimit-remaining-tokens: 1999000\r\nx-ratelimit-reset-tokens: 30ms\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\nserver: cloudflare\r\n"
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    + LIMITS
    + b"content-length: %d\r\n\r\n" % len(ANSWER)
    + ANSWER
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    + LIMITS
    + b"transfer-encoding: chunked\r\n\r\n"
)
EVENT = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"number":%d,"sent_ns":%d}\n\n'
)
NO_USAGE = b',"usage":null'
USAGE = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o","choices":[],'
    b'"usage":{"prompt_tokens":250,"completion_tokens":100,"total_tokens":350,"prompt_tokens_details":{"cached_tokens":0,'
    b'"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}\n\n'
)
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    chunks = 100
    every_s = 0.01

    def connection_made(self, transport):
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.timer = None

    def connection_lost(self, error):
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = LENGTH.search(head)
            if length:
                size = end + 4 + int(length[1])
            elif CHUNKED.search(head):
                last = self.buffer.find(b"0\r\n\r\n", end + 4)
                size = last + 5 if last >= 0 else len(self.buffer) + 1
            else:
                size = end + 4
            if len(self.buffer) < size:
                return
            body, self.buffer = self.buffer[end + 4 : size], self.buffer[size:]
            if STREAM.search(body):
                self.transport.write(STREAM_HEAD)
                self.next_chunk(0, self.loop.time(), tells=b'"include_usage":true' in body)
            else:
                self.transport.write(WHOLE)

    def next_chunk(self, number, at, tells):
        if number == self.chunks:
            self.transport.write((chunk(USAGE) if tells else b"") + chunk(DONE) + b"0\r\n\r\n")
            return
        event = EVENT % (number, time.monotonic_ns())
        if tells:
            event = event[:-3] + NO_USAGE + event[-3:]
        self.transport.write(chunk(event))
        self.timer = self.loop.call_at(at + self.every_s, self.next_chunk, number + 1, at + self.every_s, tells)


async def serve(options):
    Upstream.chunks, Upstream.every_s = options.chunks, options.every
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", options.port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().create_future()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--every", type=float, default=0.01, help="seconds between chunks")
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    pin(options.core)
    run(serve(options))


if __name__ == "__main__":
    main()
