"""Server-sent events as OpenAI frames them: chat and completions send bare data, responses name their events."""

import functools
import json
import time

from collections.abc import Iterable, Iterator
from typing import Any

from codex_manager.testing.reply import Piece, Reply


__all__ = ["event_stream"]


def event_stream(
    events: Iterable[dict[str, Any]],
    *,
    named: bool,
    every_s: float,
    stamped: bool,
    done: bool,
    headers: Iterable[tuple[str, str]] = (),
) -> Reply:
    """A stream of `events`; `named` puts their type on an `event:` line, `done` ends it with `[DONE]`."""

    def written(event: dict[str, Any]) -> bytes:
        if stamped:
            event["sent_ns"] = time.monotonic_ns()
        data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return (f"event: {event['type']}\ndata: {data}\n\n" if named else f"data: {data}\n\n").encode()

    def pieces() -> Iterator[Piece]:
        for event in events:
            yield functools.partial(written, event)
        if done:
            yield b"data: [DONE]\n\n"

    kept = [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"), *headers]
    return Reply(headers=kept, body=pieces(), every_s=every_s)
