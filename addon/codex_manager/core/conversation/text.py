"""A conversation written down for people.

It looks like YAML, so that viewers which colour YAML colour it: what codex-manager says stands at the beginning of a line, what
somebody else said is indented below it. Laws: nobody's words begin a line of ours or steer a terminal; at most `LARGEST`
bytes, of which the beginning and the end are kept.
"""

import re

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, Literal

from codex_manager.core.allowance import dollars
from codex_manager.core.conversation.content import as_json
from codex_manager.core.conversation.model import Bill, Block, Conversation, Side, Turn
from codex_manager.core.usage import Usage


__all__ = ["LARGEST", "as_text", "message_text"]

LARGEST: Final = 200_000
"""Bytes."""
_HEAD: Final = 60_000
"""Bytes of it that are of the beginning."""
_HARMFUL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
"""Control characters, what turns the direction of writing, halves of characters."""
INDENT: Final = "  "

type Part = Literal["all", "request", "answer"]


def as_text(conversation: Conversation, part: Part = "all") -> str:
    """All of it, or one side."""
    paragraphs: list[str] = []
    if part != "answer" and conversation.request is not None:
        paragraphs += _asked(conversation, conversation.request)
    if part != "request" and conversation.answer is not None:
        told = list(_told(conversation, conversation.answer))
        if paragraphs and told and not conversation.is_socket:
            paragraphs.append("---")
        paragraphs += told
    elif part == "answer" or (part == "all" and conversation.state == "none" and not conversation.is_socket):
        paragraphs.append("answer: none yet")
    return _bounded("\n\n".join(paragraphs))


def message_text(kind: str, conversation: Conversation) -> str:
    """One message of a WebSocket."""
    lines = [f"event: {_line(kind)}"] if kind else []
    paragraphs: list[str] = []
    for side in (conversation.request, conversation.answer):
        if side is not None:
            lines += _about(side)
            paragraphs += _turns(side.turns)
            paragraphs += _end(side, Bill())
    return _bounded("\n\n".join(["\n".join(lines), *paragraphs] if lines else paragraphs))


# --- the request ----------------------------------------------------------------------------------------------------


def _asked(conversation: Conversation, side: Side) -> Iterator[str]:
    words = [conversation.endpoint, side.model] + (["on a WebSocket"] if conversation.is_socket else [])
    yield "\n".join(
        [f"request: {', '.join(_line(word) for word in words if word)}", *_about(side, named=True), *_notes(side)]
    )
    yield from _turns(side.turns)


def _about(side: Side, *, named: bool = False) -> list[str]:
    rows = [] if named else [("model", side.model)]
    rows += [("settings", ", ".join(side.settings)), ("tools", ", ".join(side.tools[:200]))]
    return [f"{name}: {_line(said)}" for name, said in rows if said]


# --- the answer -----------------------------------------------------------------------------------------------------

_STATES: Final = {"running": "still running", "cut": "cut off before its end"}


def _told(conversation: Conversation, side: Side) -> Iterator[str]:
    status = str(conversation.status) if conversation.status else ""
    state = _STATES.get(conversation.state, "")
    words = [word for word in (status, side.model, side.id, state) if word]
    head = [f"answer: {', '.join(_line(word) for word in words)}"] if words else []
    if lines := [*head, *_notes(side)]:
        yield "\n".join(lines)
    yield from _turns(side.turns)
    if conversation.state in {"running", "cut"} and not conversation.is_socket:
        yield "…: still running" if conversation.state == "running" else "…: the answer ends here, before its end"
        side = replace(side, ending="")  # what it said of itself by then
    yield from _end(side, conversation.bill)


def _end(side: Side, bill: Bill) -> Iterator[str]:
    """How it ended and what it used."""
    lines = []
    if side.problem is not None:
        problem = side.problem
        rows = [("type", problem.type), ("code", problem.code), ("param", problem.param), ("message", problem.message)]
        lines += ["error:", *(f"{INDENT}{name}: {_line(said)}" for name, said in rows if said)]
    if side.ending:
        lines.append(f"ended: {_line(side.ending)}")
    if used := _used(side.usage) if side.usage is not None else _counted(bill):
        lines.append(f"usage: {used}")
    if bill.usd is not None:
        cost = dollars(Decimal(str(bill.usd)))
        lines.append(f"cost: {cost}" + (", estimated" if bill.estimated else ""))
    if lines:
        yield "\n".join(lines)


