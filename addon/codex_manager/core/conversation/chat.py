"""Chat completions, and the completions before them: requests, answers, and streams put together again.

Law of all readers: they fill a `Side` with what is there, whatever is there, and never raise.
"""

from dataclasses import dataclass, field
from typing import Any

from codex_manager.core.conversation.content import arguments, blocks_of, settings_of, tools_of
from codex_manager.core.conversation.documents import Stream
from codex_manager.core.conversation.media import bytes_of, sound_of
from codex_manager.core.conversation.model import Block, Side, Turn
from codex_manager.core.conversation.problem import problem_of
from codex_manager.core.conversation.values import label, mapping, rows, text
from codex_manager.core.metering.figures import read_usage


__all__ = ["read_answer", "read_chat_stream", "read_request", "turn_of"]

MOST_CHOICES = 128
"""What the API allows."""


def read_request(side: Side, body: dict[str, Any]) -> None:
    """Of a chat (`messages`) or a completion (`prompt`)."""
    side.model = label(body.get("model"))
    side.settings += settings_of(body)
    side.tools += tools_of(body.get("tools")) + tools_of(body.get("functions"))
    side.turns += [turn_of(message) for message in rows(body.get("messages"))]
    prompt = body.get("prompt")
    for each in prompt if isinstance(prompt, list) and any(isinstance(p, str) for p in prompt) else [prompt]:
        if isinstance(each, str):
            side.turns.append(Turn("prompt", (Block("text", text(each)),)))
        elif isinstance(each, list):
            side.turns.append(Turn("prompt", (Block("note", f"[{len(each):,} tokens, given by number]"),)))
    if isinstance(body.get("suffix"), str):
        side.turns.append(Turn("suffix", (Block("text", text(body["suffix"])),)))


def turn_of(message: dict[str, Any], note: str = "") -> Turn:
    """One message, of a request or of an answer."""
    role = label(message.get("role")) or "message"
    said = blocks_of(message.get("content"))
    if role in {"tool", "function"}:
        ref = label(message.get("tool_call_id") or message.get("name"))
        words = "\n".join(block.text for block in said)
        return Turn(role, (Block("result", words, ref=ref),), note)
    thought = message.get("reasoning_content") or message.get("reasoning")
    blocks = [Block("reasoning", text(thought))] if isinstance(thought, str) else []
    blocks += said
    if isinstance(message.get("refusal"), str):
        blocks.append(Block("refusal", text(message["refusal"])))
    sound = mapping(message.get("audio"))
    blocks += sound_of("audio", sound)
    if isinstance(sound.get("transcript"), str):
        blocks.append(Block("text", text(sound["transcript"])))
    for call in [*rows(message.get("tool_calls")), *rows([message.get("function_call")])]:
        inner = mapping(call.get("function")) or mapping(call.get("custom")) or call
        given = inner.get("arguments", inner.get("input"))
        blocks.append(Block("call", arguments(given), label(inner.get("name")), label(call.get("id"))))
    blocks += [
        block
        for block in blocks_of([{"type": "text", "text": "", "annotations": message.get("annotations")}])
        if block.text
    ]
    name = label(message.get("name"))
    return Turn(role, tuple(blocks), note or name)


def read_answer(side: Side, body: dict[str, Any]) -> None:
    """One document."""
    side.id, side.model = label(body.get("id")), label(body.get("model"))
    side.usage = read_usage(body.get("usage"), model=side.model)
    side.problem = problem_of(body)
    choices = rows(body.get("choices"))
    endings = []
    for choice in choices[:MOST_CHOICES]:
        note = f"choice {label(choice.get('index'))}" if len(choices) > 1 else ""
        if isinstance(choice.get("text"), str):
            side.turns.append(Turn("completion", (Block("text", text(choice["text"])),), note))
        else:
            side.turns.append(turn_of(mapping(choice.get("message")), note))
        endings.append(label(choice.get("finish_reason")))
    side.ending = ", ".join(dict.fromkeys(filter(None, endings)))
    side.finished = True


