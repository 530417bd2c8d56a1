"""Kinds of things that only have to be there: made, read, changed, listed and deleted, with the fields their reference names.

What one of them would do (train a model, draw a video) it does not; files, batches, responses and vector stores, which do
something, are in `storage`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.listing import Listed
from codex_manager.testing.openai.multipart import fields
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import Shelf
from codex_manager.testing.reply import Reply
from codex_manager.testing.step import Good


__all__ = ["KINDS", "Kind", "maker", "new_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of thing."""

    path: str
    """Where it is made and listed, below `/v1/`."""
    prefix: str
    object: str
    called: str
    """In OpenAI's errors."""
    needs: tuple[str, ...] = ()
    """Parameters it cannot be made without."""
    takes: tuple[str, ...] = ()
    """Others that are shown again."""
    fields: tuple[tuple[str, Any], ...] = ()
    """What else it has."""
    listed: Listed | None = None
    made: bool = True
    """There is a POST that makes it."""
    changed: bool = False
    """There is a POST that changes it."""
    removed: str = ""
    """The `object` of its deletion; empty: it cannot be deleted."""
    id_field: str = "id"
    """Of its deletion."""


KINDS: dict[str, Kind] = {
    "fine_tuning_job": Kind(
        path="fine_tuning/jobs", prefix="ftjob-", object="fine_tuning.job", called="fine-tuning job",
        needs=("model", "training_file"), takes=("validation_file", "metadata", "seed"),
        fields=(("status", "queued"), ("fine_tuned_model", None), ("finished_at", None), ("trained_tokens", None),
                ("result_files", []), ("error", None), ("hyperparameters", {"n_epochs": "auto"})),
        listed=Listed(most=10_000, ordered=False, metadata=True, ends=False),
    ),
    "assistant": Kind(
        path="assistants", prefix="asst_", object="assistant", called="assistant", needs=("model",),
        takes=("name", "description", "instructions", "tools", "tool_resources", "metadata"), changed=True, removed="assistant.deleted",
        listed=Listed(before=True),
    ),
    "thread": Kind(
        path="threads", prefix="thread_", object="thread", called="thread", takes=("metadata", "tool_resources"), changed=True,
        removed="thread.deleted",
    ),
    "conversation": Kind(
        path="conversations", prefix="conv_", object="conversation", called="conversation", takes=("metadata",), changed=True,
        removed="conversation.deleted",
    ),
    "container": Kind(
        path="containers", prefix="cntr_", object="container", called="container", needs=("name",), takes=("expires_after",),
        fields=(("status", "running"),), removed="container.deleted", listed=Listed(filters=("name",)),
    ),
    "eval": Kind(
        path="evals", prefix="eval_", object="eval", called="eval", needs=("data_source_config", "testing_criteria"),
        takes=("name", "metadata"), changed=True, removed="eval.deleted", id_field="eval_id", listed=Listed(newest_first=False),
    ),
    "video": Kind(
        path="videos", prefix="video_", object="video", called="video", needs=("prompt",),
        takes=("model", "seconds", "size"), fields=(("status", "queued"), ("progress", 0)), removed="video.deleted",
        listed=Listed(least=0),
    ),
    "skill": Kind(
        path="skills", prefix="skill_", object="skill", called="skill", takes=("name", "description"),
        fields=(("default_version", "1"), ("latest_version", "1")), changed=True, removed="skill.deleted",
        listed=Listed(least=0),
    ),
    "voice_consent": Kind(
        path="audio/voice_consents", prefix="cons_", object="audio.voice_consent", called="voice consent",
        needs=("name", "language"), changed=True, removed="audio.voice_consent", listed=Listed(ordered=False),
    ),
    "chatkit_thread": Kind(
        path="chatkit/threads", prefix="cthr_", object="chatkit.thread", called="thread", made=False, takes=("user", "title"),
        fields=(("status", {"type": "active"}),), removed="chatkit.thread.deleted",
        listed=Listed(least=0, before=True, filters=("user",)),
    ),
}  # fmt: skip


def new_id(facts: Facts, kind: Kind, shelf: Shelf) -> str:
    """An id that no other thing has."""
    return f"{kind.prefix}{facts.digest(18)}{shelf.next_number():06x}"


def maker(name: str, shelf: Shelf) -> Callable[[Facts, Good], dict[str, Any] | Reply]:
    """What a POST to the kind's path makes."""
    kind = KINDS[name]

    def make(facts: Facts, _good: Good) -> dict[str, Any] | Reply:
        given: dict[str, Any] = facts.json if isinstance(facts.json, dict) else {}
        if "multipart/" in facts.content_type:
            form = fields(facts.content_type, facts.seen.body)
            given = {each: part.content.decode("utf-8", "replace") for each, part in form.items()}
        for each in kind.needs:
            if given.get(each) is None:
                return errors.missing_parameter(each)
        for each in ("training_file", "validation_file"):
            if given.get(each) and shelf.find("file", given[each], facts.account) is None:
                return errors.error_reply(400, f"invalid {each}: {given[each]}", code="invalid_file", param=each)
        return {
            "id": new_id(facts, kind, shelf),
            "object": kind.object,
            "created_at": facts.created,
            **dict(kind.fields),
            **{each: given.get(each) for each in (*kind.needs, *kind.takes)},
            **({"organization_id": facts.account.organization} if name == "fine_tuning_job" else {}),
        }

    return make
