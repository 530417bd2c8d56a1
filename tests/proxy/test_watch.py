"""A change on disk is noticed within an interval, and nothing ends the watch but being cancelled."""

import asyncio
import os

import pytest

from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.watch import file_stamp, watch


TICK = 0.01  # seconds


class Watched:
    """Something that changes, and what was called about it."""

    def __init__(self) -> None:
        self.value: object = 0
        self.calls: list[object] = []
        self.failing = 0
        self.unfinished = 0

    def look(self) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    async def changed(self) -> bool:
        self.calls.append(self.value)
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the call failed")
        if self.unfinished:
            self.unfinished -= 1
            return False
        return True

    async def until(self, calls: int) -> None:
        async with asyncio.timeout(5):
            while len(self.calls) < calls:
                await asyncio.sleep(TICK)


@pytest.fixture
async def watched():
    it = Watched()
    task = asyncio.create_task(watch(it.look, it.changed, seen=0, interval_s=TICK))
    yield it
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_change_is_told_once(watched):
    watched.value = 1
    await watched.until(1)
    await asyncio.sleep(5 * TICK)
    assert watched.calls == [1]


async def test_nothing_is_told_while_nothing_changes(watched):
    await asyncio.sleep(10 * TICK)
    assert watched.calls == []


async def test_a_failing_call_is_made_again(watched, caplog):
    watched.failing = 2
    watched.value = 1
    await watched.until(3)
    await asyncio.sleep(5 * TICK)
    assert watched.calls == [1, 1, 1]
    assert caplog.text.count("watching goes on") == 2


async def test_an_unfinished_call_is_made_again(watched):
    watched.unfinished = 2
    watched.value = 1
    await watched.until(3)
    await asyncio.sleep(5 * TICK)
    assert watched.calls == [1, 1, 1]


async def test_that_it_cannot_be_seen_is_a_change_too(watched):
    watched.value = CodexManagerError("gone")
    await watched.until(1)
    watched.value = CodexManagerError("gone")
    await asyncio.sleep(5 * TICK)
    assert len(watched.calls) == 1
    watched.value = 1
    await watched.until(2)


async def test_a_look_that_breaks_does_not_end_the_watch(watched, caplog):
    watched.value = OSError("the disk is gone")
    await asyncio.sleep(5 * TICK)
    watched.value = 1
    await watched.until(1)
    assert "watching goes on" in caplog.text


@pytest.mark.parametrize("how", ["write", "same size", "replace", "remove"])
def test_every_way_of_changing_a_file_shows(tmp_path, how):
    file = tmp_path / "config.yaml"
    file.write_text("a: 1\n", encoding="utf-8")
    before = file_stamp(file)
    assert file_stamp(file) == before
    if how == "write":
        file.write_text("a: 10\n", encoding="utf-8")
    elif how == "same size":
        file.write_text("a: 2\n", encoding="utf-8")
        os.utime(file, ns=(1, 1))
    elif how == "replace":
        other = tmp_path / "other"
        other.write_text("a: 1\n", encoding="utf-8")
        os.utime(other, ns=(file.stat().st_mtime_ns,) * 2)
        other.replace(file)
    else:
        file.unlink()
    assert file_stamp(file) != before
