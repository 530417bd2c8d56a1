"""Which part of the API a request is for, and whether it may be sent a second time.

Knows the paths of OpenAI's API (specification 2.3.0 of 2026-08-21; tests/core/openai_paths.txt lists them all with what
is expected here). Does not look at bodies: what they change is handed in.

Law: conservative. A call may be repeated only when it reads (GET, HEAD, OPTIONS) or is in `STATELESS`; every other
method and every unknown path counts as creating something, because a batch or a file made twice costs money and is
found by nobody.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal


__all__ = ["FAMILIES", "Endpoint", "Replay", "describe", "name_of"]

type Replay = Literal["stateless", "state_creating", "read"]

STATELESS = frozenset({
    # Generation. A response with `store: true` is kept by OpenAI, but one more of it is read by nobody and costs no
    # more than its tokens, as with any other repeated generation.
    "chat/completions",
    "completions",
    "responses",
    "responses/compact",
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    # Questions asked by POST.
    "embeddings",
    "moderations",
    "responses/input_tokens",
    "content_provenance_checks",
    "fine_tuning/alpha/graders/run",
    "fine_tuning/alpha/graders/validate",
})  # fmt: skip

FAMILIES = frozenset({
    "assistants", "audio", "batches", "chat", "chatkit", "completions", "containers", "content_provenance_checks",
    "conversations", "embeddings", "evals", "files", "fine_tuning", "images", "models", "moderations", "organization",
    "projects", "realtime", "responses", "skills", "threads", "uploads", "vector_stores", "videos",
})  # fmt: skip
"""First segment after `/v1`; what is not here is of the family `other`."""


WORDS = FAMILIES | frozenset({
    "accept", "alpha", "archive", "calls", "cancel", "characters", "checkpoints", "client_secrets", "compact", "complete",
    "content", "costs", "edits", "events", "extensions", "file_batches", "generations", "graders", "hangup", "input_items",
    "input_tokens", "items", "jobs", "messages", "output_items", "parts", "pause", "permissions", "refer", "reject", "remix",
    "resume", "run", "runs", "search", "sessions", "speech", "steps", "submit_tool_outputs", "transcription_sessions",
    "transcriptions", "translations", "usage", "validate", "variations", "versions", "voice_consents", "voices",
})  # fmt: skip
"""Segments that are no ids, but for those of the organization's administration, which nobody meters."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What method and path say about a request."""

    path: str
    """Without the query, as received."""
    family: str
    is_models_list: bool
    replay: Replay
    """By the path alone; a body may still make it `state_creating`."""

    def replay_with(self, *, creates_state: bool) -> Replay:
        """The same with what the body says (`BodyFacts.creates_state`): a response in the background is a job that
        goes on when we have left, one in a conversation is written into it.
        """
        return "state_creating" if creates_state and self.replay == "stateless" else self.replay


def describe(method: str, target: str) -> Endpoint:
    """What a request is; `target` in origin form, with or without a query. Never raises."""
    path = target.partition("?")[0].partition("#")[0]
    resource = path[4:].rstrip("/") if path.startswith("/v1/") else ""
    first = resource.partition("/")[0]
    return Endpoint(
        path=path,
        family=first if first in FAMILIES else "other",
        is_models_list=method == "GET" and resource == "models",
        replay=_replay(method, resource),
    )


@lru_cache(maxsize=256)
def name_of(path: str) -> str:
    """What is asked, without ids and without `/v1`: `chat/completions`, `files/content`; `other` for what is no path of the API.

    Real paths have about a hundred names, so that they can key totals.
    """
    resource = path[4:].rstrip("/") if path.startswith("/v1/") else ""
    if resource in STATELESS:
        return resource
    segments = resource.split("/", 6)[:6]
    if segments[0] not in FAMILIES:
        return "other"
    named = [segments[0]]
    named += [segment for segment in segments[1:] if segment in WORDS and segment != named[-1]]
    return "/".join(named[:4])


def _replay(method: str, resource: str) -> Replay:
    if method in {"GET", "HEAD", "OPTIONS"}:
        return "read"
    if method == "POST" and (resource in STATELESS or _is_search(resource)):
        return "stateless"
    return "state_creating"


def _is_search(resource: str) -> bool:
    """`vector_stores/{id}/search`: the one stateless POST with an id in its path."""
    segments = resource.split("/")
    return len(segments) == 3 and segments[0] == "vector_stores" and segments[2] == "search"
