"""Limits run out, say so as OpenAI does, and refill; refused requests count."""

import re

import pytest

from tests.testing.raw import CHAT, ask

from codex_manager.testing import FakeClock, FakeOpenAI
from codex_manager.testing.openai.errors import seconds_text


@pytest.fixture
async def stage():
    clock = FakeClock()
    async with FakeOpenAI(clock=clock.monotonic) as fake:
        fake.account("sk-a", "org-a", "proj-a")
        fake.account("sk-a2", "org-a", "proj-a")
        fake.account("sk-b", "org-b", "proj-b")
        yield fake, clock


async def test_what_is_left_counts_down_and_the_next_is_refused_with_all_hints(stage):
    fake, _ = stage
    fake.limit("sk-a", requests_per_minute=3)
    left = [(await ask(fake)).headers["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    heard = await ask(fake)
    assert (heard.status, heard.error["type"], heard.error["code"]) == (429, "requests", "rate_limit_exceeded")
    assert heard.headers["retry-after"] == "20"
    assert heard.headers["retry-after-ms"] == "20000"
    assert heard.headers["x-ratelimit-limit-requests"] == "3"
    assert heard.headers["x-ratelimit-remaining-requests"] == "0"
    assert heard.headers["x-ratelimit-reset-requests"] == "1m0s"
    assert "Please try again in 20s." in heard.error["message"]
    assert "in organization org-a on requests per min (RPM): Limit 3" in heard.error["message"]


async def test_waiting_as_long_as_told_is_enough_and_less_is_not(stage):
    fake, clock = stage
    fake.limit("sk-a", requests_per_minute=600, burst_requests=1)
    assert (await ask(fake)).status == 200
    wait = int((await ask(fake)).headers["retry-after-ms"]) / 1000
    assert wait == 0.1
    await clock.advance(wait)
    assert (await ask(fake)).status == 200
    await clock.advance(wait * 0.9)
    assert (await ask(fake)).status == 429


async def test_hammering_a_limited_account_keeps_it_limited(stage):
    """OpenAI counts unsuccessful requests against the limit."""
    fake, clock = stage
    fake.limit("sk-a", requests_per_minute=60, burst_requests=1)
    assert (await ask(fake)).status == 200
    for _ in range(5):
        await clock.advance(0.5)
        assert (await ask(fake)).status == 429
    await clock.advance(1)
    assert (await ask(fake)).status == 200


async def test_tokens_run_out_before_requests(stage):
    fake, _ = stage
    fake.limit("sk-a", requests_per_minute=1000, tokens_per_minute=1000)
    body = {**CHAT, "max_completion_tokens": 600}
    first, second = await ask(fake, body=body), await ask(fake, body=body)
    assert 300 < int(first.headers["x-ratelimit-remaining-tokens"]) < 400
    assert (second.status, second.error["type"]) == (429, "tokens")
    assert re.search(
        r"tokens per min \(TPM\): Limit 1000, .* Please try again in \d+(\.\d+)?s\.", second.error["message"]
    )


async def test_keys_of_one_project_share_a_limit_and_others_do_not(stage):
    fake, _ = stage
    fake.limit("sk-a", requests_per_minute=1)
    assert [(await ask(fake, key=key)).status for key in ("sk-a", "sk-a2", "sk-b", "sk-b")] == [200, 429, 200, 200]


async def test_each_model_has_its_own_limit(stage):
    fake, _ = stage
    fake.limit("sk-a", requests_per_minute=1)
    models = ("gpt-4o", "gpt-5", "gpt-4o")
    assert [(await ask(fake, body={**CHAT, "model": model})).status for model in models] == [200, 200, 429]


async def test_reading_models_is_not_limited(stage):
    fake, _ = stage
    fake.limit("sk-a", requests_per_minute=1)
    assert [(await ask(fake, "GET", "/v1/models")).status for _ in range(3)] == [200, 200, 200]


async def test_a_limit_can_be_lifted(stage):
    fake, _ = stage
    fake.limit("sk-a", requests_per_minute=1)
    assert [(await ask(fake)).status for _ in range(2)] == [200, 429]
    fake.limit("sk-a")
    heard = await ask(fake)
    assert (heard.status, heard.headers["x-ratelimit-limit-requests"]) == (200, "10000")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.12, "120ms"), (0.0001, "1ms"), (1.2, "1.2s"), (20, "20s"), (60, "1m0s"), (360, "6m0s"), (3723.5, "1h2m3.5s")],
)
def test_durations_read_as_openai_writes_them(seconds, text):
    assert seconds_text(seconds) == text
