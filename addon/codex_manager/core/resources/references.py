"""Which things of an account a request names: in its path and query, in the fields of its JSON or form.

Law: only where OpenAI's schemas put an id, never in free text, and only what looks like an id of the field's family. Total:
a body that cannot be read names nothing, and no more than `MOST` are told. The common request names nothing and must cost
next to nothing, so a body is parsed only when a quoted word in it begins like an id.
"""

import hashlib
import json
import re

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from codex_manager.core.resources.table import ids_in_path, kind_of


__all__ = ["MOST", "Reference", "References", "digest", "references"]

MOST = 256
"""Ids told of one request; the longest list the API takes is 10,000 attributes of nobody's, of ids 500 file ids."""
LARGEST = 32 * 1024 * 1024
DEEPEST = 64

FIELDS = {
    "previous_response_id": ("response",),
    "response_id": ("response",),
    "file_id": ("file", "container_file"),
    "input_file_id": ("file",),
    "training_file": ("file",),
    "validation_file": ("file",),
    "vector_store_id": ("vector_store",),
    "assistant_id": ("assistant",),
    "thread_id": ("thread", "chatkit_thread"),
    "conversation": ("conversation",),
    "conversation_id": ("conversation",),
    "container": ("container",),
    "container_id": ("container",),
    "skill_id": ("skill",),
    "eval_id": ("eval",),
    "character_id": ("character",),
    "video_id": ("video",),
    "consent": ("voice_consent",),
    "consent_id": ("voice_consent",),
    "voice": ("voice",),
    "call_id": ("call",),
    "model": ("model",),
}
"""Fields whose value is an id, and of which families it can be."""
LISTS = {
    "file_ids": ("file",), "vector_store_ids": ("vector_store",), "part_ids": ("part",), "skill_ids": ("skill",),
    "characters": ("character",),
}  # fmt: skip
OBJECTS = {
    "conversation": "conversation", "prompt": "prompt", "voice": "voice", "container": "container", "video": "video",
    "character": "character",
}  # fmt: skip
"""Fields whose value is an object with an `id` of that family."""
OPAQUE = frozenset({"metadata", "parameters", "schema", "arguments", "json_schema", "variables", "item_schema"})
"""What is below these is the user's own."""

_HINT = re.compile(
    rb'"(?:file[-_]|resp_|conv_|cntr_|cfile_|vs_|asst_|thread_|pmpt_|ft:|part_|voice_|cons_|skill_|eval_|video_|char_|rtc_|cthr_'
    rb'|item_reference"|reasoning"|encrypted_content")'
)
_ENCRYPTED = re.compile(rb'(?<!\\)"encrypted_content"\s*:\s*"([^"\\]{16,})"')
_FORM_FIELD = re.compile(rb'name="([a-z_\[\]]{1,40})"[^\r\n]{0,80}\r\n\r\n([!-~]{1,200})\r\n')
_FORM_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing named by a request."""

    id: str
    family: str
    where: str
    """`path`, `query`, or the field."""


@dataclass(frozen=True, slots=True)
class References:
    """All of them."""

    items: tuple[Reference, ...] = ()
    encrypted: tuple[str, ...] = ()
    """Digests of the encrypted reasoning a request brings back (see `digest`)."""

    def __bool__(self) -> bool:
        return bool(self.items or self.encrypted)


NOTHING = References()


def digest(encrypted_content: bytes) -> str:
    """How encrypted reasoning is remembered: its bytes are the user's and are not kept."""
    return hashlib.sha256(encrypted_content).hexdigest()


def references(target: str, body: bytes, content_type: str | None) -> References:
    """The things a request names; `body` decoded, or empty when it is not at hand."""
    path, _, query = target.partition("?")
    found = [Reference(name, family, "path") for family, name in ids_in_path(path)]
    if query and ("_id=" in query or "ft%3A" in query or "ft:" in query):
        found += _of_fields(parse_qsl(query, max_num_fields=None), "query")
    encrypted: tuple[str, ...] = ()
    if body and len(body) <= LARGEST:
        kind = (content_type or "").lstrip().lower()
        if kind.startswith("multipart/"):
            fields = _FORM_FIELD.findall(body[:_FORM_HEAD])
            found += _of_fields(((name.decode(), value.decode()) for name, value in fields), "")
        elif _HINT.search(body):
            if b'"encrypted_content"' in body:
                encrypted = tuple(dict.fromkeys(digest(one) for one in _ENCRYPTED.findall(body)))[:MOST]
            found += _of_document(_document(body))
    if not found and not encrypted:
        return NOTHING
    unique = {reference.id: reference for reference in reversed(found)}  # the first mention says where
    return References(tuple(reversed(unique.values()))[:MOST], encrypted)


def _of_fields(fields: Any, where: str) -> list[Reference]:
    found = []
    for name, value in fields:
        families = FIELDS.get(name) or LISTS.get(name.removesuffix("[]"))
        if families is not None and (family := kind_of(value)) in families:
            assert family is not None
            found.append(Reference(value, family, where or name))
    return found


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _of_document(document: Any) -> list[Reference]:
    """Depth first, in the order of the text."""
    found: list[Reference] = []
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting and len(found) < MOST:
        value, depth = waiting.pop()
        if isinstance(value, list):
            inner = value
        elif isinstance(value, dict):
            _of_object(value, found)
            inner = [below for name, below in value.items() if name not in OPAQUE]
        else:
            continue
        if depth < DEEPEST:
            waiting.extend((below, depth + 1) for below in reversed(inner) if isinstance(below, dict | list))
    return found


def _of_object(value: dict[str, Any], found: list[Reference]) -> None:
    kind = value.get("type")
    if kind == "item_reference" or (kind == "reasoning" and not value.get("encrypted_content")):
        _note(
            value.get("id"), ("item",), "item_reference", found
        )  # reasoning without its content is looked up by its id
    for name, below in value.items():
        if isinstance(below, str):
            if name in FIELDS:
                _note(below, FIELDS[name], name, found)
        elif isinstance(below, list):
            if name in LISTS:
                for one in below[:MOST]:
                    _note(one, LISTS[name], name, found)
        elif isinstance(below, dict) and name in OBJECTS:
            _note(below.get("id"), (OBJECTS[name],), name, found)


def _note(name: Any, families: tuple[str, ...], where: str, found: list[Reference]) -> None:
    if isinstance(name, str) and len(name) <= 200 and (family := kind_of(name)) in families:
        assert family is not None
        found.append(Reference(name, family, where))
