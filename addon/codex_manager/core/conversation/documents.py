"""JSON documents and event streams of any size and state, read as far as they can be.

A viewer holds what was kept of a body: perhaps its beginning only, perhaps a stream that was cut, perhaps no JSON at all.
Laws: never raises; at most `LOOKED_AT` bytes are parsed; what is cut yields what had come whole by then, and says so. Long
strings of base64, which are pictures and sound, are replaced by their size before that, so that they push nothing out.
"""

import json
import re

from dataclasses import dataclass, field
from typing import Any, Final


__all__ = ["LOOKED_AT", "Document", "Stream", "base64_size", "is_stream", "lean", "read_json", "read_stream"]

LOOKED_AT: Final = 2 * 1024 * 1024
"""Bytes; an agent's request of 500,000 tokens."""
FOLLOWED: Final = 64 * 1024 * 1024
"""Bytes in which long strings are looked for."""
LARGE: Final = 256 * 1024
SPARSE: Final = 1024
"""As in `core.body`: a large body with fewer quotes than one in so many bytes consists of few, long strings."""
LONG: Final = 16 * 1024
MOST_EVENTS: Final = 50_000
MOST_TOKENS: Final = 200_000
"""Strings, brackets and commas of a document that is mended, which takes 1 µs each."""
DEEPEST: Final = 200
"""Levels of a document that is mended; the API's own have under 20."""


@dataclass(frozen=True, slots=True)
class Document:
    """What JSON says."""

    value: Any
    whole: bool
    """False for one that was cut: then what had come of it."""


@dataclass(slots=True)
class Stream:
    """Server-sent events in their order."""

    events: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False
    """`[DONE]` came."""
    torn: bool = False
    """It ends in the middle of an event."""


# --- long strings ---------------------------------------------------------------------------------------------------

_URL: Final = re.compile(rb"data:[^,]{0,200}?;base64,")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=_-]{60,}")
_CUT: Final = re.compile(r"~(\d{1,12})$")


def lean(body: bytes) -> bytes:
    """At most `LOOKED_AT` bytes of a body. Base64 in it may have been replaced by `~` and its length."""
    if len(body) >= LARGE:
        body = body[:FOLLOWED]
        if body.count(b'"') * SPARSE < len(body):
            body = _shortened(body)
    return body[:LOOKED_AT]


def base64_size(text: str) -> int:
    """Bytes that a string of base64 stands for, also one that `lean` has shortened."""
    found = _CUT.search(text)
    length = int(found[1]) if found is not None else len(text)
    padding = text[-2:].count("=")
    return max(length * 3 // 4 - padding, 0)


def _shortened(body: bytes) -> bytes:
    kept: list[bytes] = []
    begin = 0
    while (opening := body.find(b'"', begin)) >= 0:
        closing = _end_of_string(body, opening + 1)
        if closing < 0:
            break
        kept += (body[begin : opening + 1], _short(body, opening + 1, closing), b'"')
        begin = closing + 1
    kept.append(body[begin:])
    return b"".join(kept)


def _short(body: bytes, begin: int, end: int) -> bytes:
    if end - begin <= LONG:
        return body[begin:end]
    url = _URL.match(body, begin, end)
    data = url.end() if url is not None else begin
    if _BASE64.fullmatch(body, data, data + 4096) is None:
        return body[begin:end]
    return b"%b~%d" % (body[begin:data], end - data)


def _end_of_string(body: bytes, begin: int) -> int:
    """Where the quote is that ends a string; a quote behind an odd number of backslashes does not."""
    while (quote := body.find(b'"', begin)) >= 0:
        backslashes = quote - 1
        while body[backslashes] == 0x5C:
            backslashes -= 1
        if (quote - backslashes) % 2:
            return quote
        begin = quote + 1
    return -1


# --- one document ---------------------------------------------------------------------------------------------------


def read_json(body: bytes) -> Document | None:
    """What a body says; None for what is no JSON, not even the beginning of any."""
    body = lean(body)
    try:
        return Document(json.loads(body), whole=True)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    if (value := _loaded(text)) is not _UNREADABLE:
        return Document(value, whole=True)
    return _mended(text)


_UNREADABLE: Final = object()
_TOKEN: Final = re.compile(r'[^"\[\]{},]*+(?:("(?:[^"\\]++|\\.)*+)("?+)|([\[{])|([\]}])|(,))', re.DOTALL)
_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*+(\\u[0-9a-fA-F]{0,3})$")
"""A letter given by its number, cut in two."""


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_number, strict=False)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)  # Python's limit of 4,300 digits is not JSON's


def _mended(text: str) -> Document | None:
    """The beginning of a document, with all closed that is open in it."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    closers: list[str] = []
    safe, depth, at = 0, 0, 0
    is_open_string = False
    for _ in range(MOST_TOKENS):
        if (token := _TOKEN.match(text, at)) is None:
            break
        at = token.end()
        if token[1] is not None:
            if not token[2]:
                is_open_string = True
                break
            continue
        if token[3] is not None:
            closers.append("}" if token[3] == "{" else "]")
            if len(closers) > DEEPEST:
                return None
        elif token[4] is not None and (not closers or closers.pop() != token[4]):
            return None
        safe, depth = at - (token[5] is not None), len(closers)
        if not closers:
            break
    ways = []
    if is_open_string:
        escape = _ESCAPE.search(text, max(at - 64, 0), at)
        end = escape.start(1) if escape is not None else at
        ways.append(text[:end] + '"' + "".join(reversed(closers)))
    ways.append(text[:safe] + "".join(reversed(closers[:depth])))
    for way in ways:
        if (value := _loaded(way)) is not _UNREADABLE:
            return Document(value, whole=False)
    return None


# --- a stream -------------------------------------------------------------------------------------------------------


def is_stream(body: bytes, content_type: str) -> bool:
    """Whether a body is server-sent events."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "text/event-stream" or body[:64].lstrip().startswith((b"data:", b"event:"))


def read_stream(body: bytes) -> Stream:
    """The events that are JSON objects."""
    told = len(body)
    body = lean(body)
    stream = Stream(torn=told > FOLLOWED or len(body) == LOOKED_AT)
    data: list[bytes] = []
    lines = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in lines[:-1]:
        if len(stream.events) >= MOST_EVENTS:
            stream.torn = True
            return stream
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            _take(stream, b"\n".join(data))
            data.clear()
    if lines[-1].startswith(b"data:"):
        data.append(lines[-1][5:].removeprefix(b" "))
    elif lines[-1]:
        stream.torn = True
    if data:
        stream.torn |= not _take(stream, b"\n".join(data))
    return stream


def _take(stream: Stream, data: bytes) -> bool:
    if data.strip() == b"[DONE]":
        stream.done = True
        return True
    value = _loaded(data.decode("utf-8", "replace"))
    if isinstance(value, dict):
        stream.events.append(value)
    return value is not _UNREADABLE
