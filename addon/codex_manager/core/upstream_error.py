"""What an error body says: message, type and code, wherever they are and however broken the body is.

Knows the shapes in which OpenAI, servers that speak its API, and gateways in between report an error: the plain
`{"error": {…}}`, an `error` event of a stream, `response.failed`, a WebSocket error frame, a list of one of these, an
error that is only a text, and any of them cut off in the middle. Does not know what an error means (core.failure).

Law: never raises and looks at 64 KiB at most. What it returns is for rules and log lines, not for the client: keys are
masked, control characters are gone, texts are cut. The client gets the upstream's bytes.
"""

import json
import re

from dataclasses import dataclass
from typing import Any

from codex_manager.core.secret import MASK


__all__ = ["READ_BYTES", "UpstreamError", "error_of", "read_error"]

READ_BYTES = 64 * 1024
"""Semantics §3; OpenAI's longest error texts (schema violations) have a few KiB."""
_LONGEST_MESSAGE = 4000
_LONGEST_WORD = 200

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_KEY = re.compile(r"\b(?:sk|rk|sess|ek)-[\w*.\-]{4,}")
_FIELD = re.compile(r'"(message|type|code|param)"\s*:\s*(?:"((?:[^"\\]|\\.){0,8000})|(-?[0-9]{1,9}))', re.DOTALL)
_HAS_ERROR = re.compile(r'^[\s\ufeff]*[{\[].{0,8000}?"error"\s*:\s*\{', re.DOTALL)


@dataclass(frozen=True, slots=True)
class UpstreamError:
    """An error as the upstream worded it; empty strings for what it did not say."""

    code: str = ""
    type: str = ""
    message: str = ""
    param: str = ""
    is_openai: bool = False
    """The body has the shape of an API error; an edge's HTML page, an empty body or a bare text has not."""
    status: int | None = None
    """The status a WebSocket frame or an event carries in itself."""


def read_error(body: bytes) -> UpstreamError:
    """The error in a decoded body."""
    body = body[:READ_BYTES]
    if not body.strip():
        return UpstreamError()
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _salvage(body.decode("utf-8", "replace"))
    return error_of(data)


def error_of(data: Any) -> UpstreamError:
    """The error in a parsed body, stream event or WebSocket frame."""
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return UpstreamError(message=_text(data, _LONGEST_MESSAGE))
    if not isinstance(data, dict):
        return UpstreamError()
    status = data.get("status", data.get("status_code"))
    status = status if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599 else None
    error = data.get("error")
    if error is None and isinstance(data.get("response"), dict):  # response.failed
        error = data["response"].get("error")
    if error is None and data.get("type") == "error":  # the stream event has its fields at the top
        error = {name: data.get(name) for name in ("code", "message", "param")}
    if isinstance(error, str) and error.strip():
        error = {"message": error, "code": data.get("code"), "type": data.get("type")}
    if not isinstance(error, dict):
        return UpstreamError(
            code=_text(data.get("code"), _LONGEST_WORD),
            message=_text(data.get("message", data.get("detail")), _LONGEST_MESSAGE),
            status=status,
        )
    return UpstreamError(
        code=_text(error.get("code"), _LONGEST_WORD),
        type=_text(error.get("type"), _LONGEST_WORD),
        message=_text(error.get("message"), _LONGEST_MESSAGE),
        param=_text(error.get("param"), _LONGEST_WORD),
        is_openai=any(isinstance(error.get(name), str) for name in ("code", "type", "message")),
        status=status,
    )


def _salvage(text: str) -> UpstreamError:
    """The first fields of an error object that does not parse: cut off, badly encoded or absurdly nested."""
    begin = _HAS_ERROR.search(text)
    if begin is None:
        return UpstreamError()
    found: dict[str, str] = {}
    for name, string, number in _FIELD.findall(text, begin.end()):
        found.setdefault(name, _unescape(string) or number)
    return UpstreamError(
        code=_text(found.get("code"), _LONGEST_WORD),
        type=_text(found.get("type"), _LONGEST_WORD),
        message=_text(found.get("message"), _LONGEST_MESSAGE),
        param=_text(found.get("param"), _LONGEST_WORD),
        is_openai=bool(found),
    )


def _unescape(string: str) -> str:
    try:
        text = json.loads(f'"{string}"', strict=False)
    except ValueError:
        return string
    assert isinstance(text, str)
    return text


def _text(value: Any, longest: int) -> str:
    """A value as safe text: no control characters, no keys, not longer than `longest`."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1_000_000:
        value = str(value)  # some gateways give the status as code
    if not isinstance(value, str):
        return ""
    return _KEY.sub(MASK, _CONTROL.sub(" ", value[: 2 * longest]).strip())[:longest]
