"""Pictures and sound: what is asked for, and what comes back, named and never shown."""

from typing import Any, Final

from codex_manager.core.conversation.content import settings_of
from codex_manager.core.conversation.documents import Stream
from codex_manager.core.conversation.media import address, bytes_of, media, size
from codex_manager.core.conversation.model import Block, Side, Turn
from codex_manager.core.conversation.problem import problem_of
from codex_manager.core.conversation.values import label, number, rows, text
from codex_manager.core.form import parts
from codex_manager.core.metering.figures import read_usage


__all__ = ["read_bytes", "read_document", "read_form", "read_request", "read_studio_stream"]

_SAID: Final = {"prompt": "prompt", "input": "text to speak", "instructions": "instructions"}
LONGEST_FIELD: Final = 32 * 1024
"""Bytes of a form's field."""


def read_request(side: Side, body: dict[str, Any]) -> None:
    """What is to be drawn or spoken."""
    side.model = label(body.get("model"))
    side.settings += settings_of(body)
    for name, role in _SAID.items():
        if isinstance(body.get(name), str):
            side.turns.append(Turn(role, (Block("text", text(body[name])),)))


def read_form(side: Side, content_type: str, body: bytes) -> None:
    """The fields of a form, its files by their size."""
    found = parts(content_type, body)
    if found is None:
        side.notes.append(f"a form of {size(len(body))} that cannot be taken apart")
        return
    fields: dict[str, Any] = {}
    files: list[Block] = []
    for part in found:
        length = part.end - part.begin
        if part.is_file:
            files.append(media(label(part.name) or "file", size(length)))
        elif length <= LONGEST_FIELD:
            fields[part.name] = body[part.begin : part.end].decode("utf-8", "replace").strip()
    fields = {name: {"true": True, "false": False}.get(value, value) for name, value in fields.items()}
    read_request(side, fields)
    if files:
        side.turns.append(Turn("files", tuple(files)))


def read_document(side: Side, body: dict[str, Any]) -> None:
    """Pictures that were made, or a transcript."""
    side.problem, side.finished = problem_of(body), True
    speaks = "text" in body
    side.usage = read_usage(body.get("usage"), hears=speaks, draws=not speaks)
    kind = label(body.get("output_format"))
    about = [label(body.get(name)) for name in ("size", "quality")]
    for each in rows(body.get("data")):
        side.turns.append(Turn("image", tuple(_drawn(each, f"image/{kind}" if kind else "", *about))))
    if isinstance(body.get("text"), str):
        side.turns.append(Turn("transcript", (Block("text", text(body["text"])), *_about(body))))


def _drawn(image: dict[str, Any], *about: str) -> list[Block]:
    said = [word for word in about[1:] if word]
    if isinstance(image.get("b64_json"), str):
        named = bytes_of("image", image["b64_json"], about[0] if about else "")
        found = [Block("media", named.text[:-1] + "".join(f", {word}" for word in said) + "]")]
    elif isinstance(image.get("url"), str):
        found = [address("image", image["url"], *said)]
    else:
        found = [media("image", *said)]
    if isinstance(image.get("revised_prompt"), str):
        found.append(Block("text", f"drawn from: {text(image['revised_prompt'])}"))
    return found


def _about(body: dict[str, Any]) -> list[Block]:
    """What a verbose transcript says besides the words."""
    said = [label(body.get("language"))]
    if length := number(body.get("duration")):
        said.append(f"{length} s")
    counts = {name: len(rows(body.get(name))) for name in ("segments", "words", "logprobs")}
    said += [f"{count:,} {name}" for name, count in counts.items() if count]
    said = [word for word in said if word]
    return [Block("note", f"[{', '.join(said)}]")] if said else []


def read_studio_stream(side: Side, stream: Stream) -> None:
    """Pictures as they become clearer, a transcript as it is written, speech as it is spoken."""
    words: list[str] = []
    whole: str | None = None
    spoken, partial = 0, 0
    for event in stream.events:
        kind = label(event.get("type"))
        if kind == "error" or "error" in event:
            side.problem = problem_of(event)
        elif kind.endswith("partial_image"):
            partial += 1
        elif kind.startswith("image_") and kind.endswith(".completed"):
            read_document(side, {**event, "data": [event]})
        elif kind == "transcript.text.delta" and isinstance(event.get("delta"), str):
            words.append(event["delta"])
        elif kind == "transcript.text.done":
            whole = text(event.get("text"))
            side.usage, side.finished = read_usage(event.get("usage"), hears=True), True
        elif kind == "transcript.text.segment":
            words += [text(event.get("text"))]
        elif kind == "speech.audio.delta" and isinstance(event.get("audio"), str):
            spoken += len(event["audio"])
        elif kind == "speech.audio.done":
            side.usage, side.finished = read_usage(event.get("usage"), speaks=True), True
    if partial:
        side.notes.append(f"{partial} image{'s' if partial > 1 else ''} on the way")
    if spoken:
        side.turns.append(Turn("speech", (media("audio", size(spoken * 3 // 4)),)))
    if whole is not None or words:
        side.turns.append(Turn("transcript", (Block("text", whole if whole is not None else text("".join(words))),)))
    side.finished |= stream.done or side.problem is not None


def read_bytes(side: Side, content_type: str, body: bytes, length: int) -> None:
    """A sound file, or a transcript as plain text; `length` is the whole body's."""
    kind = content_type.partition(";")[0].strip().lower()
    side.finished = len(body) >= length
    if kind.startswith("text/"):
        side.turns.append(Turn("transcript", (Block("text", text(body[:LONGEST_FIELD].decode("utf-8", "replace"))),)))
    else:
        side.turns.append(Turn("answer", (media(kind.partition("/")[0] or "file", kind, size(length)),)))
