"""What metering costs: microseconds for an event, a document, a request. Prints; nothing is asserted."""

import json
import timeit

import pytest

from tests.core.metering.shapes import data_line, metering, split

from codex_manager.core.endpoint import describe
from codex_manager.core.metering import request_units
from codex_manager.core.stream_usage import UsageRemover, inject


CHAT = describe("POST", "/v1/chat/completions")
RESPONSES = describe("POST", "/v1/responses")
IMAGES = describe("POST", "/v1/images/generations")
EMBEDDINGS = describe("POST", "/v1/embeddings")
STREAM = "text/event-stream; charset=utf-8"
CHUNK = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion.chunk", "created": 1741569952,
    "model": "gpt-4.1-2025-04-14", "service_tier": "default", "system_fingerprint": "fp_44709d6fcb",
    "choices": [{"index": 0, "delta": {"content": "Hello"}, "logprobs": None, "finish_reason": None}],
}  # fmt: skip
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21, "prompt_tokens_details": {"cached_tokens": 0}}


def cost(call, number: int = 1000, repeat: int = 25) -> float:
    """Microseconds, the best of some: other processes only ever make it longer."""
    return min(timeit.repeat(call, number=number, repeat=repeat)) / number * 1e6


@pytest.mark.bench
def test_cost(capsys):
    plain = data_line({**CHUNK, "obfuscation": "r4N7vQ2m"}).encode()
    null = data_line({**CHUNK, "usage": None, "obfuscation": "r4N7vQ2m"}).encode()
    delta = {
        "type": "response.output_text.delta",
        "sequence_number": 7,
        "item_id": "msg_1",
        "output_index": 0,
        "delta": "Hi",
    }
    event = b"event: response.output_text.delta\n" + data_line(delta).encode()
    chat, responses = metering(CHAT, STREAM), metering(RESPONSES, STREAM)
    chat.feed(plain)
    responses.feed(event)
    remover = UsageRemover()
    answer = json.dumps({**CHUNK, "choices": [{"message": {"content": "word " * 120}}], "usage": USAGE}).encode()
    image = json.dumps({"created": 1, "data": [{"b64_json": "A" * 4_000_000}], "usage": {"input_tokens": 1}}).encode()
    vectors = json.dumps(
        {"data": [{"embedding": [0.012345678 + n for n in range(1536)]}] * 20, "usage": USAGE}
    ).encode()
    turn = json.dumps(
        {"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": "word " * 40}] * 180}
    ).encode()

    def read(endpoint, body):
        meter = metering(endpoint, "application/json", model="m")
        for piece in split(body, range(65536, len(body), 65536)):
            meter.feed(piece)
        assert meter.usage() is not None

    rows = {
        "choosing a meter": cost(lambda: metering(CHAT, STREAM)),
        "chat event": cost(lambda: chat.feed(plain)),
        "chat event with usage: null": cost(lambda: chat.feed(null)),
        "Responses delta": cost(lambda: responses.feed(event)),
        "taking nothing out of an event": cost(lambda: remover.feed(plain)),
        "taking usage: null out": cost(lambda: remover.feed(null)),
        f"asking, body of {len(turn):,} bytes, parsed before": cost(
            lambda: inject(turn, streams=True, options=False), 200
        ),
        f"asking, body of {len(turn):,} bytes, not parsed before": cost(lambda: inject(turn), 20),
        f"chat answer of {len(answer):,} bytes": cost(lambda: read(CHAT, answer), 200),
        f"image answer of {len(image):,} bytes": cost(lambda: read(IMAGES, image), 3),
        f"embeddings of {len(vectors):,} bytes": cost(lambda: read(EMBEDDINGS, vectors), 3),
        "units of a chat request": cost(lambda: request_units(CHAT, "application/json", turn)),
    }
    with capsys.disabled():
        print()
        for what, took in rows.items():
            print(f"{what:60} {took:10.2f} µs")
