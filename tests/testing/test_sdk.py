"""The official SDK takes the fake for OpenAI: every endpoint it offers is understood, every refusal raises its type."""

import base64
import io
import itertools

from typing import Any, cast

import openai
import pytest

from codex_manager.testing import FakeOpenAI, answers, in_thread
from codex_manager.testing.answers import ok
from codex_manager.testing.toxics import close_mid_stream, reset_before_headers


MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def sdk(fake):
    async with openai.AsyncOpenAI(api_key="sk-a", base_url=fake.api_url, max_retries=0) as client:
        yield client


@pytest.fixture
async def other(fake):
    async with openai.AsyncOpenAI(api_key="sk-b", base_url=fake.api_url, max_retries=0) as client:
        yield client


async def test_chat(fake, sdk):
    fake.script("sk-a", ok("Good morning."))
    answer = await sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == "Good morning."
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_chat_streamed(fake, sdk):
    fake.script("sk-a", ok("Good morning.", chunks=7))
    stream = await sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Good morning."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len(chunks) == 9
    assert all(chunk.usage is None for chunk in chunks)


async def test_chat_streamed_with_usage(sdk):
    stream = await sdk.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0


async def test_stamped_events_carry_the_time_they_were_written(fake, sdk):
    fake.script("sk-a", ok(chunks=3, every=0.02, stamped=True))
    stream = await sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    stamps = [chunk.sent_ns async for chunk in stream]
    assert all(later - earlier >= 0.019e9 for earlier, later in itertools.pairwise(stamps))


async def test_responses(sdk, other):
    first = await sdk.responses.create(model="gpt-5", input="hello", metadata={"mine": "yes"})
    assert "gpt-5 answers request" in first.output_text
    assert first.metadata["mine"] == "yes"
    again = await sdk.responses.retrieve(first.id)
    assert again.output_text == first.output_text
    second = await sdk.responses.create(model="gpt-5", input="and?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    with pytest.raises(openai.NotFoundError, match="not found"):
        await other.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await other.responses.create(model="gpt-5", input="and?", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"


async def test_responses_not_stored_cannot_be_retrieved(sdk):
    answer = await sdk.responses.create(model="gpt-5", input="hello", store=False)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(answer.id)


async def test_responses_streamed(fake, sdk):
    fake.script("sk-a", ok("Good morning.", chunks=5))
    stream = await sdk.responses.create(model="gpt-5", input="hello", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens > 0
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Good morning."


async def test_completions(fake, sdk):
    fake.always("sk-a", ok("once upon"))
    whole = await sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="x")
    stream = await sdk.completions.create(model="gpt-3.5-turbo-instruct", prompt="x", stream=True)
    assert whole.choices[0].text == "".join([chunk.choices[0].text async for chunk in stream]) == "once upon"


async def test_embeddings_are_the_same_numbers_in_both_encodings(fake, sdk):
    """The SDK asks for base64 by itself and decodes it."""
    packed = await sdk.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    plain = await sdk.embeddings.create(model="text-embedding-3-small", input=["one", "two"], encoding_format="float")
    assert b'"encoding_format":"base64"' in fake.log[0].body
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert len(plain.data[0].embedding) == 1536
    assert plain.data[0].embedding != plain.data[1].embedding


async def test_files_live_in_their_project(sdk, other):
    content = bytes(range(256)) * 100
    made = await sdk.files.create(file=("data.bin", io.BytesIO(content)), purpose="user_data")
    assert (made.bytes, made.filename, made.purpose) == (len(content), "data.bin", "user_data")
    assert (await sdk.files.content(made.id)).read() == content
    assert [item.id async for item in sdk.files.list()] == [made.id]
    assert [item.id async for item in other.files.list()] == []
    for refused in (other.files.retrieve(made.id), other.files.content(made.id), other.files.delete(made.id)):
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
            await refused
    assert (await sdk.files.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.files.retrieve(made.id)


async def test_lists_have_pages(sdk):
    names = [(await sdk.files.create(file=b"x", purpose="user_data")).id for _ in range(5)]
    page = await sdk.files.list(limit=2)
    assert [item.id for item in page.data] == names[:2:-1]
    assert page.has_next_page()
    assert [item.id async for item in sdk.files.list(limit=2)] == names[::-1]


async def test_batches_and_vector_stores_take_files_of_their_project_only(sdk, other):
    file = await sdk.files.create(file=b"{}", purpose="batch")
    batch = await sdk.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    assert (await sdk.batches.retrieve(batch.id)).input_file_id == file.id
    store = await sdk.vector_stores.create(name="papers", file_ids=[file.id])
    assert (await sdk.vector_stores.retrieve(store.id)).name == "papers"
    with pytest.raises(openai.NotFoundError, match="No batch found"):
        await other.batches.retrieve(batch.id)
    with pytest.raises(openai.NotFoundError, match="No vector store found"):
        await other.vector_stores.retrieve(store.id)
    with pytest.raises(openai.BadRequestError, match="does not exist"):
        await other.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")


async def test_models(sdk):
    listed = [model.id async for model in sdk.models.list()]
    assert "gpt-4o" in listed
    assert (await sdk.models.retrieve("gpt-4o")).id == "gpt-4o"
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.models.retrieve("claude-5")
    assert caught.value.code == "model_not_found"


async def test_images(fake, sdk):
    made = await sdk.images.generate(model="gpt-image-1", prompt="a dot", n=2)
    edited = await sdk.images.edit(model="gpt-image-1", image=("dot.png", b"\x89PNG", "image/png"), prompt="a line")
    assert len(made.data) == 2
    assert base64.b64decode(edited.data[0].b64_json).startswith(b"\x89PNG")
    assert fake.log[1].header("content-type").startswith("multipart/form-data")


async def test_moderations(sdk):
    answer = await sdk.moderations.create(input=["fine", "too"])
    assert [result.flagged for result in answer.results] == [False, False]


async def test_speech_is_binary(sdk):
    answer = await sdk.audio.speech.create(model="tts-1", voice="alloy", input="hello")
    sound = answer.read()
    assert sound.startswith(b"\xff\xf3")
    assert len(sound) == 24_004
    assert answer.response.headers["content-type"] == "audio/mpeg"


async def test_transcriptions(fake, sdk):
    sound = ("a.mp3", b"\xff\xf3" * 50, "audio/mpeg")
    fake.always("sk-a", ok("hello there"))
    assert (await sdk.audio.transcriptions.create(model="whisper-1", file=sound)).text == "hello there"
    text = await sdk.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text")
    assert text.strip() == "hello there"
    stream = await sdk.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound, stream=True)
    events = [event async for event in stream]
    assert events[-1].text == "hello there"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (answers.rate_limited(retry_after=1), openai.RateLimitError),
        (answers.insufficient_quota(), openai.RateLimitError),
        (answers.invalid_key(), openai.AuthenticationError),
        (answers.forbidden(), openai.PermissionDeniedError),
        (answers.model_not_found(), openai.NotFoundError),
        (answers.bad_request(), openai.BadRequestError),
        (answers.overloaded(), openai.InternalServerError),
        (answers.server_error(520), openai.InternalServerError),
        (reset_before_headers(), openai.APIConnectionError),
        (answers.garbage(), openai.APIConnectionError),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_each_refusal_raises_its_exception(fake, sdk, step, error):
    fake.script("sk-a", step)
    with pytest.raises(error):
        await sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES)


async def test_an_error_inside_a_stream_raises(fake, sdk):
    fake.script("sk-a", answers.error_in_stream(after=1))
    stream = await sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match=r"try again in 1\.898s"):
        _ = [chunk async for chunk in stream]


