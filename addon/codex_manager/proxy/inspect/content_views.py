"""What mitmproxy shows of a body: "OpenAI conversation", and "codex-manager decision".

Knows mitmproxy's content views and flows; what is shown is made elsewhere (`core.conversation`, `core.telling`). Law: a view never
fails, whatever the body is, and changes nothing; it is chosen by itself only where it says more than JSON does.
"""

import re
import zlib

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from mitmproxy import contentviews, http

from codex_manager.core.conversation import (
    Bill,
    Body,
    Message,
    as_text,
    conversation_of,
    is_conversation,
    message_of,
    message_text,
    socket_of,
)
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.telling.columns import columns


__all__ = ["ConversationView", "DecisionView", "add_views"]

FIRST: Final = 10.0
"""Above JSON and GraphQL, which say 1 and 2."""
NEVER: Final = -1.0
KEY: Final = "codex_manager"
"""In `flow.metadata`."""
ID_HEADER: Final = "X-Codex-Manager-Request-Id"
_KEPT: Final = re.compile(r"(\d{1,15}) of (\d{1,15}) bytes")
UNPACKED: Final = 4 * 1024 * 1024
"""Bytes."""

type Explain = Callable[[str], str]
"""The page about a request's id; raises CodexManagerError where there is none."""


def add_views(explain: Explain) -> None:
    """Have mitmproxy offer both views. Views of the same names are replaced."""
    contentviews.add(ConversationView())
    contentviews.add(DecisionView(explain))


class ConversationView(contentviews.Contentview):
    """A request, an answer, or a message of a WebSocket as a conversation."""

    name = "OpenAI conversation"
    syntax_highlight = "yaml"

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        """The side that is looked at; behind a WebSocket's handshake, all that was said on it."""
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow):
            raise ValueError("there is no request of HTTP here")  # noqa: TRY004 - what the interface asks for
        target = flow.request.path
        if (message := metadata.websocket_message) is not None:
            return message_text(*message_of(target, Message(message.from_client, data)))
        is_request = isinstance(metadata.http_message, http.Request)
        part: Literal["request", "answer"] = "request" if is_request else "answer"
        facts = _facts(flow)
        if flow.websocket is not None:
            said = [Message(each.from_client, each.content) for each in flow.websocket.messages]
            running = flow.live and flow.websocket.timestamp_end is None
            return as_text(socket_of(target, said, running=running, bill=_bill(facts)), part)
        body = Body(_unpacked(data), _content_type(metadata), None if is_request else _kept(facts))
        if is_request:
            return as_text(conversation_of(target, body), part)
        response = flow.response
        running = flow.live and (response is None or response.timestamp_end is None)
        status = 0 if response is None else response.status_code
        return as_text(conversation_of(target, None, body, status=status, running=running, bill=_bill(facts)), part)

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        """First for what is a conversation."""
        flow = metadata.flow
        if not isinstance(flow, http.HTTPFlow) or not (data or flow.websocket is not None):
            return NEVER
        return FIRST if is_conversation(flow.request.path) else NEVER


class DecisionView(contentviews.Contentview):
    """Why this flow's request went where it went."""

    name = "codex-manager decision"
    syntax_highlight = "none"

    def __init__(self, explain: Explain) -> None:
        self._explain = explain

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:  # noqa: ARG002 - the interface's
        """The explanation; before the request is over, and where nothing was recorded, what the flow itself says."""
        flow = metadata.flow
        facts = _facts(flow)
        if not isinstance(flow, http.HTTPFlow) or not (facts or _request_id(flow, facts)):
            return "codex-manager had no part in this flow."
        request_id = _request_id(flow, facts)
        try:
            return self._explain(request_id)
        except CodexManagerError as error:
            why = f"{error}."
        said = columns([(name.replace("_", " "), _line(value)) for name, value in facts.items()])
        return f"{said}\n\n{why}" if said else why

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:  # noqa: ARG002 - the interface's
        """Never by itself: it says nothing of the body."""
        return 0.0 if _facts(metadata.flow) else NEVER


def _facts(flow: object) -> Mapping[str, Any]:
    """What codex-manager wrote into a flow. One that was read from a file may say anything."""
    facts = getattr(flow, "metadata", {}).get(KEY)
    return facts if isinstance(facts, dict) else {}


def _request_id(flow: http.HTTPFlow, facts: Mapping[str, Any]) -> str:
    named = facts.get("request_id")
    if not isinstance(named, str) and flow.response is not None:
        named = flow.response.headers.get(ID_HEADER)
    return named if isinstance(named, str) else ""


def _bill(facts: Mapping[str, Any]) -> Bill:
    usd, coming, going = (facts.get(name) for name in ("usd", "input_tokens", "output_tokens"))
    return Bill(
        usd=float(usd) if isinstance(usd, int | float) and 0 <= usd < 1e9 else None,
        estimated="estimated" in facts,
        input_tokens=coming if isinstance(coming, int) else None,
        output_tokens=going if isinstance(going, int) else None,
    )


def _kept(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    found = _KEPT.fullmatch(str(facts.get("kept", "")))
    return None if found is None else (int(found[1]), int(found[2]))


def _content_type(metadata: contentviews.Metadata) -> str:
    message = metadata.http_message
    return (message.headers.get("content-type") if message is not None else None) or metadata.content_type or ""


def _unpacked(data: bytes) -> bytes:
    """The beginning of a body that mitmproxy could not decode because the rest was not kept."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return zlib.decompressobj(31).decompress(data, UNPACKED)
    except zlib.error:
        return data


def _line(value: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(value)[:500])
