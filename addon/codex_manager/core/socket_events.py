"""What the frames of OpenAI's two WebSockets say, as far as carrying them needs to know.

Responses: `response.create` begins an answer, one at a time; its events are those of a stream. Realtime: a session that
holds its conversation. Law: never raises; a frame that cannot be read says nothing, and is passed on as it is.
"""

import json
import re

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from codex_manager.core import tokens
from codex_manager.core.failure import Verdict, classify_event
from codex_manager.core.metering import ENDS, event_usage
from codex_manager.core.metering.kinds import RESPONSES
from codex_manager.core.metering.meters import JsonMeter
from codex_manager.core.usage import Usage


__all__ = [
    "Create", "Event", "asks_for_answer", "brings_sound", "create_of", "event_of", "model_in", "verdict_of_close", "with_previous",
]  # fmt: skip

READ_WHOLE = (
    1024 * 1024
)  # characters; only `response.completed` of a very long answer is longer; of it only the usage counts
_KIND = re.compile(r'"type"\s*:\s*"([a-z_.]{1,80})"')
_HEAD = 512  # characters in which the type of a frame that is not read whole is looked for
_FAILED = frozenset({"error", "response.failed"})
CHARACTERS_PER_TOKEN = 4
BYTES_PER_AUDIO_TOKEN = 2400

_TIES = re.compile(
    r'(?<!\\)"(?:(?:encrypted_content|file_id|container|container_id|connector_id|conversation)"\s*:\s*"[^"]'
    r'|(?:vector_store_ids|file_ids)"\s*:\s*\[\s*"'
    r'|(?:conversation|prompt)"\s*:\s*\{\s*"'
    r'|type"\s*:\s*"item_reference")'
)
"""Things that live in one account only (semantics §2, layer 1). Quotes inside a JSON string are escaped, so what a user
wrote is not taken for one of these."""


@dataclass(frozen=True, slots=True)
class Create:
    """A `response.create` of the Responses socket."""

    model: str | None
    tokens: int
    previous: str | None
    """`previous_response_id`: what it continues."""
    warms_up: bool
    """`generate: false`: prepares the state of the socket and has no output."""
    tied: bool
    """It names a thing, other than `previous`, that only one account has."""
    most: int | None = None
    """`max_output_tokens`."""
    prompt_cache_key: str | None = None
    store: bool | None = None
    """Whether OpenAI shall keep the answer; None leaves it to OpenAI."""


@dataclass(frozen=True, slots=True)
class Event:
    """A frame of the server's."""

    kind: str
    response_id: str | None = None
    verdict: Verdict | None = None
    """What it means when it reports a failure."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """The headers an error frame carries, names in lower case."""
    usage: Usage | None = None
    """What an answer, or a transcript of what was heard, used in the end."""
    tokens: int = 0
    """Of text in this frame, about."""
    audio_tokens: int = 0
    """Of sound in this frame, about."""
    model: str | None = None
    """Of the session, where it says so."""
    transcriber: str | None = None
    """The session's model that writes down what it hears, where it says so."""


def create_of(text: str) -> Create | None:
    """The answer a frame asks for; None when it asks for none."""
    if "response.create" not in text:
        return None
    body = _document(text)
    if body.get("type") != "response.create":
        return None
    nested = body.get("response")
    fields = {**nested, **body} if isinstance(nested, dict) else body
    model, previous, most = fields.get("model"), fields.get("previous_response_id"), fields.get("max_output_tokens")
    most = most if isinstance(most, int) and 0 < most < 1 << 31 and most is not True else None
    cache_key, store = fields.get("prompt_cache_key"), fields.get("store")
    return Create(
        model=model if isinstance(model, str) and model else None,
        tokens=tokens.estimate(
            text.encode("utf-8", "surrogatepass"),
            content_type="application/json",
            max_output_tokens=most,
        ),
        previous=previous if isinstance(previous, str) and previous else None,
        warms_up=fields.get("generate") is False,
        tied=_TIES.search(text) is not None,
        most=most,
        prompt_cache_key=cache_key if isinstance(cache_key, str) and cache_key else None,
        store=store if isinstance(store, bool) else None,
    )


