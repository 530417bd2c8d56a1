"""Conversations on a WebSocket: Responses, where each turn is asked for by itself, and Realtime, which holds a session.

`read_socket` puts all messages together in the order in which they came; `read_message` says what one of them says. Laws: as
everywhere here; of messages that are together larger than what is looked at, the newest are read, which it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from codex_manager.core.conversation import responses
from codex_manager.core.conversation.content import settings_of, tools_of
from codex_manager.core.conversation.documents import LOOKED_AT, read_json
from codex_manager.core.conversation.items import turn_of_item
from codex_manager.core.conversation.media import media, size
from codex_manager.core.conversation.model import Block, Side, Turn
from codex_manager.core.conversation.problem import problem_of
from codex_manager.core.conversation.responses import ENDS, Assembly
from codex_manager.core.conversation.values import compact, label, mapping, text
from codex_manager.core.metering.events import event_usage
from codex_manager.core.usage import Usage


__all__ = ["Message", "read_message", "read_socket"]

MOST_MESSAGES: Final = 20_000
_HEARD: Final = "conversation.item.input_audio_transcription."
_HEAD: Final = 200
"""Bytes in which the type of a message of sound is looked for."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a WebSocket."""

    from_client: bool
    data: bytes


def read_socket(request: Side, answer: Side, messages: Sequence[Message]) -> None:
    """All that was said, in `answer`; what the session was set to, in `request`."""
    reader = _Reader(request, answer)
    kept = _newest(messages)
    if left := len(messages) - len(kept):
        answer.notes.append(f"the first {left:,} messages are left out")
    for message in kept:
        reader.take(message)
    reader.end()


def _newest(messages: Sequence[Message]) -> Sequence[Message]:
    room, at = LOOKED_AT, len(messages)
    while at and len(messages) - at < MOST_MESSAGES:
        length = 100 if _is_sound(messages[at - 1].data) else len(messages[at - 1].data)
        if room < length and at < len(messages):
            break
        room -= length
        at -= 1
    return messages[at:]


def _is_sound(data: bytes) -> bool:
    """Whether a message is nearly all base64, so that it is not worth parsing."""
    head = data[:_HEAD]
    return b"input_audio_buffer.append" in head or b'audio.delta"' in head


