"""The fake's prompt cache: what was read before is cheap, where and as long as it is remembered."""

from typing import Any

import openai
import pytest

from codex_manager.testing import FakeClock, FakeOpenAI
from codex_manager.testing.openai.prompts import BLOCK, CACHED_FROM, PromptCache


LONG = "".join(f"rule {number} of the house; " for number in range(400))  # about 2,200 tokens


def talk(*said: str, system: str = LONG) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    return {"messages": [{"role": "system", "content": system}, *messages]}


def read(cache, body, now=0.0, organization="org-a", model="gpt-5"):
    return cache.read(organization, model, body, now)


def test_a_conversation_that_goes_on_finds_its_earlier_turns():
    cache = PromptCache(600.0)
    assert read(cache, talk("hello")) == 0
    first = read(cache, talk("hello", "hello to you", "and " * 1000))
    assert first >= 2 * CACHED_FROM - BLOCK
    assert read(cache, talk("hello", "hello to you", "and " * 1000, "yes", "what?")) >= first + 1000 - BLOCK
    assert first % BLOCK == 0


def test_only_the_same_organization_and_model_have_read_it():
    cache = PromptCache(600.0)
    read(cache, talk("hello"))
    assert read(cache, talk("hello"), organization="org-b") == 0
    assert read(cache, talk("hello"), model="gpt-4o") == 0
    assert read(cache, talk("hello")) > 0


def test_another_beginning_finds_nothing_and_a_common_one_its_part():
    cache = PromptCache(600.0)
    read(cache, talk("hello"))
    assert read(cache, talk("hello", system="Other " + LONG)) == 0
    assert 0 < read(cache, talk("hello", system=LONG + "And one more rule. " * 400)) < len(LONG) // 4 + BLOCK


def test_short_prompts_are_not_cached():
    cache = PromptCache(600.0)
    short = talk("hello", system="x" * (4 * (CACHED_FROM - 64)))
    assert [read(cache, short), read(cache, short)] == [0, 0]


def test_it_is_forgotten_when_nobody_reads_it():
    cache = PromptCache(600.0)
    read(cache, talk("hello"), 0.0)
    assert read(cache, talk("hello"), 600.0) > 0
    assert read(cache, talk("hello"), 1200.0) > 0, "reading it keeps it"
    assert read(cache, talk("hello"), 1801.0) == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_report_it(stream):
    clock = FakeClock()
    async with FakeOpenAI(clock=clock.monotonic, prompt_cache_s=600.0) as fake:
        for key, organization in (("sk-a", "org-1"), ("sk-b", "org-1"), ("sk-c", "org-2")):
            fake.account(key, organization=organization)

        async def cached(key):
            async with openai.AsyncOpenAI(api_key=key, base_url=fake.api_url) as client:
                if not stream:
                    answer = await client.chat.completions.create(model="gpt-5", **talk("hello"))
                    return answer.usage.prompt_tokens_details.cached_tokens
                streamed: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
                chunks: Any = await client.chat.completions.create(model="gpt-5", **streamed, **talk("hello"))
                return [chunk async for chunk in chunks][-1].usage.prompt_tokens_details.cached_tokens

        assert await cached("sk-a") == 0
        assert await cached("sk-c") == 0
        assert await cached("sk-b") == await cached("sk-a") > CACHED_FROM
        await clock.advance(601)
        assert await cached("sk-a") == 0
