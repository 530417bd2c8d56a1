"""Whether a stream's answer has begun: held back until its first output, because until then a failure can be undone.

OpenAI may answer 200 and then say, as the first thing in the stream, that it is overloaded or the account limited. Fed with
the bytes of a stream of generation, `Hold` says after each piece whether to go on holding, to let everything go, or that
the stream has failed and why.

What does not count as output: comments, events that only announce (`response.created`, `in_progress`, `queued`), news about
the account (`codex.rate_limits`), a chat's first chunk with a role and no text, a chunk without choices. Everything that is not
known does count: holding it back could only delay it.

Law: pure, never raises, looks at `MOST_EVENTS` events and `MOST_BYTES` bytes at most (semantics §3). It keeps no bytes but of an
event that is not complete; the bytes held are the caller's.
"""

import json
import re

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

from codex_manager.core.failure import Verdict, classify_event


__all__ = ["MOST_BYTES", "MOST_EVENTS", "Hold", "Holding", "JsonHold", "holds", "late_failure"]

MOST_EVENTS = 64
MOST_BYTES = 256 * 1024
LAST_EVENTS = 4
"""An error is the last event of a stream, or the last but `[DONE]`."""
LAST_BYTES = 16 * 1024

_HELD_PATHS = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses"})
ANNOUNCING = frozenset({"response.created", "response.in_progress", "response.queued", "ping", "keepalive"})
ASIDE = frozenset({"codex.rate_limits", "rate_limits.updated"})
FAILING = frozenset({"error", "response.failed"})

_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")
_TYPE = re.compile(rb'\A\s*\{\s*"type"\s*:\s*"([a-z_.]{1,80})"')


class Holding(Enum):
    """What to do with the bytes so far."""

    HOLD = "hold"
    RELEASE = "release"
    FAILED = "failed"


def holds(method: str, target: str, content_type: str, content_length: str | None) -> Literal["stream", "json"] | None:
    """Whether a good answer is held until it has begun: a stream of generation, or a response that is told whole.

    The latter may be a failure under status 200, too (`"status": "failed"`), and comes in one piece anyway.
    """
    path = target.partition("?")[0].rstrip("/")
    if method != "POST" or path not in _HELD_PATHS:
        return None
    kind = content_type.lstrip().lower()
    if kind.startswith("text/event-stream"):
        return "stream"
    if path != "/v1/responses" or not kind.startswith("application/json"):
        return None
    length = content_length or "0"  # not said: chunked
    return "json" if length.isdecimal() and len(length) < 7 and int(length) <= MOST_BYTES else None


def late_failure(tail: bytes) -> tuple[Verdict, Mapping[str, str]] | None:
    """How a stream that had begun has failed, and the headers its error carries; `tail` are its last bytes. None when it did not."""
    for block in reversed(_BLANK.split(tail[-LAST_BYTES:])[-LAST_EVENTS:]):
        if b"rror" not in block and b"response.failed" not in block:
            continue
        judge = Hold()
        judge.feed(block + b"\n\n")
        if judge.verdict is not None:
            return judge.verdict, judge.hints
    return None


class JsonHold:
    """One response that is told whole: `feed` it to its end."""

    __slots__ = ("_body", "hints", "state", "verdict")

    def __init__(self) -> None:
        self.state = Holding.HOLD
        self.verdict: Verdict | None = None
        self.hints: Mapping[str, str] = {}
        self._body = b""

    def feed(self, data: bytes) -> Holding:
        """The next piece, decoded."""
        self._body += data
        if len(self._body) > MOST_BYTES:
            self.state, self._body = Holding.RELEASE, b""
        return self.state

    def end(self) -> Holding:
        """It is whole: whether it is a failure."""
        if self.state is Holding.HOLD:
            self.state = Holding.RELEASE
            if b'"failed"' in self._body:
                response = _document(self._body)
                if isinstance(response, dict) and response.get("status") == "failed":
                    self.verdict = classify_event({"type": "response.failed", "response": response})
                    self.state = Holding.RELEASE if self.verdict is None else Holding.FAILED
            self._body = b""
        return self.state


class Hold:
    """One stream; `feed` it until it does not say HOLD any more."""

    __slots__ = ("_bytes", "_events", "_rest", "hints", "state", "verdict")

    def __init__(self) -> None:
        self.state = Holding.HOLD
        self.verdict: Verdict | None = None
        """What FAILED means."""
        self.hints: Mapping[str, str] = {}
        """Headers an error event carries in itself, names in lower case."""
        self._rest = b""
        self._events = 0
        self._bytes = 0

    def feed(self, data: bytes) -> Holding:
        """The next piece, decoded."""
        if self.state is not Holding.HOLD:
            return self.state
        self._bytes += len(data)
        text = self._rest + data if self._rest else data
        begin = 0
        while (blank := _BLANK.search(text, begin)) is not None:
            self._event(text[begin : blank.start()])
            begin = blank.end()
            if self.state is not Holding.HOLD:
                self._rest = b""
                return self.state
        self._rest = text[begin:]
        if self._events >= MOST_EVENTS or self._bytes >= MOST_BYTES:
            return self._release()
        return self.state

    def end(self) -> Holding:
        """The stream is over: an unfinished event at its end still tells."""
        if self.state is Holding.HOLD:
            if self._rest.strip():
                self._event(self._rest)
            self._rest = b""
            if self.state is Holding.HOLD:
                return self._release()
        return self.state

    def _release(self) -> Holding:
        self._rest = b""
        self.state = Holding.RELEASE
        return self.state

    def _event(self, block: bytes) -> None:
        name, data = b"", []
        for line in _LINE.split(block):
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.strip()
        if not data:
            return  # a comment, or nothing
        self._events += 1
        payload = b"\n".join(data)
        kind = name.decode("latin-1")
        if not kind and (told := _TYPE.match(payload)):
            kind = told[1].decode()
        if kind in ANNOUNCING or kind in ASIDE:
            return
        if kind and kind not in FAILING and kind != "message":
            self._release()
            return
        self._judge(_document(payload))

    def _judge(self, event: Any) -> None:
        if not isinstance(event, dict):
            self._release()  # `[DONE]`, or nothing we know
            return
        verdict = classify_event(event)
        if verdict is not None:
            self.state, self.verdict = Holding.FAILED, verdict
            headers = event.get("headers")
            if isinstance(headers, dict):
                self.hints = {str(name).lower(): str(value) for name, value in headers.items()}
        elif event.get("type") in ANNOUNCING or event.get("type") in ASIDE:
            return
        elif not _is_silent(event.get("choices")):
            self._release()


def _document(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _is_silent(choices: Any) -> bool:
    """Whether a chat's or completion's chunk has nothing for the user yet."""
    if not isinstance(choices, list):
        return False
    return all(isinstance(choice, dict) and _says_nothing(choice) for choice in choices)


def _says_nothing(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if choice.get("finish_reason") is not None or choice.get("text"):
        return False
    if delta is None:
        return "text" in choice
    return isinstance(delta, dict) and not any(value for name, value in delta.items() if name != "role")