def _used(usage: Usage) -> str:
    words = []
    if usage.input or usage.output:
        of_input = [(usage.cached, "cached"), (usage.input_audio, "of sound"), (usage.input_image, "of images")]
        of_output = [
            (usage.reasoning, "reasoning"),
            (usage.output_audio, "of sound"),
            (usage.output_image, "of images"),
        ]
        words += [f"{usage.input:,} tokens in{_within(of_input)}", f"{usage.output:,} out{_within(of_output)}"]
    if usage.seconds:
        words.append(f"{usage.seconds:,.1f} s of sound")
    words += [f"{count} {name}" for name, count in usage.calls]
    words += [f"tier {_line(usage.tier)}"] if usage.tier and usage.tier != "default" else []
    return ", ".join(words)


def _within(parts: Iterable[tuple[int, str]]) -> str:
    said = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    return f" ({said})" if said else ""


def _counted(bill: Bill) -> str:
    """Where the answer does not say it."""
    if bill.input_tokens is None and bill.output_tokens is None:
        return ""
    about = "about " if bill.estimated else ""
    return f"{about}{bill.input_tokens or 0:,} tokens in, {bill.output_tokens or 0:,} out, as codex-manager counted"


# --- what they say --------------------------------------------------------------------------------------------------


def _notes(side: Side) -> list[str]:
    return [f"note: {_line(note)}" for note in side.notes]


def _turns(turns: Sequence[Turn]) -> Iterator[str]:
    for turn in turns:
        role = _line(turn.role, 40) + (f", {_line(turn.note, 60)}" if turn.note else "")
        said: list[str] = []
        for block in turn.blocks:
            if block.kind in {"text", "media", "note"}:
                said.append(_laid_out(block))
                continue
            if said:
                yield _paragraph(role, "\n".join(said))
                said = []
            yield _paragraph(_titled(role, block), _laid_out(block))
        if said or not turn.blocks:
            yield _paragraph(role, "\n".join(said))


def _titled(role: str, block: Block) -> str:
    ref = f" ({_line(block.ref, 80)})" if block.ref else ""
    if block.kind == "call":
        return f"{role} calls {_line(block.name, 100) or 'a tool'}{ref}"
    if block.kind == "result":
        return f"result{ref}" if role in {"tool", "function", "assistant"} else f"{role}, result{ref}"
    return f"{role} {'thinks' if block.kind == 'reasoning' else 'refuses'}"


def _laid_out(block: Block) -> str:
    if block.kind in {"text", "result"}:
        return as_json(block.text) or block.text
    return block.text


def _paragraph(title: str, said: str) -> str:
    said = _harmless(said.replace("\r\n", "\n").replace("\r", "\n")).lstrip("\n").rstrip()
    if not said:
        return f'{title}: ""'
    return f"{title}: |\n" + "\n".join(f"{INDENT}{line}".rstrip(" ") for line in said.split("\n"))


def _harmless(said: str) -> str:
    return _HARMFUL.sub("\N{REPLACEMENT CHARACTER}", said)


def _line(said: str, most: int = 2000) -> str:
    """Somebody's words on a line of ours."""
    line = " ".join(_harmless(said[: most * 2]).split())
    return line if len(line) <= most else f"{line[:most]}…"


def _bounded(said: str) -> str:
    data = said.encode("utf-8", "replace")
    if len(data) <= LARGEST:
        return said
    tail = LARGEST - _HEAD - 200
    left = len(data) - _HEAD - tail
    head = data[:_HEAD].decode("utf-8", "ignore").rpartition("\n")[0] or data[:_HEAD].decode("utf-8", "ignore")
    end = data[-tail:].decode("utf-8", "ignore")
    end = end.partition("\n")[2] or end
    return f"{head}\n\n…: about {left:,} bytes are left out here\n\n{end}"
