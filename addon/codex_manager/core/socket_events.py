"""What the frames of OpenAI's two WebSockets say, as far as carrying them needs to know.

Responses: `response.create` begins an answer, one at a time; its events are those of a stream. Realtime: a session that
holds its conversation. Law: never raises; a frame that cannot be read says nothing, and is passed on as it is.
"""

import json
import re

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from codex_manager.core import tokens
from codex_manager.core.failure import Verdict, classify_event


__all__ = ["Create", "Event", "create_of", "event_of", "model_in", "verdict_of_close", "with_previous"]

READ_WHOLE = 1024 * 1024  # characters; only `response.completed` of a very long answer is longer, and it tells nothing
_KIND = re.compile(r'"type"\s*:\s*"([a-z_.]{1,80})"')
_HEAD = 512  # characters in which the type of a frame that is not read whole is looked for
_FAILED = frozenset({"error", "response.failed"})

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


@dataclass(frozen=True, slots=True)
class Event:
    """A frame of the server's."""

    kind: str
    response_id: str | None = None
    verdict: Verdict | None = None
    """What it means when it reports a failure."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """The headers an error frame carries, names in lower case."""


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
    return Create(
        model=model if isinstance(model, str) and model else None,
        tokens=tokens.estimate(
            text.encode("utf-8", "surrogatepass"),
            content_type="application/json",
            max_output_tokens=most if isinstance(most, int) else None,
        ),
        previous=previous if isinstance(previous, str) and previous else None,
        warms_up=fields.get("generate") is False,
        tied=_TIES.search(text) is not None,
    )


def with_previous(text: str, old: str, new: str) -> str:
    """The same frame continuing another response."""
    named = re.compile(rf'((?<!\\)"previous_response_id"\s*:\s*"){re.escape(old)}"')
    return named.sub(lambda found: f'{found[1]}{new}"', text, count=1)


def event_of(text: str) -> Event:
    """What a frame of the server's says."""
    if len(text) > READ_WHOLE:
        found = _KIND.search(text, 0, _HEAD)
        return Event(found[1] if found else "")
    body = _document(text)
    kind = body.get("type")
    kind = kind if isinstance(kind, str) else ""
    response = body.get("response")
    response = response if isinstance(response, dict) else {}
    name = response.get("id")
    verdict = None
    if kind in _FAILED or ("type" not in body and "error" in body):
        verdict = classify_event(body)
    elif kind == "response.done" and response.get("status") == "failed":
        details = response.get("status_details")
        error = details.get("error") if isinstance(details, dict) else None
        verdict = classify_event({"type": "response.failed", "response": {"error": error}})
    return Event(kind, name if isinstance(name, str) else None, verdict, _hints(body) if verdict is not None else {})


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
