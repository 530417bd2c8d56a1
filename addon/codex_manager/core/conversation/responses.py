"""The Responses API: requests, answers, and the events of a stream put together to the response they make.

`Assembly` takes the events of Realtime as well, which are made alike. Law: the whole object, where the last event brings
it, counts; until then, or where it never comes, what the pieces have said.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from codex_manager.core.conversation.content import settings_of, tools_of
from codex_manager.core.conversation.documents import Stream
from codex_manager.core.conversation.items import turn_of_item, turns_of_items
from codex_manager.core.conversation.media import size
from codex_manager.core.conversation.model import Block, Side, Turn
from codex_manager.core.conversation.problem import problem_of
from codex_manager.core.conversation.values import compact, label, mapping, rows, text
from codex_manager.core.metering.figures import read_usage, tokens


__all__ = ["Assembly", "read_request", "read_response", "read_response_stream"]

ENDS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.done", "response.cancelled"}
)
MOST_ITEMS: Final = 1024


def read_request(side: Side, body: dict[str, Any]) -> None:
    """What is asked; also a `response.create` of a socket."""
    side.model = label(body.get("model"))
    side.settings += settings_of(body)
    side.tools += tools_of(body.get("tools"))
    instructions = body.get("instructions")
    if isinstance(instructions, str) and instructions:
        side.turns.append(Turn("instructions", (Block("text", text(instructions)),)))
    elif isinstance(instructions, list):
        side.turns += turns_of_items(instructions)
    prompt = mapping(body.get("prompt"))
    if prompt.get("id"):
        side.turns.append(Turn("prompt", (Block("note", f"[kept at OpenAI: {compact(prompt)}]"),)))
    side.turns += turns_of_items(body.get("input"))


def read_response(side: Side, body: dict[str, Any]) -> None:
    """An answer in one document: a response, a list of items, or a count of tokens."""
    side.finished = True
    kind = body.get("object")
    if kind == "response.input_tokens":
        side.turns.append(Turn("answer", (Block("text", f"{tokens(body.get('input_tokens')):,} tokens of input"),)))
    elif kind == "list" or "output" not in body:
        side.turns += turns_of_items(body.get("data"))
    _take_response(side, body)
    if kind in {"response", "response.compaction"} or "output" in body:
        side.turns += turns_of_items(body.get("output"))


def _take_response(side: Side, body: dict[str, Any]) -> None:
    """All but what it says."""
    side.id = label(body.get("id")) or side.id
    side.model = label(body.get("model")) or side.model
    side.usage = read_usage(body.get("usage"), model=side.model) or side.usage
    side.problem = problem_of(body) or _failed(body) or side.problem
    if "deleted" in body and body.get("object") != "list":
        side.notes.append("deleted" if body["deleted"] is True else "not deleted")
    status = label(body.get("status"))
    details = mapping(body.get("incomplete_details")) or mapping(body.get("status_details"))
    reason = label(details.get("reason"))
    side.ending = (f"{status} ({reason})" if reason else status) or side.ending


def _failed(body: dict[str, Any]) -> Any:
    """A Realtime response says why it failed in `status_details`."""
    return problem_of(mapping(body.get("status_details")))


def read_response_stream(side: Side, stream: Stream) -> None:
    """The events of one streamed response."""
    assembly = Assembly()
    for event in stream.events:
        assembly.feed(event)
    assembly.fill(side)


_PIECES: Final = {
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
    "function_call_arguments": "given",
    "custom_tool_call_input": "given",
    "mcp_call_arguments": "given",
    "code_interpreter_call_code": "given",
    "reasoning_summary_text": "reasoning",
    "reasoning_text": "reasoning",
    "output_audio_transcript": "spoken",
    "audio_transcript": "spoken",
    "audio.transcript": "spoken",
}
"""What the deltas of these events are pieces of."""
_SOUNDS: Final = frozenset({"output_audio", "audio"})


@dataclass(slots=True)
class _Item:
    """What has come of one item."""

    item: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    pieces: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """By (what they are of, number of the part)."""
    sound: int = 0
    """Characters of base64."""


class Assembly:
    """Events in, a response out."""

    def __init__(self) -> None:
        self.side = Side()
        self.begun = False
        """An event of a response has come."""
        self._items: dict[str, _Item] = {}
        self._output: list[dict[str, Any]] | None = None

    @property
    def finished(self) -> bool:
        """The event that ends it has come."""
        return self.side.finished

    def feed(self, event: dict[str, Any]) -> None:
        """The next event."""
        kind = label(event.get("type"))
        if kind == "error" or (not kind and "error" in event):
            self.side.problem = problem_of(event)
            self.side.finished = True
            return
        if not kind.startswith("response."):
            return
        self.begun = True
        response = mapping(event.get("response"))
        if response:
            _take_response(self.side, response)
            if kind in ENDS:
                self.side.finished = True
                self._output = rows(response.get("output"))
            return
        what, _, step = kind.removeprefix("response.").rpartition(".")
        if what == "output_item":
            self._item(event, step)
        elif step in {"delta", "done"}:
            self._piece(event, what, step)

    def _at(self, event: dict[str, Any]) -> _Item | None:
        place = label(event.get("output_index")) or label(event.get("item_id")) or "0"
        if place not in self._items and len(self._items) >= MOST_ITEMS:
            return None
        return self._items.setdefault(place, _Item())

    def _item(self, event: dict[str, Any], step: str) -> None:
        at = self._at(event)
        if at is not None:
            at.item = mapping(event.get("item"))
            at.whole = step == "done"

    def _piece(self, event: dict[str, Any], what: str, step: str) -> None:
        at = self._at(event)
        delta = event.get("delta")
        if at is None:
            return
        if what in _SOUNDS:
            at.sound += len(delta) if isinstance(delta, str) else 0
            return
        kept = _PIECES.get(what)
        if kept is None:
            return
        part = label(event.get("summary_index")) or label(event.get("content_index")) or "0"
        if step == "delta":
            if isinstance(delta, str):
                at.pieces.setdefault((kept, part), []).append(delta)
            return
        said = next(
            (
                event[name]
                for name in ("text", "arguments", "input", "code", "refusal", "transcript")
                if isinstance(event.get(name), str)
            ),
            None,
        )
        if said is not None:
            at.pieces[kept, part] = [said]

    def fill(self, side: Side) -> None:
        """What it comes to, so far."""
        mine = self.side
        side.id, side.model, side.usage = mine.id, mine.model, mine.usage
        side.problem, side.ending, side.finished = mine.problem, mine.ending, mine.finished
        if self._output:
            # Of sound the last event has the words alone.
            side.turns += turns_of_items(self._output)
            return
        side.turns += [_made(item) for item in self._items.values()]


def _made(at: _Item) -> Turn:
    """An item whose end has not come: its head, and the pieces."""
    if at.whole:
        return turn_of_item(at.item)
    item = {name: value for name, value in at.item.items() if name != "status"}
    joined = {key: "".join(pieces) for key, pieces in at.pieces.items()}
    said = [(kind, words) for (kind, _), words in joined.items() if words]
    given = next((words for kind, words in said if kind == "given"), None)
    if given is not None:
        place = {"custom_tool_call": "input", "code_interpreter_call": "code"}.get(label(item.get("type")), "arguments")
        item = {"type": "function_call", **item, place: given}
        return turn_of_item(item)
    thoughts = [Block("reasoning", text(words)) for kind, words in said if kind == "reasoning"]
    if thoughts:
        return Turn("assistant", tuple(thoughts))
    blocks = [Block("refusal" if kind == "refusal" else "text", text(words)) for kind, words in said]
    if at.sound:
        blocks.insert(0, Block("media", f"[audio: {size(at.sound * 3 // 4)}]"))
    if blocks:
        return Turn(label(item.get("role")) or "assistant", tuple(blocks))
    return turn_of_item(item) if item else Turn("assistant", ())
