"""Every answer that OpenAI reports usage in reports it here, in the published shape, the same streamed or not."""

import json

from typing import Any

import openai
import pytest

from tests.testing.raw import ask

from codex_manager.testing import in_thread
from codex_manager.testing.answers import ok


LONG = "word " * 1500
SOUND = ("a.mp3", b"\xff\xf3" * 20_000, "audio/mpeg")


@pytest.fixture(scope="module")
def client():
    with in_thread() as fake, openai.OpenAI(api_key="sk-a", base_url=fake.api_url, max_retries=0) as made:
        fake.account("sk-a", "org-a")
        made.fake = fake  # type: ignore[attr-defined]  # the test's own
        yield made


@pytest.fixture
def sdk(client):
    client.fake.clear()
    return client


def chat(sdk, **more: Any):
    return sdk.chat.completions.create(messages=[{"role": "user", "content": LONG}], **{"model": "gpt-4o", **more})


def test_streamed_equals_whole_to_the_token(sdk):
    whole = chat(sdk).usage
    *_, last = chat(sdk, stream=True, stream_options={"include_usage": True})
    assert last.usage == whole
    answer = sdk.responses.create(model="gpt-5", input=LONG)
    *_, done = sdk.responses.create(model="gpt-5", input=LONG, stream=True)
    assert done.response.usage == answer.usage
    image = sdk.images.generate(model="gpt-image-1", prompt="a dot", quality="low", size="1024x1024")
    *_, made = sdk.images.generate(
        model="gpt-image-1", prompt="a dot", quality="low", size="1024x1024", stream=True, partial_images=2
    )
    assert (made.type, made.usage.output_tokens) == ("image_generation.completed", 272)
    assert made.usage.total_tokens == image.usage.total_tokens
    written = sdk.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND)
    *_, heard = sdk.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True)
    assert heard.usage.input_tokens == written.usage.input_tokens


def test_a_long_prompt_is_partly_cached_and_a_short_one_is_not(sdk):
    usage = chat(sdk).usage
    assert 1024 <= usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
    assert usage.prompt_tokens_details.cached_tokens % 128 == 0
    assert sdk.responses.create(model="gpt-4o", input="hi").usage.input_tokens_details.cached_tokens == 0


@pytest.mark.parametrize(
    ("model", "more", "reasons"),
    [
        ("gpt-4o", {}, 0),
        ("o3", {}, 64),
        ("gpt-5", {"reasoning_effort": "minimal"}, 0),
        ("gpt-5", {"max_completion_tokens": 1}, 0),
    ],
)
def test_reasoning_models_reason_within_what_they_may(model, more, reasons, sdk):
    usage = chat(sdk, model=model, **more).usage
    assert usage.completion_tokens_details.reasoning_tokens == reasons
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize(
    ("asked", "served"), [(None, "default"), ("auto", "default"), ("flex", "flex"), ("priority", "priority")]
)
def test_the_service_tier_that_served_is_named(asked, served, sdk):
    more = {} if asked is None else {"service_tier": asked}
    assert chat(sdk, **more).service_tier == served
    assert sdk.responses.create(model="gpt-5", input="hi", **more).service_tier == served


def test_a_script_says_what_was_used(sdk):
    sdk.fake.script("sk-a", ok(usage={"prompt_tokens": 1_000_000, "prompt_tokens_details": {"cached_tokens": 5}}))
    usage = chat(sdk).usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (1_000_000, 5)
    assert usage.total_tokens == 1_000_000 + usage.completion_tokens
    sdk.fake.script("sk-a", ok(usage={"total_tokens": 7}))
    assert chat(sdk).usage.total_tokens == 7


def test_completions_name_no_usage_until_the_end_of_a_stream(sdk):
    more: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": LONG}
    *others, last = sdk.completions.create(**more, stream=True, stream_options={"include_usage": True})
    assert last.usage == sdk.completions.create(**more).usage
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in others)
    assert all("usage" not in chunk.model_fields_set for chunk in sdk.completions.create(**more, stream=True))


def test_embeddings_count_what_is_read(sdk):
    usage = sdk.embeddings.create(model="text-embedding-3-small", input=["one", LONG]).usage
    assert usage.prompt_tokens == usage.total_tokens > 1500


def test_images_count_by_quality_and_size_and_dall_e_not_at_all(sdk):
    two = sdk.images.generate(model="gpt-image-1", prompt="a dot", n=2, quality="high", size="1024x1536")
    assert two.usage.output_tokens == 2 * 6240
    edited = sdk.images.edit(model="gpt-image-1", image=("dot.png", b"\x89PNG", "image/png"), prompt="a line")
    assert edited.usage.input_tokens_details.image_tokens == 323
    assert sdk.images.generate(model="dall-e-3", prompt="a dot").usage is None


def test_whisper_counts_seconds_and_the_others_tokens(sdk):
    assert sdk.audio.transcriptions.create(model="whisper-1", file=SOUND).usage.seconds == 3
    told = sdk.audio.transcriptions.create(model="whisper-1", file=SOUND, response_format="verbose_json")
    assert told.usage.seconds == float(told.duration) == 3
    usage = sdk.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, prompt="names: Ada").usage
    assert (usage.type, usage.input_token_details.audio_tokens, usage.input_token_details.text_tokens) == (
        "tokens",
        30,
        2,
    )