@dataclass(slots=True)
class _Choice:
    """What has come of one choice."""

    role: str = ""
    content: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)
    sound: int = 0
    """Characters of base64."""
    annotations: list[Any] = field(default_factory=list)
    calls: dict[str, "_Call"] = field(default_factory=dict)
    ending: str = ""
    is_text: bool = False
    """Of a completion."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    given: list[str] = field(default_factory=list)


def read_chat_stream(side: Side, stream: Stream) -> None:
    """The chunks of a chat or a completion, put together to what they make."""
    choices: dict[str, _Choice] = {}
    for event in stream.events:
        if "error" in event:
            side.problem = problem_of(event) or side.problem
        side.id = side.id or label(event.get("id"))
        side.model = label(event.get("model")) or side.model
        side.usage = read_usage(event.get("usage"), model=side.model) or side.usage
        for part in rows(event.get("choices")):
            index = label(part.get("index")) or "0"
            if index in choices or len(choices) < MOST_CHOICES:
                _add(choices.setdefault(index, _Choice()), part)
    for index, choice in choices.items():
        side.turns.append(_made(choice, f"choice {index}" if len(choices) > 1 else ""))
    endings = [choice.ending for choice in choices.values()]
    side.ending = ", ".join(dict.fromkeys(filter(None, endings)))
    side.finished = stream.done or (bool(endings) and all(endings)) or side.problem is not None


def _add(choice: _Choice, part: dict[str, Any]) -> None:
    choice.ending = label(part.get("finish_reason")) or choice.ending
    if isinstance(part.get("text"), str):
        choice.is_text = True
        choice.content.append(part["text"])
    delta = mapping(part.get("delta"))
    choice.role = label(delta.get("role")) or choice.role
    for name, kept in (("content", choice.content), ("refusal", choice.refusal), ("reasoning_content", choice.thought)):
        if isinstance(delta.get(name), str):
            kept.append(delta[name])
    sound = mapping(delta.get("audio"))
    if isinstance(sound.get("transcript"), str):
        choice.spoken.append(sound["transcript"])
    choice.sound += len(sound["data"]) if isinstance(sound.get("data"), str) else 0
    choice.annotations += rows(delta.get("annotations"))
    for call in [*rows(delta.get("tool_calls")), *rows([delta.get("function_call")])]:
        index = label(call.get("index")) or "0"
        if index not in choice.calls and len(choice.calls) >= MOST_CHOICES:
            continue
        kept_call = choice.calls.setdefault(index, _Call())
        inner = mapping(call.get("function")) or mapping(call.get("custom")) or call
        kept_call.id = kept_call.id or label(call.get("id"))
        kept_call.name = kept_call.name or label(inner.get("name"))
        given = inner.get("arguments", inner.get("input"))
        if isinstance(given, str):
            kept_call.given.append(given)


def _made(choice: _Choice, note: str) -> Turn:
    if choice.is_text:
        return Turn("completion", (Block("text", text("".join(choice.content))),), note)
    calls = [
        {"id": call.id, "function": {"name": call.name, "arguments": "".join(call.given)}}
        for call in choice.calls.values()
    ]
    message: dict[str, Any] = {
        "role": choice.role or "assistant",
        "reasoning_content": "".join(choice.thought) or None,
        "content": "".join(choice.content) or None,
        "refusal": "".join(choice.refusal) or None,
        "tool_calls": calls,
        "annotations": choice.annotations,
    }
    turn = turn_of(message, note)
    spoken = "".join(choice.spoken)
    if not choice.sound and not spoken:
        return turn
    heard = [bytes_of("audio", f"~{choice.sound}")] if choice.sound else []
    heard += [Block("text", text(spoken))] if spoken else []
    return Turn(turn.role, (*turn.blocks, *heard), note)
