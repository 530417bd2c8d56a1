"""A load generator that costs little itself: keep-alive HTTP/1.1 on raw `asyncio.Protocol`, one JSON line of results.

    python -m tests.bench.load requests --port 8080 --concurrency 16 --seconds 2
    python -m tests.bench.load streams --port 8080 --streams 100 --chunks 100

Every answer is checked: status, length and content; every event of a stream for its number.
"""

import argparse
import asyncio
import json
import re
import time

from tests.bench.process import pin, run
from tests.bench.upstream import ANSWER


LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
EVENT = re.compile(rb'"number":(\d+),"sent_ns":(\d+)')


def request(options, *, stream):
    """About 1 KB of chat request, with the headers openai-python sends."""
    content = {
        "messages": [{"role": "user", "content": "x" * 850}],
        "model": "gpt-4o",
        **({"stream": True} if stream else {}),
    }
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{options.port}\r\nAccept-Encoding: gzip, deflate\r\n"
        "Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: AsyncOpenAI/Python 3.52.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version: 3.52.0\r\n"
        "X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
        f"X-Stainless-Async: async:asyncio\r\nx-stainless-retry-count: 0\r\nAuthorization: Bearer {options.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Requester(asyncio.Protocol):
    """Sends the next request as soon as an answer is complete, until the time is over."""

    def __init__(self, data, until, latencies, errors):
        self.data, self.until, self.latencies, self.errors = data, until, latencies, errors
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        self.sent = time.perf_counter()
        self.transport.write(self.data)

    def data_received(self, data):
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(self.buffer, 0, end + 2)
        if length is None:
            self.finish(f"an answer without a length: {self.buffer[:100]!r}")
            return
        if len(self.buffer) < end + 4 + int(length[1]):
            return
        now = time.perf_counter()
        if not self.buffer.startswith(b"HTTP/1.1 200 ") or self.buffer[end + 4 :] != ANSWER:
            self.finish(f"a wrong answer: {self.buffer[:1000]!r}")
            return
        self.buffer = b""
        self.latencies.append(now - self.sent)
        if now < self.until:
            self.send()
        else:
            self.finish()

    def connection_lost(self, error):
        self.finish(f"the connection was lost: {error}")

    def finish(self, complaint=None):
        if not self.done.done():
            if complaint:
                self.errors.append(complaint)
            self.done.set_result(None)
        self.transport.close()


class Streamer(asyncio.Protocol):
    """One stream: when its chunks came, and whether all did."""

    def __init__(self, data, chunks, results, errors):
        self.data, self.chunks, self.results, self.errors = data, chunks, results, errors
        self.done = asyncio.get_running_loop().create_future()
        self.buffer, self.number, self.head = b"", 0, False

    def connection_made(self, transport):
        self.transport = transport
        self.sent = time.monotonic_ns()
        transport.write(self.data)

    def data_received(self, data):
        now = time.monotonic_ns()
        self.buffer += data
        if not self.head:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                self.finish(f"a wrong answer: {self.buffer[:1000]!r}")
                return
            self.head, self.buffer = True, rest
        end = 0
        for event in EVENT.finditer(self.buffer):
            if int(event[1]) != self.number:
                self.finish(f"chunk {int(event[1])} came where {self.number} was due")
                return
            if self.number == 0:
                self.results["first"].append((now - self.sent) / 1e6)
            self.number += 1
            self.results["behind"].append((now - int(event[2])) / 1e6)
            end = event.end()
        self.buffer = self.buffer[end:]
        if self.buffer.endswith(b"0\r\n\r\n"):
            self.finish(None if self.number == self.chunks and b"[DONE]" in self.buffer else "a stream ended too soon")

    def connection_lost(self, error):
        self.finish(f"the connection was lost: {error}")

    def finish(self, complaint=None):
        if not self.done.done():
            if complaint:
                self.errors.append(complaint)
            self.done.set_result(None)
        self.transport.close()


def percentile(values, share):
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


async def requests(options):
    loop = asyncio.get_running_loop()
    data = request(options, stream=False)
    latencies: list[float] = []
    errors: list[str] = []
    begun = time.perf_counter()
    connected = [
        await loop.create_connection(
            lambda: Requester(data, begun + options.seconds, latencies, errors), "127.0.0.1", options.port
        )
        for _ in range(options.concurrency)
    ]
    await wait([protocol for _, protocol in connected], options.seconds + 30, errors)
    seconds = time.perf_counter() - begun
    milliseconds = [latency * 1000 for latency in latencies]
    return {
        "count": len(latencies),
        "seconds": seconds,
        "rate": len(latencies) / seconds,
        "p50_ms": percentile(milliseconds, 0.5),
        "p99_ms": percentile(milliseconds, 0.99),
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
    }


async def streams(options):
    loop = asyncio.get_running_loop()
    data = request(options, stream=True)
    results: dict[str, list[float]] = {"first": [], "behind": []}
    errors: list[str] = []
    begun = time.perf_counter()
    connected = await asyncio.gather(
        *(
            loop.create_connection(lambda: Streamer(data, options.chunks, results, errors), "127.0.0.1", options.port)
            for _ in range(options.streams)
        )
    )
    await wait([protocol for _, protocol in connected], 60, errors)
    seconds = time.perf_counter() - begun
    return {
        "count": len(results["behind"]),
        "seconds": seconds,
        "rate": len(results["behind"]) / seconds,
        "first_p50_ms": percentile(results["first"], 0.5),
        "first_p99_ms": percentile(results["first"], 0.99),
        "behind_p50_ms": percentile(results["behind"], 0.5),
        "behind_p99_ms": percentile(results["behind"], 0.99),
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
    }


async def wait(protocols, patience, errors):
    _, late = await asyncio.wait([protocol.done for protocol in protocols], timeout=patience)
    errors.extend("no end in time" for _ in late)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["requests", "streams"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="sk-codex-manager")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    pin(options.core)
    print(json.dumps(run(requests(options) if options.mode == "requests" else streams(options))))


if __name__ == "__main__":
    main()
