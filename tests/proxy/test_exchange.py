"""An exchange is asked once, ends in one way and closes its answer exactly once."""

import asyncio

import pytest

from tests.proxy.rig import FakeDoor, Upstream, once

from codex_manager.engine.messages import UpstreamCutError
from codex_manager.proxy.exchange import BATCH, Ending, Exchange
from codex_manager.proxy.incoming import Admission, Incoming


ADMISSION = Admission(incoming=Incoming(method="GET", target="/v1/models", headers=()), client="default", headers=())


async def nothing():
    """The client takes everything at once."""


def exchange_of(carry, drain=nothing):
    exchange = Exchange(FakeDoor(carry), drain)
    exchange.ask(ADMISSION, b"")
    closed: list[Exchange] = []
    exchange.on_close = closed.append
    return exchange, closed


def answering(upstream, pieces):
    async def carry(seen):
        return upstream.answer(pieces)

    return carry


async def collect(exchange):
    await exchange.send()
    out = [exchange.chunk]
    while exchange.ending is Ending.OPEN:
        await exchange.read()
        out.append(exchange.chunk)
    return out


async def test_what_is_at_hand_comes_with_the_answer():
    upstream = Upstream()
    exchange, closed = exchange_of(answering(upstream, once(b"a", b"b")))
    assert await collect(exchange) == [b"ab"]
    assert exchange.ending is Ending.WHOLE
    assert (upstream.closed, closed) == (1, [exchange])


async def test_a_batch_is_bounded():
    exchange, _ = exchange_of(answering(Upstream(), once(*[b"x" * 4096] * 64)))
    pieces = await collect(exchange)
    assert max(map(len, pieces)) <= BATCH
    assert sum(map(len, pieces)) == 64 * 4096


async def test_a_cut_is_told_after_what_came_before_it():
    async def cut():
        yield b"before"
        raise UpstreamCutError

    upstream = Upstream()
    exchange, _ = exchange_of(answering(upstream, cut()))
    assert await collect(exchange) == [b"before", b""]
    assert exchange.ending is Ending.CUT
    assert upstream.closed == 1


@pytest.mark.parametrize("moment", ["before", "sending", "reading", "between", "after"])
async def test_abandoning_closes_once_at_any_moment(moment):
    async def slow():
        yield b"first"
        await asyncio.sleep(60)
        yield b"never"

    upstream = Upstream()

    async def carry(seen):
        if moment == "sending":
            await asyncio.sleep(60)
        return upstream.answer(once() if moment == "after" else slow())

    exchange, closed = exchange_of(carry)
    if moment == "sending":
        task = asyncio.create_task(exchange.send())
        await asyncio.sleep(0.01)
    elif moment != "before":
        await exchange.send()
        task = asyncio.create_task(exchange.read() if moment == "reading" else nothing())
        await asyncio.sleep(0.01)
    exchange.abandon()
    exchange.abandon()
    if moment != "before":
        await asyncio.wait_for(task, 1)
    await asyncio.sleep(0.01)
    assert exchange.ending is (Ending.WHOLE if moment == "after" else Ending.GONE)
    assert upstream.closed == (0 if moment in {"before", "sending"} else 1)
    assert closed == [exchange]


async def test_cancelling_from_outside_is_not_swallowed():
    async def carry(seen):
        await asyncio.sleep(60)

    exchange, closed = exchange_of(carry)
    task = asyncio.create_task(exchange.send())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [exchange]


async def test_a_client_lost_while_it_drains_ends_the_exchange():
    async def lost():
        raise ConnectionResetError

    async def later():
        await asyncio.sleep(0)
        yield b"x"

    upstream = Upstream()
    exchange, _ = exchange_of(answering(upstream, later()), lost)
    await collect(exchange)
    await asyncio.sleep(0.01)
    assert exchange.ending is Ending.GONE
    assert upstream.closed == 1


async def test_a_multiplexed_client_is_waited_for():
    backlog = 10**6
    exchange, _ = exchange_of(answering(Upstream(), endless()))
    exchange.multiplexed(lambda: backlog, 1)
    await exchange.send()
    task = asyncio.create_task(exchange.read())
    await asyncio.sleep(0.02)
    assert not task.done()
    backlog = 0
    exchange.progress.set()
    await asyncio.wait_for(task, 1)
    assert exchange.chunk == b"x"
    exchange.abandon()
    await asyncio.sleep(0)


async def endless():
    while True:
        await asyncio.sleep(0)
        yield b"x"
