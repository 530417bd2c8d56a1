"""Things inside other things: files and file batches of a vector store, parts of an upload, messages and runs of a thread,
items of a conversation, files of a container, what a stored answer was asked.

Law: whoever does not have the outer thing gets OpenAI's 404 about that one, and learns nothing of what is in it.
"""

import json

from collections.abc import Callable
from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.listing import Listed, page
from codex_manager.testing.openai.multipart import fields
from codex_manager.testing.openai.named import lost
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import Shelf, public
from codex_manager.testing.reply import Reply, json_reply
from codex_manager.testing.step import Good


__all__ = ["attached", "routes"]

type Thing = dict[str, Any]
type Endpoint = Callable[[Facts, Good], Reply]

LISTS = {
    "vector_stores": Listed(before=True, filters=("status",)),
    "messages": Listed(before=True, filters=("run_id",)),
    "runs": Listed(before=True),
    "steps": Listed(before=True),
    "items": Listed(),
    "containers": Listed(),
}
CALLED = {
    "vector_store": "vector store", "thread": "thread", "conversation": "conversation", "container": "container", "upload": "upload",
    "response": "response", "chat_completion": "chat completion", "run": "run", "message": "message", "item": "item",
    "container_file": "file", "vector_store_file": "file", "vector_store_file_batch": "file batch", "assistant": "assistant",
    "file": "file",
}  # fmt: skip


def missing(kind: str, name: str) -> Reply:
    """404 about one thing."""
    return errors.error_reply(404, f"No {CALLED[kind]} found with id '{name}'.")


def attached(facts: Facts, store: str, name: str) -> Thing:
    """A file in a vector store, which has the file's own id."""
    return {
        "id": name, "object": "vector_store.file", "created_at": facts.created, "usage_bytes": 12, "vector_store_id": store,
        "status": "completed", "last_error": None, "attributes": (facts.json or {}).get("attributes") or {},
    }  # fmt: skip


