"""What an answer of the fake used, in the shapes of the published API.

Law: equal content gives equal counts, whether it is streamed or not and whatever else is in the request, so that two ways
to the same answer can be compared to the token. About four bytes are a token; a prompt long enough is partly cached
(unless the fake remembers prompts: openai.prompts); reasoning models reason. `ok(usage={...})` replaces any of it.
"""

import json

from collections.abc import Mapping
from typing import Any

from codex_manager.testing.openai.prompts import BLOCK, CACHED_FROM
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.step import Good


__all__ = [
    "batch_usage", "chat_usage", "completion_usage", "embedding_usage", "image_usage", "input_tokens", "realtime_usage",
    "response_usage", "seconds_of", "served_tier", "speech_usage", "tokens", "transcription_usage",
]  # fmt: skip

CONTENT = ("messages", "input", "instructions", "prompt", "tools", "functions")
"""Fields of a request that a model reads."""
REASONING = 64
IMAGE_TOKENS = {
    # (quality, size): what gpt-image-1 makes of one image, as the image guide says
    ("low", "1024x1024"): 272, ("low", "1024x1536"): 408, ("low", "1536x1024"): 400,
    ("medium", "1024x1024"): 1056, ("medium", "1024x1536"): 1584, ("medium", "1536x1024"): 1568,
    ("high", "1024x1024"): 4160, ("high", "1024x1536"): 6240, ("high", "1536x1024"): 6208,
}  # fmt: skip
INPUT_IMAGE_TOKENS = 323
"""An image given for editing."""
AUDIO_BYTES_A_SECOND = 16_000


