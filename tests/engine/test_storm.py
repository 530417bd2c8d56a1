"""Many requests over accounts that fail in every way: no client notices while one is healthy, and no upstream sees a storm."""

import asyncio
import itertools

from email.utils import formatdate

import pytest

from tests.engine.screenplay import CHAT, Stage, post, stage

from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t


HINTS = (
    a.rate_limited(retry_after=1),
    a.rate_limited(retry_after_ms=700),
    a.rate_limited(reset_requests="600ms"),
    a.rate_limited(reset_tokens="1.2s", kind="tokens"),
    a.rate_limited(message="Rate limit reached for gpt-4o. Please try again in 898ms."),
    a.rate_limited(retry_after=formatdate(0, usegmt=True)),  # a date that has passed says nothing
    a.rate_limited(),
    a.slow_down(),
)
REFUSING = {"base_url": "http://127.0.0.1:9"}


def numbered(count):
    return [
        post("/v1/chat/completions", CHAT[:-1] + b', "metadata": {"client_request_id": "%d"}}' % number)
        for number in range(count)
    ]


async def ask_all(there: Stage, requests, parallel=50):
    room = asyncio.Semaphore(parallel)

    async def one(request):
        async with room:
            return await there.ask(request)

    return await asyncio.gather(*(one(request) for request in requests))


async def storm(count, strategy):
    """Four accounts that fail in their own ways for ever, one that works."""
    async with stage("abcde", strategy=strategy, accounts={"d": REFUSING}, max_inline_wait_s=5.0) as there:
        there.fake.cycle("sk-a", *HINTS)
        there.fake.cycle("sk-b", a.insufficient_quota(), a.invalid_key())
        there.fake.always("sk-c", a.overloaded())
        got = await ask_all(there, numbered(count))
        assert {(one.status, one.by) for one in got} == {(200, "e")}
        assert there.fake.duplicates() == {}
        assert there.fake.violations() == []
        assert len(there.fake.log) <= 1.25 * count
        return there


@pytest.mark.parametrize("strategy", ["least_utilized", "round_robin", "priority"])
async def test_no_client_notices_while_one_account_is_healthy(strategy):
    await storm(1000, strategy)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["least_utilized", "round_robin", "priority", "sticky"])
async def test_no_client_notices_while_one_account_is_healthy_for_long(strategy):
    async with asyncio.timeout(55):
        await storm(10_000, strategy)


async def test_accounts_that_are_limited_in_turn_are_all_used():
    """Three are limited every few dozen requests, with every kind of hint; the fourth is not."""
    async with stage("abcd", strategy="least_utilized", max_inline_wait_s=5.0) as there:
        for number, label in enumerate("abc"):
            steps = []
            for hint, length in zip(itertools.cycle(HINTS[number * 2 : number * 2 + 2]), (20, 40, 60), strict=False):
                steps += [*[a.ok()] * length, hint]
            there.fake.script(f"sk-{label}", *steps)
        got = await ask_all(there, numbered(1000))
        assert {one.status for one in got} == {200}
        assert there.fake.duplicates() == {}
        assert len(there.fake.log) <= 1.25 * 1000
        assert {one.by for one in got} == set("abcd")


async def test_an_upstream_that_is_down_sees_no_storm():
    """Everything answers 500: at most a fifth more than the clients sent, and ten."""
    async with stage("abcd", strategy="least_utilized") as there:
        there.fake.always(None, a.server_error())
        got = await there.ask_many(300, parallel=30)
        assert {one.status for one in got} == {500}
        first_moves = 30 * 3  # what was on its way when the first failures came
        assert len(there.fake.log) <= 300 * 1.2 + 10 + first_moves


async def test_an_overloaded_model_sees_no_storm():
    async with stage("abcd", strategy="least_utilized") as there:
        there.fake.always(None, a.overloaded())
        got = await there.ask_many(200, parallel=50)
        assert {one.status for one in got} == {503}
        assert len(there.fake.log) <= 200 * 1.2 + 10 + 50 * 3


async def test_streams_move_before_they_begin_and_arrive_as_they_are_sent():
    """The 429 costs its own round trip; after that chunks come when the upstream sends them."""
    async with stage("ab") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=20) | t.delay(0.05))
        there.fake.script("sk-b", a.ok(chunks=10, every=0.03, stamped=True))
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await there.engine.handle(post("/v1/chat/completions", CHAT[:-1] + b', "stream": true}'))
        came = []
        async for _ in answer.body:
            came.append(loop.time())  # noqa: PERF401 - the moment each one comes
        await answer.aclose()
        assert answer.account_label == "b"
        assert came[0] - began < 0.05 + 0.03 + 0.08
        gaps = [later - earlier for earlier, later in itertools.pairwise(came)]
        assert len(came) >= 9
        assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.03, abs=0.015)
