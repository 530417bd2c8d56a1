"""What a request's JSON names of its account's things: whether they are there, and whether its reasoning can be read.

Strict: a file, vector store, assistant, thread, conversation, container or item of another project does not exist, wherever in
the body it is named. What is the user's own (metadata, schemas) is not looked at.
"""

import hashlib

from collections.abc import Iterable, Iterator
from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import Shelf
from codex_manager.testing.reply import Reply


__all__ = ["encrypted", "keep_items", "lost", "refusal"]

type Thing = dict[str, Any]

FIELDS = {
    "file_id": ("file", "container_file"), "vector_store_id": ("vector_store",), "assistant_id": ("assistant",), "thread_id": ("thread",),
    "conversation": ("conversation",), "container": ("container",), "container_id": ("container",),
}  # fmt: skip
LISTS = {"file_ids": "file", "vector_store_ids": "vector_store"}
OWN = frozenset({"metadata", "parameters", "schema", "arguments", "variables", "attributes"})
PREFIXES = ("file-", "vs_", "asst_", "thread_", "conv_", "cntr_")
WORDS = {
    "file": "No such File object: {}",
    "vector_store": "Vector store with id ['{}'] not found.",
    "assistant": "No assistant found with id '{}'.",
    "thread": "No thread found with id '{}'.",
    "conversation": "Conversation with id '{}' not found.",
    "container": "Container with id '{}' not found.",
    "item": "Item with id '{}' not found.",
}


def refusal(facts: Facts, shelf: Shelf) -> Reply | None:
    """Why a model is not run on this request; None when nothing is wrong with what it names."""
    return lost(facts, shelf) or _unreadable(facts, shelf)


def encrypted(facts: Facts, shelf: Shelf, number: int) -> str:
    """Reasoning that only keys of the account's organization can bring back."""
    sealed = "gAAAAA" + hashlib.sha256(f"{facts.digest()} {number}".encode()).hexdigest()
    shelf.put("encrypted", sealed, facts.account, facts.account.organization)
    return sealed


def keep_items(facts: Facts, shelf: Shelf, items: Iterable[Thing]) -> None:
    """Let items of a stored response be found by their ids."""
    for item in items:
        shelf.put("item", item["id"], facts.account, item)


def lost(facts: Facts, shelf: Shelf) -> Reply | None:
    """The refusal of a request that names what is not there; None when all of it is."""
    if not isinstance(facts.json, dict):
        return None
    for kinds, name, field in _named(facts.json):
        if (name.startswith(PREFIXES) or kinds == ("item",)) and not any(
            shelf.find(kind, name, facts.account) for kind in kinds
        ):
            return errors.error_reply(404, WORDS[kinds[0]].format(name), param=field)
    return None


def _unreadable(facts: Facts, shelf: Shelf) -> Reply | None:
    """The refusal of reasoning that was encrypted for another organization; what nobody here has encrypted is let pass."""
    items = facts.json.get("input")
    for item in items if isinstance(items, list) else ():
        sealed = item.get("encrypted_content") if isinstance(item, dict) else None
        if isinstance(sealed, str) and shelf.holder("encrypted", sealed) not in {None, facts.account.organization}:
            message = (
                f"The encrypted content {sealed[:8]}... could not be verified. Reason: Encrypted content organization_id did not "
                "match the target organization."
            )
            return errors.error_reply(400, message, code="invalid_encrypted_content")
    return None


def _named(value: Any, depth: int = 0) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if depth > 16:
        return
    if isinstance(value, list):
        for one in value:
            yield from _named(one, depth + 1)
    elif isinstance(value, dict):
        if value.get("type") == "item_reference" and isinstance(value.get("id"), str):
            yield ("item",), value["id"], "input"
        for field, below in value.items():
            if field in OWN:
                continue
            if field in FIELDS and isinstance(below, str):
                yield FIELDS[field], below, field
            elif field == "conversation" and isinstance(below, dict) and isinstance(below.get("id"), str):
                yield FIELDS[field], below["id"], field
            elif field in LISTS and isinstance(below, list):
                yield from (((LISTS[field],), one, field) for one in below if isinstance(one, str))
            else:
                yield from _named(below, depth + 1)
