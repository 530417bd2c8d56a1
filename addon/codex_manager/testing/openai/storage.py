"""The endpoints of things that stay: models, files, stored responses and chat completions, batches, vector stores, and the
kinds of `things`.
"""

import json

from collections.abc import Callable
from typing import Any

from codex_manager.testing.openai import batches, errors, generation
from codex_manager.testing.openai.inside import attached
from codex_manager.testing.openai.listing import Listed, page
from codex_manager.testing.openai.multipart import fields
from codex_manager.testing.openai.named import lost
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import STAGES, Shelf, public
from codex_manager.testing.openai.things import KINDS, maker
from codex_manager.testing.reply import Reply, json_reply
from codex_manager.testing.step import Good


__all__ = ["LISTED", "chat", "model", "models", "prefix_of", "routes"]

MISSING = {
    "file": "No such File object: {}",
    "response": "Response with id '{}' not found.",
    "batch": "No batch found with id '{}'.",
    "vector_store": "No vector store found with id '{}'.",
    "chat_completion": "Chat completion {} not found",
    **{name: f"No {kind.called} found with id '{{}}'." for name, kind in KINDS.items()},
}
FIXED = frozenset({"id", "object", "created", "created_at"})
LISTED = {
    "file": Listed(default=10_000, most=10_000, filters=("purpose",)),
    "batch": Listed(ordered=False),
    "vector_store": Listed(before=True),
    "chat_completion": Listed(newest_first=False, stamp="created", filters=("model",), metadata=True),
    **{name: kind.listed for name, kind in KINDS.items() if kind.listed is not None},
}


def prefix_of(kind: str) -> str:
    """How ids of a kind begin."""
    own = {"file": "file-", "batch": "batch_", "vector_store": "vs_", "chat_completion": "chatcmpl-"}
    return own[kind] if kind in own else KINDS[kind].prefix


def missing(kind: str, name: str) -> Reply:
    return errors.error_reply(404, MISSING[kind].format(name), param="id" if kind == "file" else None)


