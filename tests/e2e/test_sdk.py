"""The official SDK through the proxy, while the first account is limited and the second revoked."""

import asyncio
import io
import time

from typing import Any

import openai
import pytest

from tests.e2e.conftest import KEYS
from tests.support import LOCAL_KEY

from codex_manager.testing import answers
from codex_manager.testing.toxics import delay


CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


def two_of_three_fail(fake):
    fake.always(KEYS["limited"], answers.rate_limited(retry_after=60))
    fake.always(KEYS["revoked"], answers.invalid_key())
    return fake


@pytest.fixture
def new(fake, client):
    """A proxy that has not asked any of the accounts: its upstream, and a client."""
    return two_of_three_fail(fake), client


@pytest.fixture
def fake_in_use(shared_fake):
    return two_of_three_fail(shared_fake)


@pytest.fixture
def client_in_use(fake_in_use, shared_proxy):
    """For a proxy that may know by now which accounts fail."""
    with openai.OpenAI(api_key=LOCAL_KEY, base_url=shared_proxy.base_url, timeout=15, max_retries=0) as sdk:
        yield sdk


def served_by(raw):
    return raw.headers["x-account-label"]


def test_a_chat_is_served_by_the_healthy_account_and_says_so_and_the_others_are_left_alone(new):
    fake, client = new
    raw = client.chat.completions.with_raw_response.create(**CHAT)

    assert raw.parse().choices[0].message.content
    assert served_by(raw) == "healthy"
    assert raw.headers["x-retry-count"] == "2"
    assert raw.headers["x-routing-strategy"] == "priority"
    assert raw.headers["x-account-id"]
    assert [seen.key for seen in fake.log] == list(KEYS.values())

    for _ in range(9):
        client.chat.completions.create(**CHAT)

    assert fake.counts(KEYS["limited"]) == 1
    assert fake.counts(KEYS["revoked"]) == 1
    assert fake.counts(KEYS["healthy"]) == 10


def test_every_kind_of_call_works(client_in_use):
    client = client_in_use
    assert client.completions.create(model="gpt-3.5-turbo-instruct", prompt="hello").choices
    assert client.embeddings.create(model="text-embedding-3-small", input="hello").data[0].embedding
    assert client.images.generate(model="gpt-image-1", prompt="a cat").data
    assert client.moderations.create(input="hello").results
    assert client.responses.create(model="gpt-4o-mini", input="hello").output_text
    assert client.models.list().data
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content
    speech = ("speech.mp3", io.BytesIO(b"\xff\xfb" * 2000))
    assert client.audio.transcriptions.create(model="whisper-1", file=speech).text is not None


def test_files_go_up_and_come_down_byte_for_byte(client_in_use):
    client = client_in_use
    content = bytes(range(256)) * 400
    made = client.files.create(file=("data.jsonl", io.BytesIO(content)), purpose="batch")

    assert made.bytes == len(content)
    assert client.files.retrieve(made.id).filename == "data.jsonl"
    assert client.files.content(made.id).content == content
    assert client.files.delete(made.id).deleted


def test_streams_of_both_apis_arrive_whole(client_in_use):
    client = client_in_use
    chunks = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    events = list(client.responses.create(model="gpt-4o-mini", input="hello", stream=True))

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage.total_tokens > 0
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"


async def test_fifty_at_once_see_no_error(proxy, fake):
    two_of_three_fail(fake)
    async with openai.AsyncOpenAI(api_key=LOCAL_KEY, base_url=proxy.base_url, timeout=20, max_retries=0) as sdk:
        got = await asyncio.gather(*(sdk.chat.completions.create(**CHAT) for _ in range(50)))
        streams = await asyncio.gather(*(drain(sdk) for _ in range(20)))

    assert all(answer.choices[0].message.content for answer in got)
    assert all(streams)
    assert fake.duplicates() == {}


async def drain(sdk):
    return [chunk async for chunk in await sdk.chat.completions.create(**CHAT, stream=True)]


def test_the_callers_own_mistake_comes_back_verbatim_and_is_not_repeated(client_in_use, fake_in_use):
    fake_in_use.script(KEYS["healthy"], answers.context_length())

    with pytest.raises(openai.BadRequestError) as refused:
        client_in_use.chat.completions.create(**CHAT)

    assert refused.value.code == "context_length_exceeded"
    assert fake_in_use.counts(KEYS["healthy"]) == 1


def test_the_clients_organization_and_cookies_do_not_reach_another_account(proxy, fake):
    two_of_three_fail(fake)
    with openai.OpenAI(
        api_key=LOCAL_KEY, base_url=proxy.base_url, organization="org-of-the-client", project="proj-of-the-client",
        default_headers={"Cookie": "__cf_bm=somebody"}, timeout=15, max_retries=0,
    ) as sdk:  # fmt: skip
        raw = sdk.chat.completions.with_raw_response.create(**CHAT)
        sdk.chat.completions.create(**CHAT)

    assert "set-cookie" not in raw.headers
    names = [{name.lower() for name, _ in seen.headers} for seen in fake.log]
    assert not any(
        names & {"cookie", "openai-organization", "openai-project", "via", "x-forwarded-for"} for names in names
    )
    assert fake.violations() == []


def test_a_stream_whose_first_account_is_limited_arrives_live(new):
    """Chunks come as the upstream sends them; the first no later than the 429's round trip and a little."""
    fake, client = new
    fake.clear(KEYS["limited"])
    fake.always(KEYS["limited"], answers.rate_limited(retry_after=60) | delay(0.2))
    fake.always(KEYS["healthy"], answers.ok(chunks=12, every=0.05, stamped=True))

    started = time.monotonic_ns()
    lags = []
    first = 0
    for chunk in client.chat.completions.create(**CHAT, stream=True):
        now = time.monotonic_ns()
        first = first or now
        if sent := (chunk.model_extra or {}).get("sent_ns"):
            lags.append((now - sent) / 1e6)

    assert len(lags) >= 12
    assert sorted(lags)[len(lags) // 2] < 25, (
        f"chunks are held back: {lags} ms"
    )  # a few ms; a busy machine's worth more
    assert max(lags) < 50 * 12, f"the stream was buffered: {lags} ms"
    assert (first - started) / 1e6 > 200
