"""Somebody who set a limit can go to sleep: it holds for parallel requests, over a kill, for a client's key; others take over.

A real proxy process, the official SDK with its own repeats left on, and dollars that can be counted: a token costs one. A chat
here has 9 of input and 13 of output, and is taken for 52 at most before it is sent.
"""

import asyncio
import collections
import re
import sqlite3

from contextlib import closing
from decimal import Decimal
from typing import Any

import openai
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy, wait_for

from codex_manager.ledger import Reader
from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}
COST, NEED = 22, 52
PRICES = "prices:\n  gpt-4o: {input: 1000000, output: 1000000}\n"
FIRST, SECOND = "sk-first-0123456789abcdef", "sk-second-0123456789abcdef"
SPENT = re.compile(r"daily limit of \$520\.00.* counts anew from \d{4}-\d\d-\d\d 00:00 UTC, again in ")


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account(FIRST, "org-first")
        server.account(SECOND, "org-second")
        server.always(None, answers.ok() | toxics.delay(0.1))
        yield server


def home_with(path, fake, *accounts):
    config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority\n{PRICES}"
    return make_home(path, accounts, config)


async def storm(base_url, count, key=LOCAL_KEY):
    """So many chats at once, every third a stream; what became of them."""
    async with openai.AsyncOpenAI(api_key=key, base_url=base_url, timeout=30, max_retries=2) as sdk:

        async def ask(number):
            try:
                if number % 3 == 0:
                    async with await sdk.chat.completions.create(**CHAT, stream=True) as stream:
                        return [chunk async for chunk in stream]
                return await sdk.chat.completions.create(**CHAT)
            except Exception as error:  # a cut stream ends with an error of the library below the SDK
                return error

        return await asyncio.gather(*(ask(number) for number in range(count)))


def parted(got):
    """Those that were served, and the refusals; a stream is whole."""
    refused = [each for each in got if isinstance(each, Exception)]
    served = [each for each in got if not isinstance(each, Exception)]
    assert all(each[-1].choices[0].finish_reason == "stop" for each in served if isinstance(each, list))
    return served, refused


def check_refusals(refused, words=SPENT):
    for error in refused:
        assert isinstance(error, openai.RateLimitError), repr(error)
        assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")
        assert error.response.headers["x-should-retry"] == "false"
        assert words.search(error.message), error.message


def used(fake):
    """What OpenAI would send a bill for: dollars by key."""
    return {
        key: COST * sum(seen.processed for seen in fake.log if seen.key == key)
        for key in {seen.key for seen in fake.log}
    }


def spent(home, *by):
    with Reader.open(home.path / "ledger.db") as reader:
        return {row.key: row.usd for row in reader.usage(by or ("account",))}


def rows(home):
    with Reader.open(home.path / "ledger.db") as reader:
        return collections.Counter((r.status, r.failure) for r in reader.requests(limit=1000))


def test_two_hundred_at_once_where_there_is_room_for_ten(fake, isolated_home):
    work = account("work", FIRST, daily_limit_usd=float(10 * NEED))
    home = home_with(isolated_home, fake, work)
    with running_proxy(home) as proxy:
        served, refused = parted(asyncio.run(storm(proxy.base_url, 200)))
        check_refusals(refused)
        assert len(served) >= 10
        assert used(fake)[FIRST] <= 10 * NEED
        while len(parted(asyncio.run(storm(proxy.base_url, 4)))[0]):
            pass
        left = 10 * NEED - used(fake)[FIRST]
        assert 0 <= left < NEED, "what fits is let through"
    assert spent(home) == {(work.id,): used(fake)[FIRST], ("",): 0}
    assert {failure for _, failure in rows(home)} == {"", "insufficient_quota"}
    assert rows(home)[200, ""] * COST == used(fake)[FIRST]


@pytest.mark.slow
def test_the_next_account_takes_over_and_none_is_refused(fake, isolated_home):
    first = account("first", FIRST, daily_limit_usd=float(10 * NEED), priority=1)
    second = account("second", SECOND)
    home = home_with(isolated_home, fake, first, second)
    with running_proxy(home) as proxy:
        served, refused = parted(asyncio.run(storm(proxy.base_url, 100)))
    assert refused == []
    assert len(served) == 100
    assert 10 * COST <= used(fake)[FIRST] <= 10 * NEED
    assert spent(home) == {(first.id,): used(fake)[FIRST], (second.id,): used(fake)[SECOND]}
    assert fake.duplicates() == {}


