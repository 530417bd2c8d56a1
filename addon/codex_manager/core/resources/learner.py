"""Which things an answer shows to be in its account: ids and encrypted reasoning, read from the bytes as they pass by.

Works on JSON, on server-sent events and on the frames of a WebSocket alike, because in all of them a quoted field name is
never inside a text (quotes inside are escaped). An `id` of a thing is strong evidence; an id in another field (the file
of an annotation, a run's assistant) is weak: it may be an echo of what the user wrote.

Law: never raises, remembers no more than `LONGEST` bytes between two pieces, however they are cut, and no more than `MOST`
ids. A stream's deltas cost a few searches.
"""

import hashlib
import re

from dataclasses import dataclass
from typing import Protocol

from codex_manager.core.resources.table import BY_NAME, ids_in_path, kind_of


__all__ = ["MOST", "Learned", "Learner", "deleted", "learner_for"]

MOST = 2000
"""Ids taken from one answer; a page of a list holds at most 100 (files: 10,000, of which the rest is learned when used)."""
LONGEST = 300
"""Bytes kept for an id that is cut between two pieces."""

_FIELDS = (
    rb"id|file_id|container_id|thread_id|assistant_id|conversation_id|vector_store_id|batch_id|input_file_id|output_file_id"
    rb"|error_file_id|fine_tuned_model|fine_tuned_model_checkpoint|training_file|voice_id|skill_id|call_id"
)
# not `previous_response_id`: whoever continued that one may have deleted it since, and it was learned when it was made
_ID = re.compile(rb'(?<!\\)"(' + _FIELDS + rb')"\s*:\s*"([A-Za-z0-9_:.\-]{4,200})"')
_ENCRYPTED = re.compile(rb'(?<!\\)"encrypted_content"\s*:\s*"')
_STRONG = frozenset({b"id", b"fine_tuned_model", b"fine_tuned_model_checkpoint"})
QUOTE, UNDERSCORE = b'"_'
_BEFORE_ID = frozenset(b"erdtnhl")
"""What stands before `_id"` in `_FIELDS`. A delta has none of them, for `item_id` is none."""
_KEPT_IF_STORED = frozenset({"response", "chat_completion", "item"})
"""Things that OpenAI keeps only with `store`."""
_STORE = re.compile(rb'"store"\s*:\s*(true|false)')
_NOTHING_KEPT = ("completions", "embeddings", "moderations", "audio/speech", "audio/transcriptions", "audio/translations",
                 "images/", "models", "responses/input_tokens", "responses/compact", "organization/", "projects/")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Learned:
    """One thing that is in the account."""

    id: str
    """Or the digest of encrypted reasoning (family `encrypted`)."""
    family: str
    strong: bool = True


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Learner:
    """Feed it an answer's decoded bytes; ask at any time what was learned since the last time."""

    __slots__ = ("_count", "_found", "_hash", "_rest", "_stored")

    def __init__(self, *, stored: bool = True) -> None:
        """`stored`: whether OpenAI keeps what the answer holds (`store` of the request), so that it can be named later."""
        # All mutable state: what was cut off at the end of the last piece, encrypted content under way, and the finds.
        self._stored = stored
        self._rest = b""
        self._hash: _Hash | None = None
        self._found: dict[str, Learned] = {}
        self._count = 0

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if self._hash is not None:
            data = self._go_on(data)
            if self._hash is not None:
                return
        text = self._rest + data if self._rest else data
        self._rest = b""
        done = 0  # what lies before it has been understood
        if _may_show(text):
            for found in _ID.finditer(text):
                self._note(found[1], found[2])
                done = found.end()
        if text.find(b"encrypted_content") >= 0:  # find is four times as quick as `in`
            end = 0
            while opened := _ENCRYPTED.search(text, end):
                self._hash = hashlib.sha256()
                end = text.find(b'"', opened.end())
                self._hash.update(text[opened.end() : end if end >= 0 else None])
                if end < 0:
                    return
                self._finish()
            done = max(done, end)
        if not text.endswith(b"\n\n"):  # between two events nothing is unfinished
            self._rest = _unfinished(text, done)

    def take(self) -> list[Learned]:
        """What is new."""
        if not self._found:
            return []
        found, self._found = list(self._found.values()), {}
        return found

    def _go_on(self, data: bytes) -> bytes:
        assert self._hash is not None
        end = data.find(b'"')
        if end < 0:
            self._hash.update(data)
            return b""
        self._hash.update(data[:end])
        self._finish()
        return data[end:]

    def _finish(self) -> None:
        assert self._hash is not None
        if self._count < MOST:
            name = self._hash.hexdigest()
            self._count += name not in self._found
            self._found[name] = Learned(name, "encrypted")
        self._hash = None

    def _note(self, field: bytes, value: bytes) -> None:
        name = value.decode("ascii")
        family = kind_of(name)
        if family is None or self._count >= MOST or (not self._stored and family in _KEPT_IF_STORED):
            return
        strong = field in _STRONG
        known = self._found.get(name)
        if known is None or (strong and not known.strong):
            self._count += known is None
            self._found[name] = Learned(name, family, strong)


def _may_show(text: bytes) -> bool:
    """Whether a field of `_FIELDS` is in it, seen in a fraction of the time the pattern takes."""
    at = text.find(b'id"')
    while at >= 0:
        before = text[at - 1] if at else 0
        if before == QUOTE or (before == UNDERSCORE and text[at - 2] in _BEFORE_ID):
            return True
        at = text.find(b'id"', at + 3)
    return text.find(b"fi") >= 0 and (b'_file"' in text or b"fine_tuned" in text)


def learner_for(method: str, target: str, body: bytes = b"", *, stored: bool | None = None) -> Learner | None:
    """A learner for the answer to a request; None where an answer names nothing that could be asked for again.

    `stored` is the request's `store`, looked for in its `body` where that is handed in instead. It is on unless said otherwise
    for responses, off for chat completions.
    """
    path = target.partition("?")[0]
    resource = path[4:] if path.startswith("/v1/") else ""
    if not resource or resource.startswith(_NOTHING_KEPT) or resource.endswith("/content"):
        return None  # what a file has inside may look like anything, a batch's answers like answers
    if resource.startswith("chat/completions/") and resource.endswith("/messages"):
        return None  # their ids are the completion's with a number behind, and nothing is asked for by them
    if body and method == "POST" and (said := _STORE.search(body)) is not None:
        stored = said[1] == b"true"
    if resource == "chat/completions" and method == "POST":
        return Learner() if stored else None
    return Learner(stored=stored is not False)


def _unfinished(text: bytes, done: int) -> bytes:
    """The end of a piece that may be the beginning of a field and its value: at most their four quotes."""
    tail = text[max(done, len(text) - LONGEST) :]
    cut = len(tail)
    for _ in range(4):
        before = tail.rfind(b'"', 0, cut)
        if before < 0:
            break
        cut = before
    return tail[max(cut - 1, 0) :] if cut < len(tail) else b""


def deleted(method: str, path: str, status: int) -> str | None:
    """The id of what a request has removed: a DELETE of a thing itself that was answered well."""
    if method != "DELETE" or not 200 <= status < 300:
        return None
    named = ids_in_path(path)
    if len(named) != 1:
        return None
    family, name = named[0]
    item = BY_NAME[family].item
    return name if item is not None and path.rstrip("/") == "/v1/" + item.format(name) else None
