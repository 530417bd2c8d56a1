"""People at work with things that live in one account: made, used, listed and deleted with the official SDK, by several threads.

Each thing is used by one thread at a time, whoever made it; what another one is built on is not deleted. Every operation that
is refused is kept, with whether the fake has what it names: that would be a 404 of the wrong account.
"""

import contextlib
import itertools
import json
import random
import threading
import time

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openai

from codex_manager.testing import FakeOpenAI


MODEL = "gpt-4o-mini"
LINE = json.dumps(
    {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": MODEL, "messages": []}}
)
PATIENCE = 30.0  # seconds; for a proxy that is being started again on a loaded machine
LISTED = ("file", "batch", "vector_store", "assistant", "container", "chat_completion")
HELLO: Any = [{"role": "user", "content": "hello"}]


@dataclass
class Thing:
    """One thing, and what it is built on."""

    kind: str
    id: str
    on: "Thing | None" = None
    built_on: int = 0
    """How many others are built on it."""


@dataclass(eq=False)
class Work:
    """All that is shared between the threads."""

    fake: FakeOpenAI
    sdk: Callable[[], openai.OpenAI]
    is_patient: bool = False
    """The proxy goes away in between: what finds nobody there is asked again."""
    seed: int = 0
    stories: "tuple[Callable[[Worker], object], ...]" = ()
    """What is done; everything when empty."""
    pool: list[Thing] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    asked_again: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    deleting: threading.Lock = field(default_factory=threading.Lock)
    """Held while something is deleted or a list is read: a cursor that was deleted is refused by OpenAI as well."""

    @property
    def count(self) -> int:
        return self.done.total()

    def run(self, operations: int, threads: int = 4, *, midway: Callable[[], object] | None = None) -> None:
        """Do so many operations more; `midway` is called when half of them are done, while the others go on."""
        end, start = self.count + operations, self.count
        workers = [Worker(self, random.Random(f"{self.seed} {start} {number}"), end) for number in range(threads)]
        for worker in workers:
            worker.start()
        if midway is not None:
            while self.count < start + operations // 2 and any(worker.is_alive() for worker in workers):
                time.sleep(0.005)
            midway()
        for worker in workers:
            worker.join(240)
            assert not worker.is_alive(), "a thread hangs"

    def of(self, kind: str) -> list[str]:
        with self.lock:
            return [thing.id for thing in self.pool if thing.kind == kind]


class Worker(threading.Thread):
    """One person."""

    def __init__(self, work: Work, chance: random.Random, end: int) -> None:
        super().__init__(daemon=True)
        self.work, self.chance, self.end = work, chance, end
        self._numbers = itertools.count()

    def run(self) -> None:
        with self.work.sdk() as self.sdk:
            while self.work.count < self.end:
                story = self.chance.choice(self.work.stories or STORIES)
                try:
                    story(self)
                except RefusedError:
                    pass
                except Exception as error:
                    self.work.refused.append(f"{story.__name__}: {error!r}")

    def do[T](self, name: str, thing: Thing | None, call: Callable[[], T]) -> T:
        """One operation."""
        work, deadline, tries = self.work, time.monotonic() + PATIENCE, 0
        while True:
            tries += 1
            try:
                found = call()
            except openai.APIStatusError as error:
                if error.status_code == 503 and work.is_patient and time.monotonic() < deadline:
                    work.asked_again += 1
                    time.sleep(0.05)  # it is starting
                    continue
                if self._ended_by_itself(name, thing, error, tries):
                    raise RefusedError from error
                whose = thing and work.fake.organization_of(thing.kind, thing.id)
                work.refused.append(f"{name} {thing and thing.id} (of {whose}): {error.status_code} {error.message}")
                raise RefusedError from error
            except (openai.APIError, OSError) as error:  # nobody there, or cut off
                if not work.is_patient or time.monotonic() > deadline:
                    work.refused.append(f"{name} {thing and thing.id}: {error!r}")
                    raise RefusedError from error
                work.asked_again += 1
                time.sleep(0.05)
                continue
            with work.lock:
                work.done[name] += 1
            return found

    def _ended_by_itself(self, name: str, thing: Thing | None, error: openai.APIStatusError, tries: int) -> bool:
        """Asked again because the answer was lost: the first time had done it."""
        if tries == 1 or thing is None:
            return False
        if error.status_code == 404:
            is_inner = name in {"delete in container", "detach"}
            return is_inner or self.work.fake.organization_of(thing.kind, thing.id) is None
        return error.status_code == 400 and name in {"complete", "cancel"}

    @contextlib.contextmanager
    def one(self, *kinds: str, make: Callable[["Worker"], Thing] | None = None, free: bool = False) -> Iterator[Thing]:
        """A thing of these kinds that nobody else uses meanwhile; made when there is none. `free`: nothing is built on it."""
        with self.work.lock:
            fits = [thing for thing in self.work.pool if thing.kind in kinds and not (free and thing.built_on)]
            thing = self.chance.choice(fits) if fits else None
            if thing is not None:
                self.work.pool.remove(thing)
        if thing is None:
            if make is None:
                raise RefusedError
            thing = make(self)
            with self.work.lock:
                self.work.pool.remove(thing)
        try:
            yield thing
        finally:
            if thing.id:
                with self.work.lock:
                    self.work.pool.append(thing)

    def made(self, kind: str, name: str, on: Thing | None = None) -> Thing:
        thing = Thing(kind, name, on)
        with self.work.lock:
            if on is not None:
                on.built_on += 1
            self.work.pool.append(thing)
        return thing

    def fresh(self, word: str) -> str:
        return f"{word} {self.name} {next(self._numbers)}"


class RefusedError(Exception):
    """An operation did not go well, which was written down."""


# --- making ---


def make_file(w: Worker) -> Thing:
    body = (f"{w.fresh('file')}.jsonl".replace(" ", "-"), f"{LINE}\n".encode())
    return w.made("file", w.do("create file", None, lambda: w.sdk.files.create(file=body, purpose="batch")).id)


def make_upload(w: Worker) -> Thing:
    upload = w.do(
        "create upload",
        None,
        lambda: w.sdk.uploads.create(bytes=6, filename="up.jsonl", mime_type="text/plain", purpose="batch"),
    )
    it = Thing("upload", upload.id)
    parts = [w.do("add part", it, lambda: w.sdk.uploads.parts.create(upload.id, data=b"abc")).id for _ in range(2)]
    whole = w.do("complete", it, lambda: w.sdk.uploads.complete(upload.id, part_ids=parts))
    assert whole.file is not None
    return w.made("file", whole.file.id)


def cancel_upload(w: Worker) -> None:
    upload = w.do(
        "create upload",
        None,
        lambda: w.sdk.uploads.create(bytes=6, filename="up.txt", mime_type="text/plain", purpose="batch"),
    )
    w.do("cancel", Thing("upload", upload.id), lambda: w.sdk.uploads.cancel(upload.id))


def make_store(w: Worker) -> Thing:
    with w.one("file", make=make_file) as file:
        made = w.do(
            "create vector store", file, lambda: w.sdk.vector_stores.create(name=w.fresh("store"), file_ids=[file.id])
        )
        return w.made("vector_store", made.id, file)


def make_batch(w: Worker) -> Thing:
    with w.one("file", make=make_file) as file:
        made = w.do("create batch", file, lambda: w.sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"))  # fmt: skip
        return w.made("batch", made.id, file)


def make_response(w: Worker) -> Thing:
    return w.made(
        "response", w.do("respond", None, lambda: w.sdk.responses.create(model=MODEL, input=w.fresh("hello"))).id
    )


def make_conversation(w: Worker) -> Thing:
    return w.made("conversation", w.do("create conversation", None, w.sdk.conversations.create).id)


def make_assistant(w: Worker) -> Thing:
    with w.one("vector_store", make=make_store) as store:
        tools: Any = {"file_search": {"vector_store_ids": [store.id]}}
        made = w.do("create assistant", store, lambda: w.sdk.beta.assistants.create(model=MODEL, tool_resources=tools))
        return w.made("assistant", made.id, store)


def make_thread(w: Worker) -> Thing:
    with w.one("assistant", make=make_assistant) as assistant:
        made = w.do("create and run", assistant, lambda: w.sdk.beta.threads.create_and_run(assistant_id=assistant.id))
        return w.made("thread", made.thread_id, assistant)


def make_container(w: Worker) -> Thing:
    with w.one("file", make=make_file) as file:
        made = w.do("create container", file, lambda: w.sdk.containers.create(name=w.fresh("box"), file_ids=[file.id]))
        return w.made("container", made.id, file)


def make_chat(w: Worker) -> Thing:
    made = w.do(
        "chat",
        None,
        lambda: w.sdk.chat.completions.create(model=MODEL, messages=HELLO, store=True, metadata={"a": w.fresh("b")}),
    )
    return w.made("chat_completion", made.id)


# --- using ---


def use_file(w: Worker) -> None:
    with w.one("file", make=make_file) as file:
        assert w.do("retrieve file", file, lambda: w.sdk.files.retrieve(file.id)).id == file.id
        w.do("read file", file, lambda: w.sdk.files.content(file.id).content)
        content: Any = [
            {
                "role": "user",
                "content": [{"type": "input_file", "file_id": file.id}, {"type": "input_text", "text": "?"}],
            }
        ]
        w.do("ask about a file", file, lambda: w.sdk.responses.create(model=MODEL, input=content, store=False))


def use_store(w: Worker) -> None:
    with w.one("vector_store", make=make_store) as store:
        assert store.on is not None
        file, api = store.on.id, w.sdk.vector_stores
        w.do("update store", store, lambda: api.update(store.id, name=w.fresh("renamed")))
        w.do("attach", store, lambda: api.files.create(store.id, file_id=file))
        w.do("list attached", store, lambda: [one.id for one in api.files.list(store.id, limit=1)])
        w.do("retrieve attached", store, lambda: api.files.retrieve(file, vector_store_id=store.id))
        batch = w.do("attach all", store, lambda: api.file_batches.create(store.id, file_ids=[file]))
        w.do("retrieve file batch", store, lambda: api.file_batches.retrieve(batch.id, vector_store_id=store.id))
        found = w.do("search", store, lambda: list(api.search(store.id, query="what?")))
        assert [one.file_id for one in found] == [file]
        tools: Any = [{"type": "file_search", "vector_store_ids": [store.id]}]
        w.do("ask with search", store, lambda: w.sdk.responses.create(model=MODEL, input="?", tools=tools, store=False))
        w.do("detach", store, lambda: api.files.delete(file, vector_store_id=store.id))


def use_batch(w: Worker) -> None:
    with w.one("batch", make=make_batch) as batch:
        for _ in range(2):
            found = w.do("retrieve batch", batch, lambda: w.sdk.batches.retrieve(batch.id))
        if found.output_file_id is not None:
            name = found.output_file_id
            w.do("read output", Thing("file", name), lambda: w.sdk.files.content(name).content)


def cancel_batch(w: Worker) -> None:
    batch = make_batch(w)
    with w.one("batch") as other:
        if other is batch:
            w.do("cancel", batch, lambda: w.sdk.batches.cancel(batch.id))


def go_on(w: Worker) -> None:
    with w.one("response", make=make_response) as first:
        w.do("retrieve response", first, lambda: w.sdk.responses.retrieve(first.id))
        w.do("list input", first, lambda: list(w.sdk.responses.input_items.list(first.id)))
        ask: dict[str, Any] = {"model": MODEL, "input": "and then?", "previous_response_id": first.id}
        made = w.do("go on", first, lambda: w.sdk.responses.create(**ask))
        w.made("response", made.id)
        events = w.do("go on streamed", first, lambda: list(w.sdk.responses.create(**ask, stream=True)))
        assert events[-1].type == "response.completed", events[-1]
        w.made("response", events[-1].response.id)


def converse(w: Worker) -> None:
    with w.one("conversation", make=make_conversation) as it:
        api = w.sdk.conversations
        items: Any = [{"type": "message", "role": "user", "content": "hello"}]
        w.do("add items", it, lambda: api.items.create(it.id, items=items))
        w.do("list items", it, lambda: list(api.items.list(it.id, limit=1)))
        w.do("respond in conversation", it, lambda: w.sdk.responses.create(model=MODEL, input="hi", conversation=it.id))
        w.do("update conversation", it, lambda: api.update(it.id, metadata={"a": "b"}))
        assert w.do("retrieve conversation", it, lambda: api.retrieve(it.id)).id == it.id


def assist(w: Worker) -> None:
    with w.one("thread", make=make_thread) as it:
        assert it.on is not None
        api, assistant = w.sdk.beta.threads, it.on.id
        w.do("say", it, lambda: api.messages.create(it.id, role="user", content="hello"))
        run = w.do("run", it, lambda: api.runs.create(it.id, assistant_id=assistant))
        w.do("retrieve run", it, lambda: api.runs.retrieve(run.id, thread_id=it.id))
        w.do("list steps", it, lambda: list(api.runs.steps.list(run.id, thread_id=it.id)))
        w.do("list messages", it, lambda: list(api.messages.list(it.id, limit=2)))
        w.do("retrieve assistant", it.on, lambda: w.sdk.beta.assistants.retrieve(assistant))


def use_container(w: Worker) -> None:
    with w.one("container", make=make_container) as it:
        assert it.on is not None
        api, file = w.sdk.containers, it.on.id
        copied = w.do("copy into", it, lambda: api.files.create(it.id, file_id=file))
        w.do("put into", it, lambda: api.files.create(it.id, file=("a.txt", b"abc")))
        w.do("list container", it, lambda: list(api.files.list(it.id, limit=1)))
        w.do("read from container", it, lambda: api.files.content.retrieve(copied.id, container_id=it.id).content)
        w.do("delete in container", it, lambda: api.files.delete(copied.id, container_id=it.id))
        tools: Any = [{"type": "code_interpreter", "container": it.id}]
        w.do("compute", it, lambda: w.sdk.responses.create(model=MODEL, input="2+2", tools=tools, store=False))


def use_chat(w: Worker) -> None:
    with w.one("chat_completion", make=make_chat) as it:
        api = w.sdk.chat.completions
        w.do("retrieve chat", it, lambda: api.retrieve(it.id))
        w.do("update chat", it, lambda: api.update(it.id, metadata={"b": w.fresh("c")}))
        w.do("list chat", it, lambda: list(api.messages.list(it.id)))


def read_list(w: Worker) -> None:
    """Every page: all that is there, each once."""
    kind = w.chance.choice(LISTED)
    with w.work.deleting:
        before = set(w.work.of(kind))
        names = w.do(f"list {kind}", None, lambda: listed(w.sdk, kind, w.chance.choice((5, 20, 100))))
        if missing := before - set(names):
            w.work.refused.append(f"not in the list of {kind}: {missing}")
        if len(set(names)) != len(names):
            w.work.refused.append(f"twice in the list of {kind}: {Counter(names).most_common(2)}")


def listed(sdk: openai.OpenAI, kind: str, limit: int) -> list[str]:
    pages: dict[str, Any] = {
        "file": sdk.files, "batch": sdk.batches, "vector_store": sdk.vector_stores, "assistant": sdk.beta.assistants,
        "container": sdk.containers, "chat_completion": sdk.chat.completions,
    }  # fmt: skip
    return [one.id for one in pages[kind].list(limit=limit)]


def delete(w: Worker) -> None:
    kinds = ("file", "vector_store", "response", "conversation", "assistant", "thread", "container", "chat_completion")
    with w.work.deleting, w.one(*kinds, free=True) as it:
        remove(w, it)
        it.id = ""
        if it.on is not None:
            with w.work.lock:
                it.on.built_on -= 1


def remove(w: Worker, it: Thing) -> None:
    sdk, name = w.sdk, it.id
    calls: dict[str, Callable[[], object]] = {
        "file": lambda: sdk.files.delete(name), "vector_store": lambda: sdk.vector_stores.delete(name),
        "response": lambda: sdk.responses.delete(name), "conversation": lambda: sdk.conversations.delete(name),
        "assistant": lambda: sdk.beta.assistants.delete(name), "thread": lambda: sdk.beta.threads.delete(name),
        "container": lambda: sdk.containers.delete(name), "chat_completion": lambda: sdk.chat.completions.delete(name),
    }  # fmt: skip
    try:
        w.do(f"delete {it.kind}", it, calls[it.kind])
    except RefusedError:
        if w.work.fake.organization_of(it.kind, name) is not None:
            raise


MAKE = (
    make_file,
    make_upload,
    make_store,
    make_batch,
    make_response,
    make_conversation,
    make_assistant,
    make_thread,
    make_container,
    make_chat,
)
USE = (use_file, use_store, use_batch, go_on, converse, assist, use_container, use_chat)
STORIES: tuple[Callable[[Worker], object], ...] = (
    *MAKE,
    *USE,
    *USE,
    cancel_upload,
    cancel_batch,
    read_list,
    read_list,
    delete,
    delete,
    delete,
)


WITHOUT_LISTS = tuple(story for story in STORIES if story is not read_list)