def model_object(facts: Facts, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": facts.created, "owned_by": "openai"}


def models(facts: Facts, _good: Good) -> Reply:
    return json_reply({"object": "list", "data": [model_object(facts, name) for name in facts.account.listed()]})


def model(facts: Facts, _good: Good) -> Reply:
    name = facts.extra["id"]
    if not facts.account.has(name):
        return errors.error_reply(404, f"The model '{name}' does not exist", code="model_not_found", param="model")
    return json_reply(model_object(facts, name))


def chat(facts: Facts, good: Good, shelf: Shelf) -> Reply:
    """A chat completion, which is kept when it is to be (`store`) and comes whole."""
    reply = generation.chat(facts, good)
    if not isinstance(reply.body, bytes) or reply.status != 200 or not facts.json.get("store"):  # a stream is not kept
        return reply
    thing = json.loads(reply.body)
    thing["id"] += f"{shelf.next_number():06x}"
    thing["metadata"] = facts.json.get("metadata") or {}
    shelf.put("chat_completion", thing["id"], facts.account, thing)
    return json_reply(thing)


def routes(shelf: Shelf) -> list[tuple[str, str, Callable[[Facts, Good], Reply]]]:
    """Method, path and function of everything that is kept on the shelf."""

    def create(kind: str, make: Callable[[Facts, Good], dict[str, Any] | Reply]) -> Callable[[Facts, Good], Reply]:
        def endpoint(facts: Facts, good: Good) -> Reply:
            thing = lost(facts, shelf) or make(facts, good)
            if isinstance(thing, Reply):
                return thing
            shelf.put(kind, thing["id"], facts.account, thing)
            return json_reply(public(thing))

        return endpoint

    def retrieve(kind: str) -> Callable[[Facts, Good], Reply]:
        def endpoint(facts: Facts, _good: Good) -> Reply:
            thing = shelf.look(kind, facts.extra["id"], facts.account)
            return missing(kind, facts.extra["id"]) if thing is None else json_reply(public(thing))

        return endpoint

    def cancel(kind: str) -> Callable[[Facts, Good], Reply]:
        def endpoint(facts: Facts, _good: Good) -> Reply:
            thing = shelf.find(kind, facts.extra["id"], facts.account)
            if thing is None:
                return missing(kind, facts.extra["id"])
            if not thing.get(STAGES):
                return errors.error_reply(400, f"Cannot cancel a {kind} that is {thing.get('status')}.", param="id")
            thing[STAGES] = []
            thing["status"] = "cancelled"
            return json_reply(public(thing))

        return endpoint

    def listing(kind: str) -> Callable[[Facts, Good], Reply]:
        def endpoint(facts: Facts, _good: Good) -> Reply:
            things = [public(thing) for thing in shelf.all(kind, facts.account)]
            return page(facts, things, LISTED[kind], lambda name: missing(kind, name))

        return endpoint

    def change(kind: str) -> Callable[[Facts, Good], Reply]:
        def endpoint(facts: Facts, _good: Good) -> Reply:
            thing = shelf.find(kind, facts.extra["id"], facts.account)
            if thing is None:
                return missing(kind, facts.extra["id"])
            given = facts.json if isinstance(facts.json, dict) else {}
            thing.update({name: value for name, value in given.items() if name in thing and name not in FIXED})
            return json_reply(public(thing))

        return endpoint

    def delete(kind: str, label: str, id_field: str = "id") -> Callable[[Facts, Good], Reply]:
        def endpoint(facts: Facts, _good: Good) -> Reply:
            name = facts.extra["id"]
            if shelf.find(kind, name, facts.account) is None:
                return missing(kind, name)
            shelf.remove(kind, name)
            return json_reply({id_field: name, "object": label, "deleted": True})

        return endpoint

    def content(facts: Facts, _good: Good) -> Reply:
        thing = shelf.find("file", facts.extra["id"], facts.account)
        if thing is None:
            return missing("file", facts.extra["id"])
        name = thing["filename"].replace('"', "")
        headers = [
            ("content-type", "application/octet-stream"),
            ("content-disposition", f'attachment; filename="{name}"'),
        ]
        return Reply(headers=headers, body=thing["_content"])

    def new_file(facts: Facts, _good: Good) -> dict[str, Any] | Reply:
        form = fields(facts.content_type, facts.seen.body)
        if "file" not in form:
            return errors.missing_parameter("file")
        if "purpose" not in form:
            return errors.missing_parameter("purpose")
        whole = facts.seen.body_size <= len(facts.seen.body)
        return {
            "id": f"file-{facts.digest(18)}{shelf.next_number():06x}",
            "object": "file",
            "bytes": len(form["file"].content) if whole else facts.seen.body_size,
            "created_at": facts.created,
            "filename": form["file"].filename or "upload",
            "purpose": form["purpose"].content.decode(),
            "status": "processed",
            "_content": form["file"].content,
        }

    def new_vector_store(facts: Facts, _good: Good) -> dict[str, Any] | Reply:
        body = facts.json or {}
        for name in body.get("file_ids") or []:
            if shelf.find("file", name, facts.account) is None:
                return missing("file", name)
        store = f"vs_{facts.digest(24)}{shelf.next_number():08x}"
        return {
            "_files": {name: attached(facts, store, name) for name in body.get("file_ids") or []},
            "id": store,
            "object": "vector_store",
            "created_at": facts.created,
            "name": body.get("name"),
            "usage_bytes": 0,
            "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
            "status": "completed",
            "last_active_at": facts.created,
            "metadata": body.get("metadata") or {},
        }

    kinds: list[tuple[str, str, Callable[[Facts, Good], Reply]]] = []
    for name, kind in KINDS.items():
        path = f"/v1/{kind.path}"
        kinds.append(("GET", f"{path}/{{id}}", retrieve(name)))
        if kind.listed is not None:
            kinds.append(("GET", path, listing(name)))
        if kind.made:
            kinds.append(("POST", path, create(name, maker(name, shelf))))
        if kind.changed:
            kinds.append(("POST", f"{path}/{{id}}", change(name)))
        if kind.removed:
            kinds.append(("DELETE", f"{path}/{{id}}", delete(name, kind.removed, kind.id_field)))

    return [
        ("POST", "/v1/files", create("file", new_file)),
        ("GET", "/v1/files", listing("file")),
        ("GET", "/v1/files/{id}", retrieve("file")),
        ("GET", "/v1/files/{id}/content", content),
        ("DELETE", "/v1/files/{id}", delete("file", "file")),
        ("GET", "/v1/responses/{id}", retrieve("response")),
        ("DELETE", "/v1/responses/{id}", delete("response", "response")),
        ("POST", "/v1/responses/{id}/cancel", cancel("response")),
        ("POST", "/v1/batches", create("batch", lambda facts, good: batches.new_batch(facts, good, shelf))),
        ("GET", "/v1/batches", listing("batch")),
        ("GET", "/v1/batches/{id}", retrieve("batch")),
        ("POST", "/v1/batches/{id}/cancel", cancel("batch")),
        ("POST", "/v1/vector_stores", create("vector_store", new_vector_store)),
        ("GET", "/v1/vector_stores", listing("vector_store")),
        ("GET", "/v1/vector_stores/{id}", retrieve("vector_store")),
        ("POST", "/v1/vector_stores/{id}", change("vector_store")),
        ("DELETE", "/v1/vector_stores/{id}", delete("vector_store", "vector_store.deleted")),
        ("GET", "/v1/chat/completions", listing("chat_completion")),
        ("GET", "/v1/chat/completions/{id}", retrieve("chat_completion")),
        ("POST", "/v1/chat/completions/{id}", change("chat_completion")),
        ("DELETE", "/v1/chat/completions/{id}", delete("chat_completion", "chat.completion.deleted")),
        *kinds,
    ]
