"""Whoever waits for a held flow goes on when it is let go, and also when it is killed."""

import asyncio

import pytest

from mitmproxy.test import tflow

from codex_manager.proxy import held


async def test_a_flow_nobody_holds_is_not_waited_for():
    await asyncio.wait_for(held.released(tflow.tflow()), 1)


@pytest.mark.parametrize("way", ["resume", "kill"])
async def test_letting_go_and_killing_both_end_the_waiting(monkeypatch, way):
    monkeypatch.setattr(held, "LOOK_S", 0.01)
    flow = tflow.tflow()
    flow.live = True
    flow.intercept()
    waiting = asyncio.create_task(held.released(flow))
    await asyncio.sleep(0.03)
    assert not waiting.done()
    getattr(flow, way)()
    await asyncio.wait_for(waiting, 1)
