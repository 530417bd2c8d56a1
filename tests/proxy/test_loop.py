"""Tasks start at once in either loop, also with Python 3.13.0 and uvloop, which disagree about `eager_start`."""

import asyncio
import sys

import pytest

from codex_manager.proxy import loop as event_loop


async def started_at_once():
    loop = asyncio.get_running_loop()
    event_loop.start_tasks_at_once(loop)
    ran = []

    async def work():
        ran.append(1)

    task = asyncio.create_task(work(), name="work")
    assert ran == [1]
    assert task.done()
    await task
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    server.close()
    return type(loop).__module__


def test_tasks_start_at_once_in_the_fastest_loop():
    pytest.importorskip("uvloop")
    assert event_loop.run(started_at_once()) == "uvloop"


def test_without_uvloop_asyncio_serves(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with caplog.at_level("INFO"):
        assert event_loop.run(started_at_once()).startswith("asyncio")
    assert len(caplog.messages) == 1
