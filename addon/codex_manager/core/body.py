"""The few facts of a request's body that routing needs: model, stream, background, room asked for.

JSON is parsed whole by the standard library's C parser. A scanner that only looks at the top level and skips the
messages was measured and lost: 62 µs against 33 µs for an agent's 40 kB turn, 17 ms against 3 ms for 1 MB of short
messages (one core, CPython 3.13). Only bodies that are nearly all one string, photographs in base64, are better served
otherwise: their long strings are taken out before parsing, which finds the same facts in 30 MB in 8 ms, not 34.

Law: never raises, never changes the body, and says of a body it cannot read only that it cannot: the upstream judges
it. Of keys given twice the last counts, as in every JSON parser OpenAI's servers may use.
"""

import json
import zlib

from dataclasses import dataclass
from typing import Any

from codex_manager.core.form import parts


__all__ = ["BodyFacts", "facts"]

LONGEST_MODEL = 256
"""What is longer is no model's name."""
LONGEST_KEY = 1024
"""Of `prompt_cache_key`. OpenAI takes 64 characters."""
LARGE = 256 * 1024
"""Below this a whole parse costs less than 1 ms whatever the body."""
SPARSE = 1024
"""A large body with fewer quotes than one in so many bytes consists of few, long strings."""
LONG_STRING = 2048
"""Strings longer than this in bytes are taken out; a model's name is shorter even if each letter is a \\u escape."""
LARGEST_DECODED = 32 * 1024 * 1024
"""The replay limit: larger bodies are streamed and never come here."""


@dataclass(frozen=True, slots=True)
class BodyFacts:
    """What a body says; the defaults are those of a request without one."""

    model: str | None = None
    stream: bool = False
    stream_options: bool = False
    """It says something of its own about the stream (core.stream_usage)."""
    background: bool = False
    """The upstream goes on with the job after the answer."""
    conversation: bool = False
    """The answer is added to a stored conversation."""
    max_output_tokens: int | None = None
    prompt_cache_key: str | None = None
    """Requests that begin alike name the same one (core.session)."""
    store: bool | None = None
    """Whether the upstream shall keep the answer; None leaves it to the endpoint."""
    malformed: bool = False
    """It claims to be JSON or a form and is not. Nobody but the upstream acts on this; it explains a missing model."""

    @property
    def creates_state(self) -> bool:
        """Even a call that is stateless by its path leaves something behind; see `Endpoint.replay_with`."""
        return self.background or self.conversation


NOTHING = BodyFacts()
MALFORMED = BodyFacts(malformed=True)


def facts(content_type: str | None, body: bytes, content_encoding: str | None = None) -> BodyFacts:
    """The facts of a body as received. Compressed bodies are read when the standard library can."""
    if not body:
        return NOTHING
    if content_encoding and content_encoding.strip().lower() != "identity":
        plain = _decoded(body, content_encoding.strip().lower())
        if plain is None:
            return NOTHING
        body = plain
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _form_facts(content_type or "", body)
    if kind == "application/json" or kind.endswith("+json"):
        return _json_facts(body)
    # curl -d without a header says application/x-www-form-urlencoded; text/plain spares browsers a preflight.
    return _json_facts(body) if body[:64].lstrip()[:1] == b"{" else NOTHING


# --- JSON -----------------------------------------------------------------------------------------------------------


def _json_facts(body: bytes) -> BodyFacts:
    if len(body) >= LARGE and body.count(b'"') * SPARSE < len(body) and b"\0" not in body[:4]:
        body = _without_long_strings(body)
    data = _parsed(body)
    if data is _UNREADABLE:
        return MALFORMED
    if not isinstance(data, dict):
        return NOTHING
    return BodyFacts(
        model=_model(data.get("model")),
        stream=data.get("stream") is True,
        stream_options="stream_options" in data,
        background=data.get("background") is True,
        conversation=bool(data.get("conversation")),
        max_output_tokens=_cap(data),
        prompt_cache_key=_cache_key(data.get("prompt_cache_key")),
        store=store if isinstance(store := data.get("store"), bool) else None,
    )


_UNREADABLE = object()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        return _UNREADABLE
    except ValueError as error:
        if "integer string conversion" not in str(error):
            return _UNREADABLE
    try:
        return json.loads(body, parse_int=float)  # Python's limit of 4,300 digits is not JSON's
    except (ValueError, RecursionError):
        return _UNREADABLE


def _without_long_strings(body: bytes) -> bytes:
    """The same JSON with `""` in the place of every long string; UTF-8 only."""
    kept: list[bytes] = []
    begin = 0
    while (opening := body.find(b'"', begin)) >= 0:
        closing = _end_of_string(body, opening + 1)
        if closing < 0:
            break
        if closing - opening > LONG_STRING:
            kept += (body[begin:opening], b'""')
        else:
            kept.append(body[begin : closing + 1])
        begin = closing + 1
    kept.append(body[begin:])
    return b"".join(kept)


def _end_of_string(body: bytes, begin: int) -> int:
    """Where the quote is that ends a string; a quote behind an odd number of backslashes does not."""
    while (quote := body.find(b'"', begin)) >= 0:
        backslashes = quote - 1
        while body[backslashes] == ord("\\"):
            backslashes -= 1
        if (quote - backslashes) % 2:
            return quote
        begin = quote + 1
    return -1


def _model(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_MODEL else None


def _cache_key(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_KEY else None


def _cap(data: dict[str, Any]) -> int | None:
    """Responses, chat and completions each have their own name for it."""
    for name in ("max_output_tokens", "max_completion_tokens", "max_tokens"):
        value = data.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
            return value
    return None


# --- multipart/form-data --------------------------------------------------------------------------------------------

_LONGEST_FIELD = 1024


def _form_facts(content_type: str, body: bytes) -> BodyFacts:
    """`model` and `stream` of a form; of a name given twice the last counts."""
    found = parts(content_type, body)
    if found is None:
        return MALFORMED
    fields = {
        part.name: body[part.begin : part.end].decode("utf-8", "replace").strip()
        for part in found
        if not part.is_file and part.name in {"model", "stream"} and part.end - part.begin <= _LONGEST_FIELD
    }
    return BodyFacts(model=_model(fields.get("model")), stream=fields.get("stream", "").lower() == "true")


# --- Content-Encoding -----------------------------------------------------------------------------------------------


def _decoded(body: bytes, encoding: str) -> bytes | None:
    """From gzip and deflate; None for what the standard library cannot read or what grows beyond reason."""
    window = {"gzip": 31, "x-gzip": 31, "deflate": 15}.get(encoding)
    if window is None:
        return None
    decoder = zlib.decompressobj(window)
    try:
        plain = decoder.decompress(body, LARGEST_DECODED)
    except zlib.error:
        return None
    return plain if not decoder.unconsumed_tail else None
