"""The fake's lists are those of OpenAI's reference: sorted, cut, with cursors, each with its own parameters."""

import json

import openai
import pytest

from codex_manager.testing import FakeOpenAI
from codex_manager.testing.openai.storage import LISTED


@pytest.fixture
async def fake():
    async with FakeOpenAI() as fake:
        fake.account("sk-a")
        fake.account("sk-b")
        yield fake


@pytest.fixture
async def client(fake):
    async with openai.AsyncOpenAI(api_key="sk-a", base_url=fake.api_url, max_retries=0) as client:
        yield client


async def times(client, path: str, **query: object) -> list[int]:
    page = await client.get(path, cast_to=object, options={"params": query})
    return [thing.get("created_at", thing.get("created")) for thing in page["data"]]


async def test_a_list_is_sorted_and_cut(fake, client):
    names = {time: fake.stock("sk-a", "vector_store", created_at=time) for time in (3, 1, 2, 5, 4)}
    fake.stock("sk-b", "vector_store", created_at=9)
    assert await times(client, "/vector_stores") == [5, 4, 3, 2, 1]
    assert await times(client, "/vector_stores", order="asc", limit=2) == [1, 2]
    assert await times(client, "/vector_stores", after=names[3]) == [2, 1]
    assert await times(client, "/vector_stores", before=names[3]) == [5, 4]
    assert await times(client, "/vector_stores", before=names[1], limit=2) == [3, 2]
    page = await client.vector_stores.list(limit=2)
    assert (page.has_more, page.first_id, page.last_id) == (True, names[5], names[4])
    assert [store.id async for store in client.vector_stores.list(limit=2)] == [names[time] for time in (5, 4, 3, 2, 1)]


async def test_every_list_has_its_parameters(fake, client):
    for kind in LISTED:
        await has_its_parameters(fake, client, kind)


async def has_its_parameters(fake, client, kind):
    how = LISTED[kind]
    path = {
        "file": "files",
        "batch": "batches",
        "vector_store": "vector_stores",
        "chat_completion": "chat/completions",
    }.get(kind)
    if path is None:
        from codex_manager.testing.openai.things import KINDS

        path = KINDS[kind].path
    made = [fake.stock("sk-a", kind, created_at=time) for time in range(3)]
    assert await times(client, f"/{path}") == ([2, 1, 0] if how.newest_first else [0, 1, 2])
    assert await times(client, f"/{path}", after=made[1]) == ([0] if how.newest_first else [2])
    for wrong in (how.most + 1, "x", -1):
        with pytest.raises(openai.BadRequestError):
            await times(client, f"/{path}", limit=wrong)
    with pytest.raises(openai.NotFoundError):
        await times(client, f"/{path}", after="nobodys")
    thing = await client.get(f"/{path}/{made[0]}", cast_to=object)
    assert thing["id"] == made[0]


async def test_what_is_deleted_is_no_cursor_any_more(fake, client):
    names = [fake.stock("sk-a", "file", created_at=time) for time in range(3)]
    await client.files.delete(names[1])
    fake.discard("file", names[2])
    for name in names[1:]:
        with pytest.raises(openai.NotFoundError):
            await client.files.list(after=name)
    assert [file.id async for file in client.files.list()] == names[:1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's, of assistants and threads
async def test_things_are_made_read_changed_and_deleted(client):
    assistant = await client.beta.assistants.create(model="gpt-4o", name="one")
    assert (await client.beta.assistants.update(assistant.id, name="two")).name == "two"
    assert [each.name async for each in client.beta.assistants.list()] == ["two"]
    assert (await client.beta.assistants.delete(assistant.id)).deleted
    container = await client.containers.create(name="box")
    assert [each.id async for each in client.containers.list(name="box")] == [container.id]
    assert [each.id async for each in client.containers.list(name="bag")] == []
    conversation = await client.conversations.create(metadata={"topic": "x"})
    assert (await client.conversations.retrieve(conversation.id)).metadata == {"topic": "x"}
    thread = await client.beta.threads.create()
    assert (await client.beta.threads.retrieve(thread.id)).id == thread.id
    file = await client.files.create(file=("t.jsonl", b"{}\n"), purpose="fine-tune")
    job = await client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file.id, metadata={"run": "1"})
    assert [each.id async for each in client.fine_tuning.jobs.list(metadata={"run": "1"})] == [job.id]
    with pytest.raises(openai.BadRequestError):
        await client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file-nobodys")
    with pytest.raises(openai.BadRequestError):
        await client.containers.create(name=None)


async def test_chats_are_kept_when_they_are_to_be(client):
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    kept = [await client.chat.completions.create(**asked, store=True, metadata={"n": str(n)}) for n in range(3)]
    await client.chat.completions.create(**asked)
    assert {each.id async for each in client.chat.completions.list(limit=2)} == {each.id for each in kept}
    assert [each.id async for each in client.chat.completions.list(metadata={"n": "1"})] == [kept[1].id]
    assert (await client.chat.completions.retrieve(kept[0].id)).choices == kept[0].choices
    assert (await client.chat.completions.delete(kept[0].id)).deleted


async def test_what_is_not_listed_cannot_be_stocked(fake):
    with pytest.raises(ValueError, match="there is no list of thread"):
        fake.stock("sk-a", "thread")
    assert json.dumps(fake.stock("sk-a", "eval"))
