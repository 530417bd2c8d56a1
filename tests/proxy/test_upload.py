"""A request body on its way through never takes much memory, and never holds anybody up for nothing."""

import asyncio

import pytest

from codex_manager.proxy.upload import HIGH_WATER, LOW_WATER, Upload


async def test_bytes_come_out_in_order_until_the_end():
    upload = Upload()
    upload.feed(b"a")
    upload.feed(b"b")
    upload.finish()
    assert [piece async for piece in upload] == [b"a", b"b"]
    assert upload.received == 2


async def test_the_reader_waits_for_the_writer():
    upload = Upload()
    reading = asyncio.ensure_future(anext(upload))
    await asyncio.sleep(0)
    assert not reading.done()
    upload.feed(b"x")
    assert await reading == b"x"


async def test_full_above_the_high_mark_and_room_below_the_low_one():
    upload = Upload()
    upload.feed(b"x" * (HIGH_WATER - LOW_WATER))
    assert not upload.full
    upload.feed(b"y" * (LOW_WATER + 1))
    assert upload.full
    waiting = asyncio.ensure_future(upload.room())
    await anext(upload)
    await asyncio.sleep(0)
    assert upload.full
    assert not waiting.done()
    await anext(upload)
    await asyncio.wait_for(waiting, 1)
    assert not upload.full


async def test_discarding_lets_both_sides_go_on():
    upload = Upload()
    upload.feed(b"x" * (HIGH_WATER + 1))
    upload.discard()
    await asyncio.wait_for(upload.room(), 1)
    upload.feed(b"more")
    assert upload.received == HIGH_WATER + 5
    with pytest.raises(StopAsyncIteration):
        await anext(upload)