async def test_a_cut_stream_is_noticed(fake, sdk):
    fake.script("sk-a", ok(chunks=9) | close_mid_stream(3))
    stream = await sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIConnectionError):
        _ = [chunk async for chunk in stream]
    await stream.close()


async def test_the_sdk_waits_as_told_and_tries_again(fake):
    fake.script("sk-a", answers.rate_limited(retry_after_ms=80))
    async with openai.AsyncOpenAI(api_key="sk-a", base_url=fake.api_url) as client:
        await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    first, second = fake.log
    assert second.at - first.at >= 0.08
    assert second.header("x-stainless-retry-count") == "1"


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/chat/completions", {"messages": []}, 400, "Missing required parameter: 'model'"),
        ("/chat/completions", {"model": "gpt-4o"}, 400, "Missing required parameter: 'messages'"),
        ("/embeddings", {"model": "text-embedding-3-small"}, 400, "Missing required parameter: 'input'"),
        ("/images/generations", {}, 400, "Missing required parameter: 'prompt'"),
        ("/no/such/thing", {}, 404, "Invalid URL (POST /v1/no/such/thing)"),
        ("/models", {}, 405, "Not allowed to POST on /v1/models."),
    ],
)
async def test_the_callers_mistakes_are_named(sdk, path, body, status, message):
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.post(path, body=body, cast_to=object)
    assert caught.value.status_code == status
    assert message in caught.value.message


def test_the_sync_sdk_and_a_server_in_a_thread():
    with in_thread() as fake, openai.OpenAI(api_key="sk-a", base_url=fake.api_url, max_retries=0) as client:
        fake.account("sk-a", "org-a")
        fake.script("sk-a", ok("whole"), ok("streamed", chunks=3))
        whole = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        assert whole.choices[0].message.content == "whole"
        assert "".join(chunk.choices[0].delta.content or "" for chunk in cast("Any", stream)) == "streamed"
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
        assert raw.headers["openai-organization"] == "org-a"
    assert fake.counts("sk-a") == 3


def test_a_thread_that_cannot_listen_says_why():
    with in_thread() as fake, pytest.raises(OSError, match="in use"), in_thread(FakeOpenAI(port=fake.port)):
        pass
