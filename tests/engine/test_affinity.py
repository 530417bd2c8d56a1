"""What staying is worth, and what a bad account is left: conversations through an engine and a fake that remembers prompts.

Time leaps instead of passing: nobody waits, and the same play has the same figures.
"""

import asyncio
import contextlib
import json
import random

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from tests.engine.screenplay import Stage, chat, post, stage
from tests.engine.test_metering_websocket import HEADERS
from tests.engine.test_metering_websocket import Talk as SocketTalk
from tests.engine.till import FlatPricing

from codex_manager.core.pricing import Cost
from codex_manager.engine.messages import Request
from codex_manager.testing import answers as a


STRATEGIES = ("sticky", "least_utilized", "priority", "round_robin")
MODEL = "gpt-4o"


class Leaping:
    """A clock that stands still until it is told to leap, and never lets anybody wait."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at

    def time(self) -> float:
        return 1.8e9 + self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


class CachePricing(FlatPricing):
    """What is read from the cache costs a tenth."""

    def cost(self, model, usage):
        return Cost(super().cost(model, usage).usd - Decimal(usage.cached) * 9 / 10_000)


@dataclass
class Talk:
    """A conversation: a long instruction of its own, then turns that answer each other."""

    name: str
    messages: list[dict[str, str]]
    tells: bool

    @classmethod
    def begin(cls, number: int, *, tells: bool = True) -> "Talk":
        rules = " ".join(f"rule {n} of house {number};" for n in range(250))
        return cls(f"talk-{number}", [{"role": "system", "content": rules}], tells)

    def turn(self, number: int):
        self.messages.append({"role": "user", "content": f"turn {number} of {self.name}: " + "and so on " * 60})
        named = {"prompt_cache_key": self.name} if self.tells else {}
        return post("/v1/chat/completions", json.dumps({"model": MODEL, "messages": self.messages, **named}).encode())

    def heard(self, body: bytes) -> tuple[int, int]:
        """Tokens of the prompt, and those of them that were in the cache."""
        document = json.loads(body)
        self.messages.append(document["choices"][0]["message"])
        usage = document["usage"]
        return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


@contextlib.asynccontextmanager
async def socket(there: Stage, headers):
    """A client's end of a WebSocket."""
    handshake = Request(method="GET", target="/v1/responses", headers=(*HEADERS, *headers), websocket=True)
    answer = await there.engine.handle(handshake)
    assert answer.session is not None
    answer.session.start()
    try:
        yield SocketTalk(answer.session)
    finally:
        await answer.aclose()


async def conversations(
    there: Stage, clock: Leaping, *, count: int, turns: int, tells: bool = True, pause: float = 5.0
):
    """All of them at once, a turn each `pause` seconds: the share of their prompts that was read from a cache."""
    talks = [Talk.begin(number, tells=tells) for number in range(count)]
    rng = random.Random(7)
    prompts = cached = 0
    for number in range(turns):
        rng.shuffle(talks)
        for talk in talks:
            clock.at += pause / count
            got = await there.ask(talk.turn(number))
            assert got.status == 200, got.body
            prompt, found = talk.heard(got.body)
            prompts, cached = prompts + prompt, cached + found
    return cached / prompts


def flapping(there: Stage, clock: Leaping, label: str) -> None:
    """Works for half a minute, is limited or broken for ten seconds, and so on."""

    def now(_seen):
        spell, at = divmod(clock.at, 40.0)
        if at < 30.0:
            return a.ok()
        return a.server_error() if spell % 2 else a.rate_limited(retry_after=5)

    there.fake.always(f"sk-{label}", now)


async def hit_rate(labels: str, strategy: str, *, flap: bool, tells: bool = True, count: int = 12, turns: int = 30):
    clock = Leaping()
    async with stage(labels, strategy=strategy, clock=clock, prompt_cache_s=600.0, min_request_interval_s=0.1) as there:
        # one tier: else `priority` would be one account after the other
        there.engine.update(accounts=[replace(account, priority=0) for account in there.accounts])
        if flap:
            flapping(there, clock, labels[0])
        return await conversations(there, clock, count=count, turns=turns, tells=tells)


async def test_a_conversation_stays_where_its_cache_is():
    assert await hit_rate("abc", "sticky", flap=False, count=3, turns=5, tells=False) == pytest.approx(
        await hit_rate("a", "sticky", flap=False, count=3, turns=5), rel=0.02
    )