def asks_for_answer(text: str) -> tuple[int | None, str | None] | None:
    """Whether a client's frame asks Realtime for an answer: the most tokens it may have, and the frame's own id."""
    if "response.create" not in text:
        return None
    body = _document(text)
    if body.get("type") != "response.create":
        return None
    response, name = body.get("response"), body.get("event_id")
    most = response.get("max_output_tokens") if isinstance(response, dict) else None
    most = most if isinstance(most, int) and 0 < most < 1 << 31 and most is not True else None
    return most, name if isinstance(name, str) else None


def brings_sound(text: str) -> bool:
    """Whether a client's frame is heard by the model, which may answer by itself."""
    return "input_audio_buffer." in text[:_HEAD]


def with_previous(text: str, old: str, new: str) -> str:
    """The same frame continuing another response."""
    named = re.compile(rf'((?<!\\)"previous_response_id"\s*:\s*"){re.escape(old)}"')
    return named.sub(lambda found: f'{found[1]}{new}"', text, count=1)


def event_of(text: str, transcriber: str = "") -> Event:
    """What a frame of the server's says. `transcriber` is the one its session said."""
    if len(text) > READ_WHOLE:
        found = _KIND.search(text, 0, _HEAD)
        kind = found[1] if found else ""
        return Event(kind, usage=_skimmed(text) if kind in ENDS else None)
    body = _document(text)
    kind = body.get("type")
    kind = kind if isinstance(kind, str) else ""
    response = body.get("response")
    response = response if isinstance(response, dict) else {}
    name = response.get("id", body.get("response_id"))
    verdict = None
    if kind in _FAILED or ("type" not in body and "error" in body):
        verdict = classify_event(body)
    elif kind == "response.done" and response.get("status") == "failed":
        details = response.get("status_details")
        error = details.get("error") if isinstance(details, dict) else None
        verdict = classify_event({"type": "response.failed", "response": {"error": error}})
    event = Event(kind, name if isinstance(name, str) else None, verdict, _hints(body) if verdict is not None else {})
    if kind.endswith(".delta"):
        return _sized(event, body.get("delta"))
    if kind in ENDS:
        return replace(event, usage=event_usage(body, transcriber=transcriber))
    if kind.startswith("session.") and isinstance(session := body.get("session"), dict):
        model = session.get("model")
        return replace(event, model=model if isinstance(model, str) else None, transcriber=_transcriber(session))
    return event


def _skimmed(text: str) -> Usage | None:
    """The use a frame tells that is too long to be read whole."""
    meter = JsonMeter(RESPONSES)
    meter.feed(text.encode("utf-8", "surrogatepass"))
    return meter.usage()


def _sized(event: Event, delta: Any) -> Event:
    """A delta is a token nearly always; sound is base64 of 16 bits at 24 kHz, a token for 50 ms."""
    size = len(delta) if isinstance(delta, str) else 0
    if event.kind.endswith("audio.delta"):
        return replace(event, audio_tokens=max(size * 3 // 4 // BYTES_PER_AUDIO_TOKEN, 1))
    return replace(event, tokens=max(size // CHARACTERS_PER_TOKEN, 1))


def _transcriber(session: dict[str, Any]) -> str | None:
    """`session.audio.input.transcription.model`; before 2025-08 `session.input_audio_transcription.model`."""
    found: Any = session.get("input_audio_transcription")
    if found is None:
        found = session
        for name in ("audio", "input", "transcription"):
            found = found.get(name) if isinstance(found, dict) else None
    model = found.get("model") if isinstance(found, dict) else None
    return model if isinstance(model, str) else None


def verdict_of_close(reason: str) -> Verdict | None:
    """What a close frame means whose reason is an error's type and code, as `invalid_request_error.invalid_api_key`."""
    kind, _, code = reason.rpartition(".")
    if not re.fullmatch(r"[a-z_]{3,60}", code):
        return None
    return classify_event({"type": "error", "error": {"type": kind, "code": code, "message": reason}})


def model_in(target: str) -> str | None:
    """The model in the query of a Realtime socket."""
    values = parse_qs(target.partition("?")[2]).get("model")
    return values[-1] if values else None


def _hints(body: dict[str, Any]) -> dict[str, str]:
    headers = body.get("headers")
    if not isinstance(headers, dict):
        return {}
    return {str(name).lower(): str(value) for name, value in headers.items() if isinstance(value, str | int | float)}


def _document(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
