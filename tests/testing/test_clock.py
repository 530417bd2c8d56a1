"""A clock that stands still until it is moved."""

import asyncio

from codex_manager.testing import FakeClock


async def test_time_stands_until_it_is_moved():
    clock = FakeClock(start=5, wall=1000)
    assert (clock.monotonic(), clock.time()) == (5, 1000)
    await clock.advance(2.5)
    assert (clock.monotonic(), clock.time()) == (7.5, 1002.5)


async def test_sleepers_wake_in_order_at_the_time_they_asked_for():
    clock = FakeClock(start=0)
    woken = []

    async def sleeper(name, seconds):
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [
        asyncio.create_task(sleeper(name, seconds)) for name, seconds in (("c", 3), ("a", 1), ("b", 2), ("late", 9))
    ]
    await clock.advance(5)
    assert woken == [("a", 1), ("b", 2), ("c", 3)]
    assert repr(clock) == "<FakeClock at 5, 1 asleep>"
    assert clock.next_deadline == 9
    await clock.advance(4)
    await asyncio.gather(*tasks)
    assert woken[-1] == ("late", 9)


async def test_a_loop_that_sleeps_again_wakes_as_often_as_it_should():
    clock = FakeClock(start=0)
    ticks = []

    async def ticker():
        while True:
            await clock.sleep(1)
            ticks.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.advance(4.5)
    task.cancel()
    assert ticks == [1, 2, 3, 4]


async def test_a_cancelled_sleeper_is_forgotten():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    assert clock.sleepers == 1
    task.cancel()
    await clock.advance(2)
    assert clock.sleepers == 0
    assert task.cancelled()


async def test_the_wall_clock_can_jump_without_the_monotonic_one():
    clock = FakeClock(start=0, wall=1000)
    clock.jump_wall(-86400)
    assert (clock.monotonic(), clock.time()) == (0, 1000 - 86400)


async def test_sleeping_no_time_lets_others_run():
    clock = FakeClock()
    await asyncio.wait_for(clock.sleep(0), 1)