def routes(shelf: Shelf) -> list[tuple[str, str, Endpoint]]:
    """Method, path and function of everything that is inside something."""

    def inside(kind: str, then: Callable[[Facts, Thing], Reply]) -> Endpoint:
        """Only for who has the outer thing, and all that the body names."""

        def endpoint(facts: Facts, _good: Good) -> Reply:
            outer = shelf.find(kind, facts.extra["id"], facts.account)
            if outer is None:
                return missing(kind, facts.extra["id"])
            return lost(facts, shelf) or then(facts, outer)

        return endpoint

    def inner(field: str, kind: str, then: Callable[[Facts, Thing, Thing], Reply]) -> Callable[[Facts, Thing], Reply]:
        """Only when the outer thing has the inner one."""

        def endpoint(facts: Facts, outer: Thing) -> Reply:
            name = facts.extra["inner"]
            found = outer.get(field, {}).get(name)
            return missing(kind, name) if found is None else then(facts, outer, found)

        return endpoint

    def show(_facts: Facts, _outer: Thing, found: Thing) -> Reply:
        return json_reply(public(found))

    def listing(field: str, how: Listed, kind: str) -> Callable[[Facts, Thing], Reply]:
        def endpoint(facts: Facts, outer: Thing) -> Reply:
            things = [public(thing) for thing in outer.get(field, {}).values()]
            return page(facts, things, how, lambda name: missing(kind, name))

        return endpoint

    def removal(field: str, label: str) -> Callable[[Facts, Thing, Thing], Reply]:
        def endpoint(_facts: Facts, outer: Thing, found: Thing) -> Reply:
            del outer[field][found["id"]]
            if label == "conversation":  # answers with the conversation that is left
                return json_reply(public(outer))
            return json_reply({"id": found["id"], "object": label, "deleted": True})

        return endpoint

    def put(outer: Thing, field: str, thing: Thing) -> Reply:
        outer.setdefault(field, {})[thing["id"]] = thing
        return json_reply(public(thing))

    def new(facts: Facts, prefix: str, label: str, **more: Any) -> Thing:
        name = f"{prefix}{facts.digest(18)}{shelf.next_number():06x}"
        return {"id": name, "object": label, "created_at": facts.created, **more}

    # Vector stores.

    def attach(facts: Facts, store: Thing) -> Reply:
        name = facts.json.get("file_id") if isinstance(facts.json, dict) else None
        return put(store, "_files", attached(facts, store["id"], name)) if name else errors.missing_parameter("file_id")

    def attach_all(facts: Facts, store: Thing) -> Reply:
        names = facts.json.get("file_ids") if isinstance(facts.json, dict) else None
        if not names:
            return errors.missing_parameter("file_ids")
        for name in names:
            put(store, "_files", attached(facts, store["id"], name))
        counts = {"in_progress": 0, "completed": len(names), "failed": 0, "cancelled": 0, "total": len(names)}
        return put(store, "_batches", new(facts, "vsfb_", "vector_store.file_batch", vector_store_id=store["id"],
                                          status="completed", file_counts=counts, _files=list(names)))  # fmt: skip

    def files_of_batch(facts: Facts, store: Thing, batch: Thing) -> Reply:
        things = [public(store["_files"][name]) for name in batch["_files"] if name in store["_files"]]
        return page(facts, things, LISTS["vector_stores"], lambda name: missing("vector_store_file", name))

    def search(facts: Facts, store: Thing) -> Reply:
        query = facts.json.get("query") if isinstance(facts.json, dict) else None
        if query is None:
            return errors.missing_parameter("query")
        found = [
            {"file_id": name, "filename": f"{name}.txt", "score": 0.9, "attributes": {}, "content": [{"type": "text", "text": f"of {name}"}]}
            for name in store.get("_files", {})
        ]  # fmt: skip
        return json_reply({"object": "vector_store.search_results.page", "search_query": query, "data": found,
                           "has_more": False, "next_page": None})  # fmt: skip

    # Uploads.

    def new_upload(facts: Facts, _good: Good) -> Reply:
        given = facts.json if isinstance(facts.json, dict) else {}
        for name in ("bytes", "filename", "mime_type", "purpose"):
            if name not in given:
                return errors.missing_parameter(name)
        upload = new(facts, "upload_", "upload", bytes=given["bytes"], filename=given["filename"], purpose=given["purpose"],
                     status="pending", expires_at=facts.created + 3600)  # fmt: skip
        shelf.put("upload", upload["id"], facts.account, upload)
        return json_reply(public(upload))

    def part(facts: Facts, upload: Thing) -> Reply:
        form = fields(facts.content_type, facts.seen.body)
        if "data" not in form:
            return errors.missing_parameter("data")
        return put(
            upload, "_parts", new(facts, "part_", "upload.part", upload_id=upload["id"], _data=form["data"].content)
        )

    def complete(facts: Facts, upload: Thing) -> Reply:
        parts = facts.json.get("part_ids") if isinstance(facts.json, dict) else None
        if upload["status"] != "pending":
            return errors.error_reply(400, f"Upload {upload['id']} is {upload['status']}.")
        if not parts:
            return errors.missing_parameter("part_ids")
        if gone := [name for name in parts if name not in upload.get("_parts", {})]:
            return errors.error_reply(400, f"Part {gone[0]} is not part of this upload.", param="part_ids")
        content = b"".join(upload["_parts"][name]["_data"] for name in parts)
        file = new(facts, "file-", "file", bytes=len(content), filename=upload["filename"], purpose=upload["purpose"],
                   status="processed", _content=content)  # fmt: skip
        shelf.put("file", file["id"], facts.account, file)
        upload |= {"status": "completed", "file": public(file)}
        return json_reply(public(upload))

    def cancel_upload(_facts: Facts, upload: Thing) -> Reply:
        if upload["status"] != "pending":
            return errors.error_reply(400, f"Upload {upload['id']} is {upload['status']}.")
        upload["status"] = "cancelled"
        return json_reply(public(upload))

    # Threads.

    def message(facts: Facts, thread: Thing) -> Reply:
        given = facts.json if isinstance(facts.json, dict) else {}
        content = given.get("content")
        if content is None:
            return errors.missing_parameter("content")
        text = content if isinstance(content, str) else json.dumps(content)
        return put(thread, "_messages", said(facts, thread, given.get("role", "user"), text))

    def said(facts: Facts, thread: Thing, role: str, text: str, run: str | None = None) -> Thing:
        return new(facts, "msg_", "thread.message", thread_id=thread["id"], role=role, status="completed", run_id=run,
                   content=[{"type": "text", "text": {"value": text, "annotations": []}}], assistant_id=None, attachments=[],
                   metadata={}, completed_at=None, incomplete_at=None, incomplete_details=None)  # fmt: skip

    def run(facts: Facts, thread: Thing) -> Reply:
        given = facts.json if isinstance(facts.json, dict) else {}
        name = given.get("assistant_id")
        if not name:
            return errors.missing_parameter("assistant_id")
        assistant = shelf.find("assistant", name, facts.account)
        assert assistant is not None, "lost() has looked"
        at = facts.created
        usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
        made = new(facts, "run_", "thread.run", thread_id=thread["id"], assistant_id=name, status="completed", started_at=at,
                   completed_at=at, model=assistant["model"], instructions=assistant.get("instructions") or "", tools=[],
                   metadata={}, usage=usage, parallel_tool_calls=True, tool_choice="auto", response_format="auto",
                   truncation_strategy={"type": "auto", "last_messages": None}, max_prompt_tokens=None,
                   max_completion_tokens=None, required_action=None, last_error=None, incomplete_details=None,
                   expires_at=None, failed_at=None, cancelled_at=None)  # fmt: skip
        put(thread, "_messages", said(facts, thread, "assistant", f"from {facts.account.marker}", made["id"]))
        return put(thread, "_runs", made)

    def thread_and_run(facts: Facts, _good: Good) -> Reply:
        if (refusal := lost(facts, shelf)) is not None:
            return refusal
        thread = new(facts, "thread_", "thread", metadata={}, tool_resources={})
        reply = run(facts, thread)
        if reply.status == 200:
            shelf.put("thread", thread["id"], facts.account, thread)
        return reply

    def steps(facts: Facts, thread: Thing, found: Thing) -> Reply:
        step = {
            "id": f"step_{found['id'].removeprefix('run_')}", "object": "thread.run.step", "created_at": facts.created, "run_id": found["id"],
            "assistant_id": found["assistant_id"], "thread_id": thread["id"], "type": "message_creation", "status": "completed",
            "step_details": {"type": "message_creation", "message_creation": {"message_id": next(iter(thread["_messages"]))}},
            "last_error": None, "expired_at": None, "cancelled_at": None, "failed_at": None, "completed_at": facts.created,
            "metadata": {}, "usage": found["usage"],
        }  # fmt: skip
        return page(facts, [step], LISTS["steps"], lambda name: missing("run", name))

    # Conversations, containers, stored answers.

    def add_items(facts: Facts, conversation: Thing) -> Reply:
        items = facts.json.get("items") if isinstance(facts.json, dict) else None
        if not items:
            return errors.missing_parameter("items")
        made = [{"status": "completed", **item, **new(facts, "msg_", "item")} for item in items]
        for item in made:
            item.pop("object")
            put(conversation, "_items", item)
        shown = [public(item) for item in made]
        return json_reply({"object": "list", "data": shown, "first_id": shown[0]["id"], "last_id": shown[-1]["id"],
                           "has_more": False})  # fmt: skip

    def add_file(facts: Facts, container: Thing) -> Reply:
        if "multipart/" in facts.content_type:
            form = fields(facts.content_type, facts.seen.body)
            if "file" not in form:
                return errors.missing_parameter("file")
            path, content = f"/mnt/data/{form['file'].filename}", form["file"].content
        else:
            name = facts.json.get("file_id") if isinstance(facts.json, dict) else None
            if not name:
                return errors.missing_parameter("file_id")
            found = shelf.find("file", name, facts.account)
            assert found is not None, "lost() has looked"
            path, content = f"/mnt/data/{found['filename']}", found["_content"]
        return put(container, "_files", new(facts, "cfile_", "container.file", container_id=container["id"], path=path,
                                            source="user", bytes=len(content), _content=content))  # fmt: skip

    def content_of(_facts: Facts, _container: Thing, found: Thing) -> Reply:
        return Reply(headers=[("content-type", "application/octet-stream")], body=found["_content"])

    def asked(facts: Facts, _stored: Thing) -> Reply:
        item = {"id": f"msg_{facts.extra['id'][-20:]}", "type": "message", "role": "user", "status": "completed",
                "content": [{"type": "input_text", "text": "hello"}]}  # fmt: skip
        return page(facts, [item], LISTS["items"], lambda name: missing("item", name))

    def asked_in_chat(facts: Facts, _stored: Thing) -> Reply:
        item = {"id": f"{facts.extra['id']}-0", "role": "user", "content": "hello", "name": None, "content_parts": None}
        return page(facts, [item], LISTS["items"], lambda name: missing("item", name))

    def below(
        outer: str, kind: str, path: str, field: str, called: str, how: Listed, removed: str = ""
    ) -> list[tuple[str, str, Endpoint]]:
        """Reading, listing and removing of one kind."""
        found = [
            ("GET", f"/v1/{outer}/{{id}}/{path}", inside(kind, listing(field, how, called))),
            ("GET", f"/v1/{outer}/{{id}}/{path}/{{inner}}", inside(kind, inner(field, called, show))),
        ]
        if removed:
            gone = inside(kind, inner(field, called, removal(field, removed)))
            found.append(("DELETE", f"/v1/{outer}/{{id}}/{path}/{{inner}}", gone))
        return found

    stores, threads = "/v1/vector_stores/{id}", "/v1/threads/{id}"
    batch = f"{stores}/file_batches/{{inner}}"
    return [
        *below("vector_stores", "vector_store", "files", "_files", "vector_store_file", LISTS["vector_stores"], "vector_store.file.deleted"),
        ("POST", f"{stores}/files", inside("vector_store", attach)),
        ("POST", f"{stores}/file_batches", inside("vector_store", attach_all)),
        ("GET", batch, inside("vector_store", inner("_batches", "vector_store_file_batch", show))),
        ("GET", f"{batch}/files", inside("vector_store", inner("_batches", "vector_store_file_batch", files_of_batch))),
        ("POST", f"{stores}/search", inside("vector_store", search)),
        ("POST", "/v1/uploads", new_upload),
        ("POST", "/v1/uploads/{id}/parts", inside("upload", part)),
        ("POST", "/v1/uploads/{id}/complete", inside("upload", complete)),
        ("POST", "/v1/uploads/{id}/cancel", inside("upload", cancel_upload)),
        ("POST", "/v1/threads/runs", thread_and_run),
        *below("threads", "thread", "messages", "_messages", "message", LISTS["messages"], "thread.message.deleted"),
        ("POST", f"{threads}/messages", inside("thread", message)),
        *below("threads", "thread", "runs", "_runs", "run", LISTS["runs"]),
        ("POST", f"{threads}/runs", inside("thread", run)),
        ("GET", f"{threads}/runs/{{inner}}/steps", inside("thread", inner("_runs", "run", steps))),
        *below("conversations", "conversation", "items", "_items", "item", LISTS["items"], "conversation"),
        ("POST", "/v1/conversations/{id}/items", inside("conversation", add_items)),
        *below("containers", "container", "files", "_files", "container_file", LISTS["containers"], "container.file.deleted"),
        ("POST", "/v1/containers/{id}/files", inside("container", add_file)),
        ("GET", "/v1/containers/{id}/files/{inner}/content", inside("container", inner("_files", "container_file", content_of))),
        ("GET", "/v1/responses/{id}/input_items", inside("response", asked)),
        ("GET", "/v1/chat/completions/{id}/messages", inside("chat_completion", asked_in_chat)),
    ]  # fmt: skip
