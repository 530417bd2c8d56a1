"""What each kind of answer says of its use, and where it says it.

A `Kind` is a family of endpoints whose answers are read alike. Its reader is given the parsed document of an answer, or
of one event of a stream, and notes in `Seen` what it says. Does not know how the bytes came (core.metering.meters).

Law: readers never raise, whatever is in the place of what they look for.
"""

import math
import re

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from codex_manager.core.metering.figures import read_usage, seconds, tokens, word
from codex_manager.core.metering.skim import EACH, KEEP, Wanted
from codex_manager.core.metering.units import NO_UNITS, Units, image_kind
from codex_manager.core.usage import Usage


__all__ = [
    "BATCHES", "CHAT", "EMBEDDINGS", "EVALS", "GRADERS", "IMAGES", "MODERATIONS", "OVER", "RESPONSES", "RUNS", "SPEECH",
    "TRANSCRIPTS", "TUNING", "VIDEOS", "Kind", "Seen",
]  # fmt: skip

OVER: Final = frozenset({"completed", "failed", "incomplete", "cancelled", "canceled", "expired", "succeeded"})
"""Statuses after which nothing more is used."""
COSTS_NOTHING: Final = frozenset({"failed"})
"""Of jobs that are paid by what they made."""


@dataclass(slots=True)
class Seen:
    """What an answer has said so far."""

    asked_model: str = ""
    units: Units = NO_UNITS
    usage: Usage | None = None
    object_id: str | None = None
    status: str | None = None
    model: str = ""
    tier: str = ""
    finished: bool = False
    is_whole: bool = True
    """The document being read has come to its end."""

    def name(self, found: Mapping[str, Any]) -> None:
        """The members that most objects share."""
        self.object_id = word(found.get("id")) or self.object_id
        self.status = word(found.get("status")) or self.status
        self.model = word(found.get("model")) or self.model
        self.tier = word(found.get("service_tier")) or self.tier

    def settle(self, usage: Usage | None) -> None:
        """The figures have come; None changes nothing."""
        if usage is not None:
            self.usage = usage
            self.finished = True


