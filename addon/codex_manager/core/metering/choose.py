"""Which meter watches the answer of which endpoint.

Law: pure and quick; it is asked once a request. An endpoint that is not named here never says what it used, or uses
nothing.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from codex_manager.core.endpoint import Endpoint
from codex_manager.core.metering import kinds
from codex_manager.core.metering.kinds import Kind
from codex_manager.core.metering.meters import BytesMeter, JsonMeter, Meter, StreamMeter, TextMeter
from codex_manager.core.metering.units import NO_UNITS, Units


__all__ = ["meter_for"]

_MADE: Final[Mapping[str, Kind]] = {
    "chat/completions": kinds.CHAT,
    "completions": kinds.CHAT,
    "responses": kinds.RESPONSES,
    "responses/compact": kinds.RESPONSES,
    "embeddings": kinds.EMBEDDINGS,
    "moderations": kinds.MODERATIONS,
    "images/generations": kinds.IMAGES,
    "images/edits": kinds.IMAGES,
    "images/variations": kinds.IMAGES,
    "audio/speech": kinds.SPEECH,
    "audio/transcriptions": kinds.TRANSCRIPTS,
    "audio/translations": kinds.TRANSCRIPTS,
    "threads/runs": kinds.RUNS,
    "batches": kinds.BATCHES,
    "fine_tuning/jobs": kinds.TUNING,
    "fine_tuning/alpha/graders/run": kinds.GRADERS,
    "videos": kinds.VIDEOS,
    "videos/edits": kinds.VIDEOS,
    "videos/extensions": kinds.VIDEOS,
}
"""POST: what is made by this request."""
_SHOWN: Final[Mapping[str, tuple[Kind, frozenset[str]]]] = {
    "responses": (kinds.RESPONSES, frozenset({"cancel"})),
    "batches": (kinds.BATCHES, frozenset({"cancel"})),
    "fine_tuning/jobs": (kinds.TUNING, frozenset({"cancel", "pause", "resume"})),
    "videos": (kinds.VIDEOS, frozenset()),
    "threads/runs": (kinds.RUNS, frozenset({"cancel", "submit_tool_outputs"})),
    "evals/runs": (kinds.EVALS, frozenset()),
}
"""What was made by an earlier request, by its path without ids, with the verbs that may follow its id."""


def meter_for(
    endpoint: Endpoint,
    content_type: str | None,
    *,
    units: Units = NO_UNITS,
    model: str | None = None,
) -> Meter | None:
    """A meter for a good answer, or None where nothing can be said.

    `content_type` is the answer's; `units` are `request_units` of the request and `model` is the one it asks for.
    """
    kind, settles = _kind_of(endpoint.path, is_read=endpoint.replay == "read")
    if kind is None:
        return None
    media = _media(content_type) if content_type else ""
    if media == "text/event-stream":
        return StreamMeter(kind, units=units, model=model, settles=settles)
    if kind is kinds.SPEECH and media != "application/json":
        return BytesMeter(units=units, model=model)
    if kind is kinds.TRANSCRIPTS and media.startswith("text/"):
        return TextMeter(units=units, model=model)
    return JsonMeter(kind, units=units, model=model, settles=settles)


@lru_cache(maxsize=256)
def _kind_of(path: str, *, is_read: bool) -> tuple[Kind | None, bool]:
    """The kind, and whether it is something made earlier."""
    resource = path[4:].rstrip("/") if path.startswith("/v1/") else ""
    kind = None if is_read else _MADE.get(resource)
    return (kind, False) if kind is not None else _by_id(resource, is_read=is_read)


@lru_cache(maxsize=64)
def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _by_id(resource: str, *, is_read: bool) -> tuple[Kind | None, bool]:
    """For paths with ids in them: the kind, and whether it is something made earlier."""
    names = resource.split("/")
    first = names[0]
    if first in {"threads", "evals"}:  # threads/{id}/runs[/{id}[/verb]]
        if len(names) < 3 or names[2] != "runs":
            return None, False
        if len(names) == 3:
            return (None, False) if is_read else (kinds.RUNS if first == "threads" else kinds.EVALS, False)
        shown, rest = _SHOWN[f"{first}/runs"], names[4:]
    elif first == "fine_tuning":  # fine_tuning/jobs/{id}[/verb]
        if len(names) < 3 or names[1] != "jobs":
            return None, False
        shown, rest = _SHOWN["fine_tuning/jobs"], names[3:]
    elif first == "videos" and len(names) == 3 and names[2] == "remix":
        return (None, False) if is_read else (kinds.VIDEOS, False)
    elif first in _SHOWN and len(names) >= 2:
        shown, rest = _SHOWN[first], names[2:]
    else:
        return None, False
    kind, verbs = shown
    is_verb = len(rest) == 1 and rest[0] in verbs and not is_read
    # Runs are changed by POST to their own path; what follows others there is no id (`responses/input_tokens`).
    is_object = not rest and (is_read or first in {"threads", "evals"})
    return (kind, True) if is_verb or is_object else (None, False)