class _Reader:
    """Mutable state: the answer that is being given, the sound that was sent and not yet said to be over."""

    def __init__(self, request: Side, answer: Side) -> None:
        self._request = request
        self._answer = answer
        self._assembly = Assembly()
        self._sent = 0
        self._spoken = 0

    def take(self, message: Message) -> None:
        """The next message."""
        if _is_sound(message.data):
            if message.from_client:
                self._sent += len(message.data)
            else:
                self._spoken += len(message.data)
            return
        event = _event(message.data)
        if event is None:
            who = "client" if message.from_client else "server"
            self._answer.turns.append(Turn(who, (media("message", f"no JSON, {size(len(message.data))}"),)))
        elif message.from_client:
            self._asked(event)
        else:
            self._told(event)

    def _asked(self, event: dict[str, Any]) -> None:
        kind = label(event.get("type"))
        if kind == "response.create":
            self._close()
            inner = event.get("response")
            asked = Side()
            responses.read_request(asked, {**event, **inner} if isinstance(inner, dict) else event)
            self._request.model = asked.model or self._request.model
            for mine, new in ((self._request.settings, asked.settings), (self._request.tools, asked.tools)):
                mine += [each for each in new if each not in mine]
            self._answer.turns += asked.turns
        elif kind == "session.update":
            self._session(mapping(event.get("session")))
        elif kind == "conversation.item.create":
            self._answer.turns.append(turn_of_item(mapping(event.get("item"))))
        elif kind == "input_audio_buffer.commit":
            self._heard()
        elif kind in {"response.cancel", "conversation.item.delete", "conversation.item.truncate"}:
            self._answer.turns.append(Turn("client", (Block("note", f"[{kind}]"),)))

    def _told(self, event: dict[str, Any]) -> None:
        kind = label(event.get("type"))
        if kind in {"session.created", "session.updated"}:
            self._session(mapping(event.get("session")))
        elif kind == f"{_HEARD}completed":
            self._heard(text(event.get("transcript")))
            self._count(event_usage(event))
        elif kind in {"error", f"{_HEARD}failed"}:
            self._failed(event)
        else:
            if kind == "response.created" and self._assembly.begun:
                self._close()
            self._assembly.feed(event)
            if kind in ENDS:
                self._close()

    def _failed(self, event: dict[str, Any]) -> None:
        """An error in its place among the rest; the conversation may go on after it."""
        problem = problem_of(event)
        if problem is not None:
            said = ", ".join(word for word in (problem.code or problem.type, problem.message) if word)
            self._answer.turns.append(Turn("error", (Block("text", said),)))

    def _session(self, session: dict[str, Any]) -> None:
        """What the session says of itself takes the place of what was known."""
        asked = Side()
        responses.read_request(asked, session)
        self._request.model = asked.model or self._request.model
        self._request.settings = settings_of(session) or self._request.settings
        self._request.tools = tools_of(session.get("tools")) or self._request.tools
        self._request.turns = asked.turns or self._request.turns

    def _heard(self, transcript: str = "") -> None:
        blocks = [media("audio", size(self._sent * 3 // 4))] if self._sent else []
        if transcript:
            blocks.append(Block("text", transcript))
        self._sent = 0
        if blocks:
            self._answer.turns.append(Turn("user", tuple(blocks)))

    def _close(self) -> None:
        """The answer that is being given is over, or as good as."""
        self._heard()
        assembly, self._assembly = self._assembly, Assembly()
        spoken, self._spoken = self._spoken, 0
        if not assembly.begun and assembly.side.problem is None:
            return
        made = Side()
        assembly.fill(made)
        mine = self._answer
        if spoken and made.turns:
            first = made.turns[0]
            made.turns[0] = replace(first, blocks=(media("audio", size(spoken * 3 // 4)), *first.blocks))
        mine.turns += made.turns
        if made.ending not in {"", "completed"}:
            mine.turns.append(Turn("answer", (Block("note", f"[{made.ending}]"),)))
        mine.model, mine.id = made.model or mine.model, made.id or mine.id
        mine.problem, mine.finished = made.problem, made.finished
        mine.ending = made.ending
        self._count(made.usage)

    def _count(self, usage: Usage | None) -> None:
        if usage is not None:
            mine = self._answer.usage
            self._answer.usage = usage if mine is None else _sum(mine, usage)

    def end(self) -> None:
        """No more messages."""
        if self._assembly.begun:
            self._close()
            self._answer.finished = False
        self._heard()


def _sum(one: Usage, other: Usage) -> Usage:
    """Of two answers."""
    return replace(
        one,
        input=one.input + other.input,
        cached=one.cached + other.cached,
        input_audio=one.input_audio + other.input_audio,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
        output_audio=one.output_audio + other.output_audio,
        seconds=one.seconds + other.seconds,
    )


def _event(data: bytes) -> dict[str, Any] | None:
    document = read_json(data)
    return document.value if document is not None and isinstance(document.value, dict) else None


def read_message(side: Side, message: Message) -> str:
    """What one message says, filled into `side`; returns the type of its event, empty for what is none."""
    event = _event(message.data)
    if event is None:
        side.turns.append(Turn("message", (media("message", f"no JSON, {size(len(message.data))}"),)))
        return ""
    kind = label(event.get("type"))
    if message.from_client and kind == "response.create":
        inner = event.get("response")
        responses.read_request(side, {**event, **inner} if isinstance(inner, dict) else event)
    elif kind in ENDS or kind in {"error", "response.created", "response.queued", "response.in_progress"}:
        assembly = Assembly()
        assembly.feed(event)
        assembly.fill(side)
        side.turns = [turn for turn in side.turns if turn.blocks]
    elif "session" in event:
        responses.read_request(side, mapping(event["session"]))
    elif isinstance(event.get("item"), dict):
        side.turns.append(turn_of_item(event["item"]))
    else:
        side.turns.append(Turn(_about(event), (_gist(event, kind),)))
    return kind


def _about(event: dict[str, Any]) -> str:
    """Which item an event belongs to."""
    return label(event.get("item_id")) or "event"


def _gist(event: dict[str, Any], kind: str) -> Block:
    for name in ("delta", "text", "transcript", "arguments", "input", "code", "refusal"):
        said = event.get(name)
        if isinstance(said, str):
            if kind.endswith("audio.delta"):
                return media("audio", size(len(said) * 3 // 4))
            return Block("text", text(said))
    if isinstance(event.get("audio"), str):
        return media("audio", size(len(event["audio"]) * 3 // 4))
    rest = {
        name: value for name, value in event.items() if name not in {"type", "event_id", "sequence_number", "item_id"}
    }
    return Block("note", compact(rest) if rest else f"[{kind}]")
