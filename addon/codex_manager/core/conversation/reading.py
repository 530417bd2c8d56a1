"""From the bytes of a request and its answer to a conversation: which reader reads what.

Knows the endpoints (`core.endpoint.name_of`) and no mitmproxy. Laws of the whole package: pure and total, so whatever the
bytes are, something sensible comes of them and nothing is raised; at most 2 MiB of each body are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from codex_manager.core.conversation import chat, responses, studio, vectors
from codex_manager.core.conversation.documents import LOOKED_AT, Stream, is_stream, read_json, read_stream
from codex_manager.core.conversation.items import turns_of_items
from codex_manager.core.conversation.media import media, size
from codex_manager.core.conversation.model import Bill, Block, Conversation, Side, State, Turn
from codex_manager.core.conversation.problem import problem_of
from codex_manager.core.conversation.sockets import Message, read_message, read_socket
from codex_manager.core.conversation.values import compact, label, mapping, rows
from codex_manager.core.endpoint import name_of


__all__ = ["Body", "conversation_of", "is_conversation", "message_of", "socket_of"]

_CHATS: Final = frozenset({"chat/completions", "completions", "chat/completions/messages"})
_STUDIO: Final = frozenset({
    "images/generations", "images/edits", "images/variations", "audio/speech", "audio/transcriptions", "audio/translations",
})  # fmt: skip
_RESPONSES: Final = frozenset({
    "responses", "responses/compact", "responses/input_tokens", "responses/input_items", "responses/cancel",
    "conversations/items",
})  # fmt: skip
_SOCKETS: Final = frozenset({"responses", "realtime"})
_READ: Final = _CHATS | _STUDIO | _RESPONSES | {"embeddings", "moderations", "realtime"}
LARGEST_FORM: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it is known: decoded, perhaps its beginning only."""

    data: bytes = b""
    content_type: str = ""
    kept: tuple[int, int] | None = None
    """Where only its beginning was kept: how many bytes, of how many, as they were sent."""


def is_conversation(target: str) -> bool:
    """Whether a path is of an endpoint that is read here."""
    return _name(target) in _READ


def conversation_of(
    target: str,
    request: Body | None,
    answer: Body | None = None,
    *,
    status: int = 0,
    running: bool = False,
    bill: Bill | None = None,
) -> Conversation:
    """What a request and its answer say. `running`: the answer is still coming; `bill`: what codex-manager counted."""
    name = _name(target)
    asked = None if request is None else _asked(name, request)
    told = None if answer is None else _told(name, answer, is_running=running)
    state: State = "none"
    if told is not None and answer is not None:
        state = "whole" if told.finished else "running" if running else "cut"
        if answer.kept is not None:
            told.notes.append(f"only the first {size(answer.kept[0])} of {size(answer.kept[1])} were kept")
    return Conversation(name, asked, told, state, status, bill or Bill())


def socket_of(
    target: str, messages: Sequence[Message], *, running: bool = False, bill: Bill | None = None
) -> Conversation:
    """What was said on a WebSocket, over all its messages."""
    asked, told = Side(), Side()
    read_socket(asked, told, messages)
    state: State = "running" if running else "whole" if told.finished or not told.turns else "cut"
    return Conversation(_name(target), asked, told, state, 0, bill or Bill(), is_socket=True)


def message_of(target: str, message: Message) -> tuple[str, Conversation]:
    """One message of a WebSocket: the type of its event, empty for what is none, and what it says."""
    side = Side()
    kind = read_message(side, message)
    asked, told = (side, None) if message.from_client else (None, side)
    return kind, Conversation(_name(target), asked, told, "none", is_socket=True)


def _name(target: str) -> str:
    return name_of(target.partition("?")[0].partition("#")[0])


# --- the request ----------------------------------------------------------------------------------------------------


def _asked(name: str, body: Body) -> Side:
    side = Side()
    if not body.data:
        return side
    if body.content_type.lstrip().lower().startswith("multipart/"):
        studio.read_form(side, body.content_type, body.data[:LARGEST_FORM])
        return side
    document = read_json(body.data)
    if document is None:
        side.notes.append(f"a body of {size(len(body.data))} that is no JSON")
        return side
    if not document.whole:
        is_long = len(body.data) > LOOKED_AT
        side.notes.append(
            f"only the first {size(LOOKED_AT)} are looked at" if is_long else "it is cut, or no JSON to its end"
        )
    said = mapping(document.value)
    if name in _CHATS:
        chat.read_request(side, said)
    elif name in {"embeddings", "moderations"}:
        vectors.read_request(side, said)
    elif name in _STUDIO:
        studio.read_request(side, said)
    elif name in _RESPONSES:
        responses.read_request(side, said)
        side.turns += turns_of_items(said.get("items"))
    else:
        side.turns.append(Turn("body", (Block("note", compact(document.value)),)))
    return side


# --- the answer -----------------------------------------------------------------------------------------------------


def _told(name: str, body: Body, *, is_running: bool) -> Side:
    side = Side()
    if is_stream(body.data, body.content_type):
        stream = read_stream(body.data)
        stream.torn |= body.kept is not None
        _read_stream(name, side, stream)
        return side
    kind = body.content_type.partition(";")[0].strip().lower()
    is_json = "json" in kind or body.data[:64].lstrip()[:1] in {b"{", b"["}
    if name in _STUDIO and not is_json and body.data:
        studio.read_bytes(side, body.content_type, body.data, body.kept[1] if body.kept is not None else len(body.data))
        return side
    document = read_json(body.data) if body.data else None
    if document is None:
        side.finished = not is_running and body.kept is None
        if body.data:
            side.turns.append(Turn("answer", (media("body", kind, size(len(body.data))),)))
        return side
    _read_document(name, side, mapping(document.value))
    side.finished = document.whole
    return side


def _read_stream(name: str, side: Side, stream: Stream) -> None:
    if name in _STUDIO:
        studio.read_studio_stream(side, stream)
    elif name in _CHATS or any("choices" in event for event in stream.events[:3]):
        chat.read_chat_stream(side, stream)
    else:
        responses.read_response_stream(side, stream)


def _read_document(name: str, side: Side, said: dict[str, object]) -> None:
    problem = problem_of(said)
    if problem is not None and not said.get("object"):
        side.problem = problem
    elif name in _CHATS:
        if "choices" in said or "data" not in said:
            chat.read_answer(side, said)
        else:
            side.turns += [chat.turn_of(each) for each in rows(said["data"]) if "role" in each]
            side.turns += [
                Turn("kept", (Block("note", f"[{label(each.get('id'))}, {label(each.get('model'))}]"),))
                for each in rows(said["data"])
                if "choices" in each
            ]
    elif name == "embeddings":
        vectors.read_embeddings(side, said)
    elif name == "moderations":
        vectors.read_moderation(side, said)
    elif name in _STUDIO:
        studio.read_document(side, said)
    elif name in _RESPONSES:
        responses.read_response(side, said)
    else:
        side.turns.append(Turn("body", (Block("note", compact(said)),)))
