"""The endpoints that answer numbers, pictures and sound: embeddings, moderations, images, audio."""

import array
import base64
import hashlib
import struct
import sys

from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.multipart import fields
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.sse import event_stream
from codex_manager.testing.openai.usage import (
    embedding_usage,
    image_usage,
    seconds_of,
    speech_usage,
    transcription_usage,
)
from codex_manager.testing.reply import Reply, json_reply
from codex_manager.testing.step import Good


__all__ = ["embeddings", "images", "moderation", "speech", "transcription"]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""What moderation judges by."""


def vector(text: str, dimensions: int) -> list[float]:
    """Numbers in [-1, 1) that depend on the text alone; exact in 32 bits."""
    stream = hashlib.shake_256(text.encode()).digest(dimensions * 2)
    return [value / 32768 for value in struct.unpack(f"<{dimensions}h", stream)]


def embeddings(facts: Facts, good: Good) -> Reply:
    body = facts.json
    if "input" not in body:
        return errors.missing_parameter("input")
    given = body["input"]
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    dimensions = body.get("dimensions") or (3072 if str(facts.model).endswith("large") else 1536)
    data = []
    for index, text in enumerate(inputs):
        numbers = vector(str(text), dimensions)
        value: Any = numbers
        if body.get("encoding_format") == "base64":
            packed = array.array("f", numbers)
            if sys.byteorder == "big":
                packed.byteswap()
            value = base64.b64encode(packed.tobytes()).decode()
        data.append({"object": "embedding", "index": index, "embedding": value})
    return json_reply({"object": "list", "data": data, "model": facts.model, "usage": embedding_usage(facts, good)})


def moderation(facts: Facts, _good: Good) -> Reply:
    given = facts.json.get("input")
    if given is None:
        return errors.missing_parameter("input")
    result = {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.0001),
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
    results = [result] * (len(given) if isinstance(given, list) else 1)
    model = facts.model or "omni-moderation-latest"
    return json_reply({"id": f"modr-{facts.digest()}", "model": model, "results": results})


def images(facts: Facts, good: Good) -> Reply:
    """Generations from JSON, edits and variations from a form; one pixel either way. Models of DALL·E report no usage."""
    form = fields(facts.content_type, facts.seen.body) if "multipart/" in facts.content_type else None
    if form is not None and not any(name in form for name in ("image", "image[]")):
        return errors.missing_parameter("image")
    if form is None and "prompt" not in facts.json:
        return errors.missing_parameter("prompt")

    def asked(name: str, otherwise: str) -> str:
        if form is not None:
            return form[name].content.decode("utf-8", "replace") if name in form else otherwise
        return str((facts.json or {}).get(name) or otherwise)

    count = int(asked("n", "1"))
    size, quality = asked("size", "auto"), asked("quality", "auto")
    picture = {"b64_json": base64.b64encode(PIXEL).decode(), "revised_prompt": f"request {facts.digest(16)}"}
    made = {"created": facts.created, "data": [picture] * count}
    if not (facts.model or "").startswith(("gpt-image", "chatgpt-image")):
        return json_reply(made)
    usage = image_usage(
        good, prompt=len(asked("prompt", "")), given=int(form is not None), count=count, quality=quality, size=size
    )
    if asked("stream", "false").lower() != "true":
        return json_reply(
            {**made, "background": "opaque", "output_format": "png", "quality": quality, "size": size, "usage": usage}
        )
    name = "image_generation" if form is None else "image_edit"
    common = {"b64_json": picture["b64_json"], "created_at": facts.created, "size": size, "quality": quality, "background": "opaque",
              "output_format": "png"}  # fmt: skip
    partial = [
        {"type": f"{name}.partial_image", "partial_image_index": n, **common}
        for n in range(int(asked("partial_images", "0")))
    ]
    done = {"type": f"{name}.completed", **common, "usage": usage}
    return event_stream([*partial, done], named=True, every_s=good.every_s, stamped=good.stamped, done=False)


def speech(facts: Facts, good: Good) -> Reply:
    """About 24 KB of sound that says nothing, in pieces without a length as OpenAI sends it, or as events."""
    if "input" not in facts.json:
        return errors.missing_parameter("input")
    sound = b"\xff\xf3\x64\xc4" + hashlib.shake_256(facts.digest().encode()).digest(24_000)
    size = -(-len(sound) // max(1, good.chunks))
    pieces = [sound[start : start + size] for start in range(0, len(sound), size)]
    if facts.json.get("stream_format") == "sse":
        deltas = [{"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in pieces]
        usage = speech_usage(good, text=str(facts.json["input"]), sound=len(sound))
        done = {"type": "speech.audio.done", "usage": usage}
        return event_stream([*deltas, done], named=False, every_s=good.every_s, stamped=good.stamped, done=False)
    return Reply(headers=[("content-type", "audio/mpeg")], body=iter(pieces), every_s=good.every_s)


def transcription(facts: Facts, good: Good) -> Reply:
    form = fields(facts.content_type, facts.seen.body)
    if "file" not in form:
        return errors.missing_parameter("file")
    text = good.text or f"{facts.model} heard {len(form['file'].content)} bytes."
    kind = form["response_format"].content.decode() if "response_format" in form else "json"
    if kind in {"text", "srt", "vtt"}:
        return Reply(headers=[("content-type", "text/plain; charset=utf-8")], body=f"{text}\n".encode())
    seconds, prompt = seconds_of(len(form["file"].content)), form["prompt"].content if "prompt" in form else b""
    usage = transcription_usage(facts.model or "", good, seconds=seconds, prompt=len(prompt), text=text)
    if kind == "verbose_json":
        told = {"task": "transcribe", "language": "english", "duration": float(seconds), "text": text, "segments": []}
        return json_reply({**told, "usage": usage})
    if "stream" in form and form["stream"].content == b"true":
        words = [{"type": "transcript.text.delta", "delta": f"{word} "} for word in text.split()]
        done = {"type": "transcript.text.done", "text": text, "usage": usage}
        return event_stream([*words, done], named=True, every_s=good.every_s, stamped=good.stamped, done=False)
    return json_reply({"text": text, "usage": usage})