type Reader = Callable[[Seen, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of saying what was used."""

    read: Reader
    wanted: dict[str, Wanted]
    """The members its reader looks at, for documents too large to be parsed whole."""
    hint: bytes = b'"usage"'
    """What is in every event worth reading."""
    marker: re.Pattern[bytes] = field(default=re.compile(rb'"usage"\s*:\s*\{'))
    """The same, so exact that few others have it."""
    first: bool = False
    """The first event is worth reading as well: it has the names that an estimate needs if no other comes."""
    passed_over: bytes | None = None
    """What the head of an event has that looks worth reading and is not: large, and said before."""
    delta: bytes | None = None
    """What occurs once for each token of output in a stream; None when the output is no text."""


def _chat(seen: Seen, found: dict[str, Any]) -> None:
    seen.name(found)
    seen.settle(read_usage(found.get("usage"), model=seen.model, tier=seen.tier))
    if seen.usage is not None and "-search-" in (seen.model or seen.asked_model):
        # Models that search before they answer (gpt-4o-search-preview, gpt-5-search-api) do so once a request, and the
        # search is billed by the call; nothing in the answer counts it.
        name = "web_search_preview" if "-preview" in (seen.model or seen.asked_model) else "web_search"
        seen.usage = replace(seen.usage, calls=((name, 1),))


def _embeddings(seen: Seen, found: dict[str, Any]) -> None:
    seen.name(found)
    seen.settle(read_usage(found.get("usage"), model=seen.model))


def _moderations(seen: Seen, found: dict[str, Any]) -> None:
    """Free, and without figures."""
    seen.name(found)
    seen.settle(Usage(model=seen.model))


def _response(seen: Seen, found: dict[str, Any]) -> None:
    """A response, a compaction, or an event that carries one."""
    inner = found.get("response")
    response = inner if isinstance(inner, dict) else found
    if response is found and word(found.get("type")):
        return  # an event about something else
    seen.name(response)
    usage = read_usage(response.get("usage"), model=seen.model, tier=seen.tier)
    if usage is not None:
        calls = _calls(response.get("output"), _search_of(response.get("tools"), seen.model))
        seen.settle(replace(usage, calls=calls) if calls else usage)
    if seen.status in OVER:
        seen.finished = True


_BILLED_CALLS: Final = {
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "shell_call": "shell",
    "image_generation_call": "image_generation",
}


def _calls(output: Any, search: str) -> tuple[tuple[str, int], ...]:
    """Built-in tools that are billed by the call or the session, counted in a response's output."""
    if not isinstance(output, list):
        return ()
    counts: dict[str, int] = {}
    for item in output:
        if not isinstance(item, dict):
            continue
        kind = word(item.get("type"))
        name = _BILLED_CALLS.get(kind)
        if kind == "web_search_call":
            action = item.get("action")
            # Opening a page found before, and looking something up in it, are not billed.
            if not isinstance(action, dict) or action.get("type") in {None, "search"}:
                name = search
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    return tuple(sorted(counts.items()))


def _search_of(tools: Any, model: str) -> str:
    """Both tools for searching make the same calls; the older one costs more with models that do not reason."""
    is_older = isinstance(tools, list) and any(
        isinstance(tool, dict) and word(tool.get("type")).startswith("web_search_preview") for tool in tools
    )
    return "web_search_preview" if is_older and model.startswith(("gpt-4o", "gpt-4.1")) else "web_search"


def _images(seen: Seen, found: dict[str, Any]) -> None:
    """Tokens from the models that draw by the token, images from those that do not."""
    said = read_usage(found.get("usage"), draws=True)
    if said is not None:
        seen.settle(said if seen.usage is None else _sum(seen.usage, said))
        return
    data = found.get("data")
    by_token = seen.asked_model.startswith(("gpt-image", "chatgpt-image"))
    if isinstance(data, list) and data and seen.is_whole and not by_token:
        asked = seen.units.image_kind
        kind = image_kind(found) if found.get("size") or not asked else asked
        seen.settle(Usage(images=len(data), image_kind=kind))


def _transcript(seen: Seen, found: dict[str, Any]) -> None:
    usage = read_usage(found.get("usage"), hears=True)
    if usage is None and "duration" in found and seen.is_whole:
        # Whisper's verbose answer before `usage` was added to it; whole seconds are billed.
        length = found["duration"]
        usage = Usage(seconds=float(math.ceil(seconds(length)))) if seconds(length) else None
    seen.settle(usage)


def _speech(seen: Seen, found: dict[str, Any]) -> None:
    usage = read_usage(found.get("usage"), speaks=True)
    if usage is not None and seen.asked_model.startswith("tts-1"):
        usage = replace(usage, characters=seen.units.characters)
    seen.settle(usage)


def _run(seen: Seen, found: dict[str, Any]) -> None:
    """An assistant's run. Its steps, which pass by in a stream too, report parts of the same."""
    if found.get("object") != "thread.run":
        return
    seen.name(found)
    seen.settle(read_usage(found.get("usage"), model=seen.model))
    if seen.status in OVER:
        seen.finished = True


def _batch(seen: Seen, found: dict[str, Any]) -> None:
    seen.name(found)
    if seen.status not in OVER:
        return  # what it says before is not the end of it
    seen.finished = True
    usage = read_usage(found.get("usage"), model=seen.model, tier="batch")
    if usage is None and seen.status in COSTS_NOTHING:
        usage = Usage(model=seen.model, tier="batch")  # its input was refused as a whole
    seen.settle(usage)


def _eval(seen: Seen, found: dict[str, Any]) -> None:
    """One run over several models: their figures together, under the name of the one that used most."""
    seen.name(found)
    if seen.status not in OVER:
        return
    seen.finished = True
    rows = found.get("per_model_usage")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    _settle_models(seen, {word(row.get("model_name")): row for row in rows})


def _grader(seen: Seen, found: dict[str, Any]) -> None:
    """Its figures by model have no published shape; those of the other graders are taken for it."""
    by_model = found.get("model_grader_token_usage_per_model")
    if isinstance(by_model, dict) and by_model:
        _settle_models(seen, by_model)
    elif "reward" in found and seen.is_whole:
        seen.settle(Usage())  # a grader that compares texts asks no model


def _settle_models(seen: Seen, by_model: Mapping[str, Any]) -> None:
    figures: list[Usage] = []
    for name, row in by_model.items():
        said = read_usage({"total_tokens": row} if isinstance(row, int) else row, model=word(name))
        if said is not None:
            figures.append(said)
    if not figures:
        return
    figures.sort(key=lambda usage: -usage.total)
    whole = figures[0]
    for other in figures[1:]:
        whole = _sum(whole, other)
    seen.settle(replace(whole, estimated=len(figures) > 1))


def _tuning(seen: Seen, found: dict[str, Any]) -> None:
    """Fine-tuning is billed by the tokens trained on, under a tier of our own."""
    seen.name(found)
    if seen.status not in OVER:
        return
    seen.finished = True
    trained = tokens(found.get("trained_tokens"))
    if trained or seen.status in COSTS_NOTHING:
        seen.settle(Usage(input=trained, model=seen.model, tier="training"))


def _video(seen: Seen, found: dict[str, Any]) -> None:
    seen.name(found)
    if not seen.is_whole:
        return
    if seen.status == "completed":
        length = seconds(found.get("seconds")) or seen.units.heard_s
        size = word(found.get("size")) or seen.units.image_kind
        seen.settle(Usage(seconds=length, image_kind=size, model=seen.model))
    elif seen.status in COSTS_NOTHING:
        seen.settle(Usage(model=seen.model))


def _sum(one: Usage, other: Usage) -> Usage:
    """Of two figures of the same answer."""
    return replace(
        one,
        input=one.input + other.input,
        cached=one.cached + other.cached,
        cache_write=one.cache_write + other.cache_write,
        input_audio=one.input_audio + other.input_audio,
        cached_audio=one.cached_audio + other.cached_audio,
        input_image=one.input_image + other.input_image,
        cached_image=one.cached_image + other.cached_image,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
        output_audio=one.output_audio + other.output_audio,
        output_image=one.output_image + other.output_image,
    )


_NAMES: Final[dict[str, Wanted]] = {"id": KEEP, "model": KEEP, "status": KEEP, "service_tier": KEEP, "usage": KEEP}
_RESPONSE: Final[dict[str, Wanted]] = {
    **_NAMES,
    "output": [{"type": KEEP, "action": {"type": KEEP}}],
    "tools": [{"type": KEEP}],
}

CHAT: Final = Kind(_chat, _NAMES, first=True, delta=b"data:")
EMBEDDINGS: Final = Kind(_embeddings, _NAMES)
MODERATIONS: Final = Kind(_moderations, _NAMES)
RESPONSES: Final = Kind(
    _response,
    {**_RESPONSE, "type": KEEP, "response": _RESPONSE},
    hint=b'"response"',
    marker=re.compile(rb'"response"\s*:\s*\{'),
    first=True,
    passed_over=b'"response.in_progress"',
    delta=b'.delta"',
)
IMAGES: Final = Kind(_images, {"usage": KEEP, "size": KEEP, "quality": KEEP, "data": [EACH]})
TRANSCRIPTS: Final = Kind(_transcript, {"usage": KEEP, "duration": KEEP}, delta=b'.delta"')
SPEECH: Final = Kind(_speech, {"usage": KEEP})
RUNS: Final = Kind(_run, {**_NAMES, "object": KEEP}, first=True, delta=b'.delta"')
BATCHES: Final = Kind(_batch, _NAMES)
EVALS: Final = Kind(_eval, {**_NAMES, "per_model_usage": KEEP})
GRADERS: Final = Kind(_grader, {"reward": KEEP, "model_grader_token_usage_per_model": KEEP})
TUNING: Final = Kind(_tuning, {**_NAMES, "trained_tokens": KEEP})
VIDEOS: Final = Kind(_video, {**_NAMES, "seconds": KEEP, "size": KEEP})