@pytest.mark.slow
def test_a_clients_key_is_held_to_its_limit_whoever_serves_it(fake, isolated_home):
    home = home_with(isolated_home, fake, account("first", FIRST), account("second", SECOND))
    with home.vault() as vault:
        _, secret = vault.add_client_key("ci", daily_limit_usd=float(10 * NEED))
    with running_proxy(home) as proxy:
        served, refused = parted(asyncio.run(storm(proxy.base_url, 60, secret.reveal())))
        check_refusals(refused, re.compile(r"'?ci'?.*\$520\.00"))
        assert 10 <= len(served) <= 20
        assert len(parted(asyncio.run(storm(proxy.base_url, 3)))[0]) == 3, "others are not held"
    assert spent(home, "client")["ci",] == len(served) * COST <= 10 * NEED


@pytest.mark.slow
@pytest.mark.parametrize("held", ["account", "client"])
def test_killed_in_the_middle_and_started_again_it_is_still_within_the_limit(fake, isolated_home, held):
    """Ten are on their way when it is killed; they count as spent, and OpenAI may have served them."""
    limit = float(20 * NEED)
    work = account("work", FIRST, daily_limit_usd=limit if held == "account" else None)
    home = home_with(isolated_home, fake, work)
    key = LOCAL_KEY
    if held == "client":
        with home.vault() as vault:
            key = vault.add_client_key("ci", daily_limit_usd=limit)[1].reveal()

    def reserved():
        with closing(sqlite3.connect(f"file:{home.path / 'ledger.db'}?mode=ro", uri=True, timeout=10)) as file:
            return file.execute("SELECT count(*), sum(nano) / 1000000000 FROM reservation").fetchone()

    with running_proxy(home) as proxy:
        assert len(parted(asyncio.run(storm(proxy.base_url, 5, key)))[0]) == 5
        fake.always(None, answers.ok() | toxics.delay(30))

        async def killed():
            asking = asyncio.create_task(storm(proxy.base_url, 10, key))
            assert await asyncio.to_thread(wait_for, lambda: reserved()[0] == 10, 20)
            proxy.process.kill()
            proxy.process.wait(10)
            asking.cancel()

        asyncio.run(killed())
    aside = reserved()[1]
    fake.always(None, answers.ok() | toxics.delay(0.1))
    with running_proxy(home) as proxy:
        assert f"10 that were on their way are booked as estimates, ${aside}.00 together" in proxy.said()
        served, refused = parted(asyncio.run(storm(proxy.base_url, 200, key)))
    check_refusals(refused, re.compile(r"daily limit of \$1,?040\.00"))
    ours = spent(home, held)[work.id if held == "account" else "ci",]
    assert used(fake)[FIRST] <= ours <= limit
    assert ours == (5 + len(served)) * COST + aside


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_again_and_again_without_a_warning_the_limit_is_passed_by_a_moment_at_most(fake, isolated_home):
    """What was begun in the last 200 ms before each kill may be forgotten, and nothing else."""
    work = account("work", FIRST, daily_limit_usd=float(40 * NEED))
    home = home_with(isolated_home, fake, work)
    kills, forgettable = 3, 0
    for _ in range(kills):
        with running_proxy(home) as proxy:

            async def killed(proxy=proxy):
                asking = asyncio.create_task(storm(proxy.base_url, 60))
                before = len(fake.log)
                await asyncio.to_thread(wait_for, lambda: len(fake.log) > before, 20)
                await asyncio.sleep(0.3)
                proxy.process.kill()
                proxy.process.wait(10)
                await asyncio.wait_for(asking, 40)  # cancelled, the SDK would leave half-open sockets behind

            before = len(fake.log)
            asyncio.run(killed())
            end = max((seen.at for seen in fake.log[before:]), default=0)
            forgettable += sum(seen.at > end - 1 for seen in fake.log[before:])
    with running_proxy(home) as proxy:
        _, refused = parted(asyncio.run(storm(proxy.base_url, 100)))
    check_refusals(refused, re.compile(r"daily limit of \$2,?080\.00"))
    assert used(fake)[FIRST] <= 40 * NEED + forgettable * COST
    assert spent(home)[work.id,] <= Decimal(40 * NEED)
    print(f"\nspent ${used(fake)[FIRST]} of ${40 * NEED}, by our figures ${spent(home)[work.id,]}")