@pytest.mark.slow
async def test_what_staying_is_worth_with_an_account_that_comes_and_goes(capsys):
    """Prompt tokens read from a cache, by strategy; `sticky` loses less than a tenth to what one healthy account would have."""
    best = await hit_rate("a", "sticky", flap=False)
    table = {
        (strategy, tells): await hit_rate("abcd", strategy, flap=True, tells=tells)
        for strategy in STRATEGIES
        for tells in (True, False)
    }
    with capsys.disabled():
        print(f"\nprompt tokens from the cache; one healthy account: {best:.1%}")
        print(f"{'four accounts, one flapping':30}{'says its session':>18}{'says nothing':>18}")
        for strategy in STRATEGIES:
            print(f"{strategy:30}{table[strategy, True]:>18.1%}{table[strategy, False]:>18.1%}")
    assert table["sticky", True] >= 0.9 * best
    assert table["sticky", False] >= 0.9 * best
    assert table["least_utilized", True] >= 0.9 * best
    assert table["round_robin", False] < 0.9 * best, "else the play shows nothing"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("every", [0.02, 0.1])
async def test_an_account_that_fails_half_of_the_time_is_left_alone_and_taken_back(strategy, every):
    """Below a tenth of the traffic after twenty requests; back with the first of its answers after it has healed."""
    clock, rng = Leaping(), random.Random(11)
    async with stage("abcd", strategy=strategy, clock=clock) as there:

        async def ask(count: int) -> float:
            """So many requests of different conversations; the share of them that `a` was asked."""
            before = there.fake.counts("sk-a")
            for _ in range(count):
                clock.at += every
                named = {"prompt_cache_key": f"talk {rng.randrange(1000)}"} if strategy == "sticky" else {}
                got = await there.ask(chat(**named))
                assert got.status == 200, got.body
            return (there.fake.counts("sk-a") - before) / count

        ordinary = await ask(100)
        assert ordinary > 0.15
        there.fake.always("sk-a", lambda _: a.server_error() if rng.random() < 0.5 else a.ok())
        await ask(20)
        assert await ask(200) < 0.1
        there.fake.clear("sk-a")
        probed = there.fake.counts("sk-a")
        for _ in range(1000):
            if there.fake.counts("sk-a") > probed:
                break
            await ask(1)
        assert await ask(100) > 0.6 * ordinary


async def test_what_the_cache_spares_is_written_down():
    async with stage("a", pricing=CachePricing()) as there:
        there.fake.always("sk-a", a.ok(usage={"prompt_tokens": 2000, "prompt_tokens_details": {"cached_tokens": 1024}}))
        await there.ask(chat())
        assert there.till.last.detail["saved"] == "0.9216"
        there.fake.always("sk-a", a.ok(usage={"prompt_tokens": 2000, "prompt_tokens_details": {"cached_tokens": 0}}))
        await there.ask(chat())
        assert "saved" not in there.till.last.detail


async def test_parallel_first_turns_of_a_conversation_go_to_one_account():
    async with stage("abcd", strategy="sticky") as there:
        got = await there.ask_many(8, request=chat(prompt_cache_key="talk"))
        assert len({one.by for one in got}) == 1


@pytest.mark.parametrize("strategy", ["sticky", "least_utilized", "priority"])
async def test_a_conversation_returns_from_its_detour(strategy):
    clock = Leaping()
    async with stage("abc", strategy=strategy, clock=clock) as there:
        there.engine.update(accounts=[replace(account, priority=0) for account in there.accounts])
        request = post("/v1/responses", json.dumps({"model": MODEL, "input": "hello"}).encode())
        request = replace(request, headers=(*request.headers, (b"Session_ID", b"codex-1")))
        home = (await there.ask(request)).by
        there.fake.script(f"sk-{home}", a.rate_limited(retry_after=20))
        away = [(await there.ask(request)).by for _ in range(2)]
        assert len(set(away)) == 1
        assert away[0] != home
        clock.at += 21
        assert {(await there.ask(request)).by for _ in range(5)} == {home}


async def test_a_client_that_falls_back_from_its_socket_goes_on_where_it_was():
    async with stage("abcd", strategy="sticky") as there:
        for number in range(6):
            name = f"codex-{number}"
            async with socket(there, headers=((b"session-id", name.encode()),)) as one:
                assert (await one.turn(prompt_cache_key=name))["type"] == "response.completed"
                home = one.session.account_label
            async with socket(there, headers=((b"session-id", name.encode()),)) as one:
                await one.turn(prompt_cache_key=name)
                assert one.session.account_label == home
            request = post(
                "/v1/responses", json.dumps({"model": "gpt-5", "input": "hello", "prompt_cache_key": name}).encode()
            )
            got = await there.ask(request)
            assert (got.by, got.answer.facts["by"]) == (home, "affinity")