async def test_speech_as_events_ends_with_its_usage(fake):
    heard = await ask(
        fake,
        path="/v1/audio/speech",
        body={"model": "gpt-4o-mini-tts", "input": "hello there", "voice": "alloy", "stream_format": "sse"},
    )
    events = [json.loads(line[6:]) for line in heard.body.decode().splitlines() if line.startswith("data: ")]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1] == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 2, "output_tokens": 40, "total_tokens": 42},
    }


async def test_spoken_chat_counts_its_sound(fake):
    content = [{"type": "input_audio", "input_audio": {"data": "AAAA" * 100, "format": "wav"}}]
    body = {
        "model": "gpt-4o-audio-preview",
        "modalities": ["text", "audio"],
        "messages": [{"role": "user", "content": content}],
    }
    usage = (await ask(fake, body=body)).json["usage"]
    assert usage["prompt_tokens_details"]["audio_tokens"] == 100
    assert usage["completion_tokens_details"]["audio_tokens"] > 0


def test_what_runs_in_the_background_reports_its_usage_when_it_is_done(sdk):
    sdk.fake.script("sk-a", ok("Done.", pending=2))
    made = sdk.responses.create(model="gpt-5", input="think", background=True)
    assert (made.status, made.background, made.usage, made.output) == ("queued", True, None, [])
    seen = [sdk.responses.retrieve(made.id) for _ in range(4)]
    assert [response.status for response in seen] == ["in_progress", "in_progress", "completed", "completed"]
    assert (seen[0].usage, seen[2].output_text) == (None, "Done.")
    assert seen[2].usage.output_tokens > 0
    other = sdk.responses.create(model="gpt-5", input="think", background=True)
    assert sdk.responses.cancel(other.id).status == "cancelled"
    assert sdk.responses.retrieve(other.id).usage is None
    with pytest.raises(openai.BadRequestError):
        sdk.responses.cancel(other.id)
    with pytest.raises(openai.BadRequestError, match="store=true"):
        sdk.responses.create(model="gpt-5", input="think", background=True, store=False)


def test_a_batch_is_answered_later_line_by_line(sdk):
    lines = [
        {
            "custom_id": f"c{n}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-4o", "messages": []},
        }
        for n in range(2)
    ]
    content = "\n".join([*map(json.dumps, lines), "no json"]).encode()
    file = sdk.files.create(file=("in.jsonl", content), purpose="batch")
    made = sdk.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert (made.status, sdk.batches.retrieve(made.id).status) == ("validating", "in_progress")
    done = sdk.batches.retrieve(made.id)
    assert (done.status, done.model) == ("completed", "gpt-4o")
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    answers = [json.loads(line) for line in sdk.files.content(done.output_file_id).text.splitlines()]
    assert [answer["custom_id"] for answer in answers] == ["c0", "c1"]
    assert done.usage.total_tokens == sum(answer["response"]["body"]["usage"]["total_tokens"] for answer in answers)


def test_compaction_uses_tokens_and_counting_uses_none(sdk):
    made = sdk.post("/responses/compact", body={"model": "gpt-5", "input": LONG}, cast_to=object)
    counted = sdk.post("/responses/input_tokens", body={"model": "gpt-5", "input": LONG}, cast_to=object)
    assert made["object"] == "response.compaction"
    assert made["usage"]["input_tokens"] == counted["input_tokens"] > 1500


def test_a_search_that_was_insisted_on_is_a_call_of_its_own(sdk):
    more: Any = {
        "model": "gpt-5",
        "input": "news?",
        "tools": [{"type": "web_search"}],
        "tool_choice": {"type": "web_search"},
    }
    whole = sdk.responses.create(**more)
    assert [item.type for item in whole.output] == ["web_search_call", "message"]
    events = list(sdk.responses.create(**more, stream=True))
    assert [item.type for item in events[-1].response.output] == ["web_search_call", "message"]
    assert {event.output_index for event in events if event.type == "response.output_text.delta"} == {1}


async def test_a_realtime_conversation_is_read_again_each_time_from_the_cache(fake):
    async with (
        openai.AsyncOpenAI(
            api_key="sk-a", base_url=fake.api_url, websocket_base_url=fake.api_url.replace("http", "ws")
        ) as client,
        client.realtime.connect(model="gpt-realtime") as session,
    ):

        async def answered():
            async for event in session:
                if event.type == "response.done":
                    return event.response.usage
            return None

        transcription: Any = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
        await session.session.update(session=transcription)
        await session.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": LONG}]}
        )
        await session.response.create()
        first = await answered()
        await session.input_audio_buffer.append(audio="AAAA" * 4000)
        await session.input_audio_buffer.commit()
        async for event in session:
            if event.type == "conversation.item.input_audio_transcription.completed":
                assert event.usage.type == "tokens"
                break
        await session.response.create()
        second = await answered()
    assert first.input_token_details.cached_tokens == 0
    assert second.input_token_details.cached_tokens == first.input_tokens
    assert second.input_token_details.audio_tokens == 4000
    assert second.input_tokens > first.input_tokens + 4000
    assert second.total_tokens == second.input_tokens + second.output_tokens