def tokens(size: int) -> int:
    """About four bytes a token."""
    return max(1, size // 4)


def input_tokens(facts: Facts) -> int:
    """What the model reads; a body that was not kept whole, or is a form, counts by its size."""
    body = facts.json
    if not isinstance(body, dict):
        return tokens(facts.seen.body_size)
    return tokens(sum(len(json.dumps(body[name], ensure_ascii=False)) for name in CONTENT if body.get(name)))


def served_tier(body: Mapping[str, Any]) -> str:
    """The service tier an answer names."""
    asked = body.get("service_tier")
    return asked if asked in {"flex", "priority", "scale"} else "default"


def cached(facts: Facts, prompt: int) -> int:
    """Of a prompt's tokens, those read from the cache: what it remembers, or a part that is always the same."""
    if facts.recalled is not None:
        return min(facts.recalled, prompt)
    found = (prompt // BLOCK - 1) * BLOCK
    return found if found >= CACHED_FROM else 0


def reasoning(facts: Facts, said: int) -> int:
    """Tokens a reasoning model thinks before it says `said` tokens; no more than it may."""
    name, body = facts.model or "", facts.json
    effort = body.get("reasoning_effort") or (body.get("reasoning") or {}).get("effort")
    if not name.startswith(("o1", "o3", "o4", "gpt-5")) or "chat" in name or effort in {"none", "minimal"}:
        return 0
    caps = (body.get(field) for field in ("max_completion_tokens", "max_output_tokens", "max_tokens"))
    cap = next((cap for cap in caps if isinstance(cap, int)), None)
    return REASONING if cap is None else min(REASONING, max(0, cap - said))


def chat_usage(facts: Facts, good: Good, text: str) -> dict[str, Any]:
    """CompletionUsage of a chat; sound and pictures among the messages are told apart."""
    body, prompt, said = facts.json, input_tokens(facts), tokens(len(text))
    parts = [part for message in body["messages"] if isinstance(message, dict) and isinstance(message.get("content"), list)
             for part in message["content"] if isinstance(part, dict)]  # fmt: skip
    heard = sum(
        tokens(len(str((part.get("input_audio") or {}).get("data", ""))))
        for part in parts
        if part.get("type") == "input_audio"
    )
    spoken = said * 4 if "audio" in (body.get("modalities") or ()) else 0
    thought = reasoning(facts, said + spoken)
    return _given({
        "prompt_tokens": prompt,
        "completion_tokens": said + spoken + thought,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": cached(facts, prompt), "audio_tokens": min(heard, prompt)},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": spoken, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    }, good, "prompt_tokens", "completion_tokens")  # fmt: skip


def completion_usage(facts: Facts, good: Good, text: str) -> dict[str, Any]:
    """CompletionUsage of the older endpoint."""
    usage = {"prompt_tokens": input_tokens(facts), "completion_tokens": tokens(len(text)), "total_tokens": 0}
    return _given(usage, good, "prompt_tokens", "completion_tokens")


def response_usage(facts: Facts, good: Good, text: str) -> dict[str, Any]:
    """ResponseUsage."""
    prompt, said = input_tokens(facts), tokens(len(text))
    thought = reasoning(facts, said)
    return _given({
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached(facts, prompt), "cache_write_tokens": 0},
        "output_tokens": said + thought,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": 0,
    }, good)  # fmt: skip


def embedding_usage(facts: Facts, good: Good) -> dict[str, Any]:
    """Of the input alone: embeddings have no output tokens."""
    usage = {"prompt_tokens": input_tokens(facts), "total_tokens": 0}
    return _given(usage, good, "prompt_tokens", "prompt_tokens", output=False)


def image_usage(good: Good, *, prompt: int, given: int, count: int, quality: str, size: str) -> dict[str, Any]:
    """ImagesUsage of a GPT image model: `prompt` bytes of text, `given` images, `count` made."""
    text, pictures = tokens(prompt), given * INPUT_IMAGE_TOKENS
    made = count * IMAGE_TOKENS.get((quality, size), IMAGE_TOKENS["medium", "1024x1024"])
    return _given({
        "total_tokens": 0,
        "input_tokens": text + pictures,
        "output_tokens": made,
        "input_tokens_details": {"text_tokens": text, "image_tokens": pictures},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": made},
    }, good)  # fmt: skip


def seconds_of(size: int) -> int:
    """How long a sound of so many bytes is."""
    return max(1, -(-size // AUDIO_BYTES_A_SECOND))


def transcription_usage(model: str, good: Good, *, seconds: int, prompt: int, text: str) -> dict[str, Any]:
    """By duration for Whisper, by tokens for the others."""
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": seconds, **(good.usage or {})}
    heard, read = seconds * 10, tokens(prompt) if prompt else 0
    return _given({
        "type": "tokens",
        "input_tokens": heard + read,
        "input_token_details": {"text_tokens": read, "audio_tokens": heard},
        "output_tokens": tokens(len(text)),
        "total_tokens": 0,
    }, good)  # fmt: skip


def speech_usage(good: Good, *, text: str, sound: int) -> dict[str, Any]:
    """Of `speech.audio.done`."""
    return _given({"input_tokens": tokens(len(text)), "output_tokens": seconds_of(sound) * 20, "total_tokens": 0}, good)


def realtime_usage(
    good: Good, *, heard: dict[str, int], known: dict[str, int], text: str, spoken: bool
) -> dict[str, Any]:
    """Of Realtime's `response.done`: the whole conversation is read again each time, what was `known` before from the cache."""
    said = tokens(len(text))
    audio = said * 4 if spoken else 0
    return _given({
        "total_tokens": 0,
        "input_tokens": sum(heard.values()),
        "output_tokens": said + audio,
        "input_token_details": {
            "text_tokens": heard["text"], "audio_tokens": heard["audio"], "image_tokens": 0, "cached_tokens": sum(known.values()),
            "cached_tokens_details": {"text_tokens": known["text"], "audio_tokens": known["audio"], "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": said, "audio_tokens": audio},
    }, good)  # fmt: skip


def batch_usage(good: Good, *, read: int, said: int) -> dict[str, Any]:
    """Of a completed batch."""
    return _given({
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }, good)  # fmt: skip


def _given(
    usage: dict[str, Any],
    good: Good,
    first: str = "input_tokens",
    second: str = "output_tokens",
    *,
    output: bool = True,
) -> dict[str, Any]:
    """The usage with what the script says about it, and the total that follows."""
    for name, value in (good.usage or {}).items():
        usage[name] = {**usage[name], **value} if isinstance(value, Mapping) and name in usage else value
    if "total_tokens" not in (good.usage or {}):
        usage["total_tokens"] = usage[first] + (usage[second] if output else 0)
    return usage
