"""Every kind of thing that lives in one account only, in one table to be read against OpenAI's specification (2.3.0).

A row says how an id looks, where the thing is read, where such things are listed, and whether that list is merged over the
accounts. tests/core/resources/test_table.py holds the table against all operations of the specification.

Not here, because they are nobody's in particular or an administrator's: `/models/{model}` but for fine-tuned models,
`/organization/…` and `/projects/…` (they take an admin key, which no client of ours sends).
"""

from dataclasses import dataclass


__all__ = ["BY_NAME", "FAMILIES", "Family", "ids_in_path", "kind_of", "list_family"]


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of thing."""

    name: str
    prefixes: tuple[str, ...]
    """How its ids begin; a path's segment needs none of them to be taken for an id."""
    item: str | None = None
    """Where one is read, `{}` for its id, below `/v1/`; None where the API has no such GET, or only below a parent."""
    listed: str | None = None
    """Where they are listed."""
    merged: bool = False
    """Whether the list is merged over the accounts: those that a person expects to see all of."""
    inner: bool = False
    """It lives inside another thing and is found by that one's id."""


FAMILIES: tuple[Family, ...] = (
    Family("file", ("file-", "file_"), "files/{}", "files", merged=True),
    Family("upload", ("upload_",)),
    Family("part", ("part_",), inner=True),
    Family("batch", ("batch_",), "batches/{}", "batches", merged=True),
    Family("batch_request", ("batch_req_",), inner=True),
    Family("fine_tuning_job", ("ftjob-", "ftjob_"), "fine_tuning/jobs/{}", "fine_tuning/jobs", merged=True),
    Family("model", ("ft:",), "models/{}"),
    Family("vector_store", ("vs_",), "vector_stores/{}", "vector_stores", merged=True),
    Family("vector_store_file_batch", ("vsfb_",), inner=True),
    Family("assistant", ("asst_",), "assistants/{}", "assistants", merged=True),
    Family("thread", ("thread_",), "threads/{}"),
    Family("run", ("run_",), inner=True),
    Family("step", ("step_",), inner=True),
    Family("response", ("resp_",), "responses/{}"),
    Family("chat_completion", ("chatcmpl-",), "chat/completions/{}", "chat/completions", merged=True),
    Family("conversation", ("conv_",), "conversations/{}"),
    Family("container", ("cntr_",), "containers/{}", "containers", merged=True),
    Family("container_file", ("cfile_",), inner=True),
    Family("eval", ("eval_",), "evals/{}", "evals", merged=True),
    Family("eval_run", ("evalrun_",), inner=True),
    Family("video", ("video_",), "videos/{}", "videos", merged=True),
    Family("character", ("char_",), "videos/characters/{}"),
    Family("skill", ("skill_",), "skills/{}", "skills", merged=True),
    Family("voice", ("voice_",)),
    Family("voice_consent", ("cons_",), "audio/voice_consents/{}", "audio/voice_consents", merged=True),
    Family("chatkit_session", ("cksess_",)),
    Family("chatkit_thread", ("cthr_",), "chatkit/threads/{}", "chatkit/threads", merged=True),
    Family("prompt", ("pmpt_",)),
    Family("call", ("rtc_",)),
    # Messages of a thread or a response, reasoning, calls of tools: named alone only as `item_reference`.
    Family("item", ("msg_", "rs_", "fc_", "ws_", "fs_", "ci_", "ig_", "mcp_", "cu_", "item_", "cmp_"), inner=True),
)

BY_NAME = {family.name: family for family in FAMILIES}

_BY_PREFIX = sorted(
    ((prefix, family.name) for family in FAMILIES for prefix in family.prefixes), key=lambda p: -len(p[0])
)

_IN_PATH: dict[tuple[str, ...], str] = {
    # collection in front of an id → whose id it is; the longer wins
    ("files",): "file",
    ("uploads",): "upload",
    ("batches",): "batch",
    ("fine_tuning", "jobs"): "fine_tuning_job",
    ("fine_tuning", "checkpoints"): "model",
    ("models",): "model",
    ("vector_stores",): "vector_store",
    ("assistants",): "assistant",
    ("threads",): "thread",
    ("responses",): "response",
    ("chat", "completions"): "chat_completion",
    ("conversations",): "conversation",
    ("containers",): "container",
    ("evals",): "eval",
    ("videos",): "video",
    ("videos", "characters"): "character",
    ("skills",): "skill",
    ("audio", "voice_consents"): "voice_consent",
    ("chatkit", "sessions"): "chatkit_session",
    ("chatkit", "threads"): "chatkit_thread",
    ("realtime", "calls"): "call",
}
_NO_ID = frozenset({
    # last segments of POSTs that stand where an id could
    ("threads", "runs"), ("responses", "compact"), ("responses", "input_tokens"), ("videos", "edits"),
    ("videos", "extensions"), ("videos", "characters"),
})  # fmt: skip
_FILE_BELOW = frozenset({"vector_stores"})
"""Below these, `files/{id}` is a file of the account's own; below a container it is the container's."""


def kind_of(name: str) -> str | None:
    """The family an id belongs to by how it begins; None for what looks like none of ours."""
    for prefix, family in _BY_PREFIX:
        if name.startswith(prefix) and len(name) > len(prefix):
            return family
    return None


def ids_in_path(path: str) -> tuple[tuple[str, str], ...]:
    """(family, id) for each thing a path names, the outermost first; `path` without query, beginning with `/v1/`.

    >>> ids_in_path("/v1/vector_stores/vs_1/files/file-2/content")
    (('vector_store', 'vs_1'), ('file', 'file-2'))
    """
    if not path.startswith("/v1/"):
        return ()
    segments = path[4:].strip("/").split("/")
    for length in (2, 1):
        collection = tuple(segments[:length])
        family = _IN_PATH.get(collection)
        if family is not None and len(segments) > length and (*collection, segments[length]) not in _NO_ID:
            name = segments[length]
            if not name or (family == "model" and not name.startswith("ft:")):
                return ()
            found = [(family, name)]
            if segments[0] in _FILE_BELOW and len(segments) > 3 and segments[2] == "files" and segments[3]:
                found.append(("file", segments[3]))
            return tuple(found)
    return ()


def list_family(path: str) -> Family | None:
    """The family a list operation lists; None for other paths. `path` as for `ids_in_path`."""
    listed = path[4:].rstrip("/") if path.startswith("/v1/") else ""
    return _LISTS.get(listed)


_LISTS = {family.listed: family for family in FAMILIES if family.listed is not None}
