"""Bodies are kept for viewers up to a limit, readable while they come, on every way the bytes may take."""

import asyncio

import pytest

from mitmproxy.test import tflow
from tests.proxy.rig import FakeDoor, Upstream, ask, once, post, read_reply, serving

from codex_manager.engine.messages import UpstreamCutError
from codex_manager.proxy.inspect import capture
from codex_manager.proxy.inspect.capture import Captured


SSE = ((b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked"))


class Viewer:
    """Hears what a flow list hears."""

    def __init__(self):
        self.flows, self.updates = [], []

    def responseheaders(self, flow):
        self.flows.append(flow)

    def response(self, flow):
        pass

    def error(self, flow):
        pass

    def update(self, flows):
        self.updates += [(flow, flow.response.raw_content) for flow in flows if flow.response is not None]


@pytest.mark.parametrize(
    ("limit", "whole", "pieces", "content", "kept"),
    [
        (None, False, (b"ab", b"cd"), b"abcd", None),
        (4, False, (b"ab", b"cd"), b"abcd", None),
        (3, False, (b"ab", b"cd"), b"abc", "3 of 4 bytes"),
        (1, False, (b"ab", b"cd"), b"a", "1 of 4 bytes"),
        (0, False, (b"ab",), b"", "0 of 2 bytes"),
        (0, False, (), b"", None),
        (4, True, (b"ab", b"cd"), b"abcd", None),
        (3, True, (b"ab", b"cd"), None, "0 of 4 bytes"),
    ],
)
def test_what_is_kept_is_bounded_and_what_is_cut_is_said(limit, whole, pieces, content, kept):
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    captured = Captured(flow, limit, whole=whole)
    for piece in pieces:
        captured.feed(piece)
    captured.end()
    assert flow.response.raw_content == content
    assert flow.metadata.get("codex_manager", {}).get("kept") == kept


async def test_viewers_are_told_twice_a_second_at_most(monkeypatch):
    monkeypatch.setattr(capture, "TELL_S", 0.05)
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    told: list[bytes | None] = []

    def tell(each):
        told.append(each.response.raw_content)

    captured = Captured(flow, 100, tell=tell)
    for _ in range(10):
        captured.feed(b"x")
    assert told == []
    async with asyncio.timeout(5):
        while not told:
            await asyncio.sleep(0.01)
    assert told == [b"x" * 10]
    captured.feed(b"y")
    captured.end()
    await asyncio.sleep(0.1)
    assert told == [b"x" * 10]
    assert flow.response.raw_content == b"x" * 10 + b"y"


class Passer:
    """Looks at every piece, so that none can go past the layers."""

    def responseheaders(self, flow):
        flow.response.stream = lambda data: data


@pytest.mark.parametrize("between", [(), (Passer(),)], ids=["direct", "through the layers"])
async def test_a_stream_is_readable_while_it_runs_and_after(monkeypatch, between):
    monkeypatch.setattr(capture, "TELL_S", 0.01)
    viewer, go_on = Viewer(), asyncio.Event()

    async def events():
        yield b"data: 1\n\n"
        await asyncio.sleep(0.03)
        yield b"data: 2\n\n"
        await go_on.wait()
        yield b"data: 3\n\n"

    async def carry(seen):
        return Upstream().answer(events(), headers=SSE)

    async with serving(FakeDoor(carry), viewer, *between, capture=lambda: 25) as rig, asyncio.timeout(10):
        reader, writer = await rig.connect()
        writer.write(post())
        reading = asyncio.create_task(read_reply(reader))
        while not any(content == b"data: 1\n\ndata: 2\n\n" for _, content in viewer.updates):
            await asyncio.sleep(0.005)
        assert viewer.flows[0].live
        go_on.set()
        reply = await reading
        writer.close()
    assert reply.body == b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
    (flow,) = viewer.flows
    assert flow.response.raw_content == reply.body[:25]
    assert flow.metadata["codex_manager"]["kept"] == "25 of 27 bytes"


async def test_of_a_stream_that_breaks_off_what_came_is_kept():
    viewer = Viewer()

    async def events():
        yield b"data: 1\n\n"
        await asyncio.sleep(0)
        raise UpstreamCutError

    async def carry(seen):
        return Upstream().answer(events(), headers=SSE)

    async with serving(FakeDoor(carry), viewer, capture=lambda: 1000) as rig, asyncio.timeout(10):
        reader, writer = await rig.connect()
        writer.write(post())
        await reader.read()
        writer.close()
    (flow,) = viewer.flows
    assert flow.error is not None
    assert flow.response.raw_content == b"data: 1\n\n"


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({}, None),
        ({"capture": lambda: 100, "streams": lambda: False}, None),
        ({"capture": lambda: 100}, b"data: 1\n\n"),
    ],
    ids=["mitmdump -s", "streams off", "streams on"],
)
async def test_streams_are_kept_where_that_is_wanted(options, content):
    viewer = Viewer()

    async def carry(seen):
        return Upstream().answer(once(b"data: 1\n\n"), headers=SSE)

    async with serving(FakeDoor(carry), viewer, **options) as rig:
        assert (await ask(rig, post())).body == b"data: 1\n\n"
    (flow,) = viewer.flows
    assert flow.response.raw_content == content


async def test_nobody_who_looks_means_nothing_kept():
    """Lean `proxy`: the body goes to the socket as it did before there was anything to look at."""

    async def carry(seen):
        return Upstream().answer(once(b"x" * 10), headers=((b"Content-Length", b"10"),))

    def capture() -> int:
        raise AssertionError("nobody looks")

    async with serving(FakeDoor(carry), capture=capture) as rig:
        assert (await ask(rig, post())).body == b"x" * 10
