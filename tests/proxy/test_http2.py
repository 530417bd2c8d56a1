"""HTTP/2 from clients: windows that hold back, resets that cancel, limits that end it, an end that is announced."""

import asyncio
import logging
import time

import pytest

from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, HeadersFrame, WindowUpdateFrame
from tests.proxy.forward_rig import HOST, close, forwarding
from tests.proxy.h2_client import H2Client
from tests.proxy.rig import KEY, FakeDoor, Upstream, plain

from codex_manager.proxy.answers import json_answer
from codex_manager.proxy.http2 import STREAM_WINDOW
from codex_manager.proxy.incoming import Limits
from codex_manager.proxy.notices import Drain


MIB = 2**20


async def good(seen):
    return plain()


async def slow(seen):
    await asyncio.get_running_loop().create_future()


async def client_of(rig, **options):
    reader, writer = await rig.tls(f"{HOST}:443", "h2")
    return H2Client(reader, writer, **options)


async def test_a_body_the_upstream_does_not_take_stops_after_a_window(tmp_path):
    """And goes on when it does; the other streams of the connection are not held up meanwhile."""
    go = asyncio.Event()
    taken = 0

    async def reluctant(seen):
        nonlocal taken
        if isinstance(seen.body, bytes):
            return plain()
        await go.wait()
        async for piece in seen.body:
            taken += len(piece)
        return plain()

    door = FakeDoor(reluctant, limits=Limits(replay_body_bytes=64 * 1024))
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        size = 8 * MIB
        upload = client.ask(client.headers(("content-length", str(size))), body=None)
        sent = 0

        async def send_what_fits():
            nonlocal sent
            while sent < size:
                room = min(client.h2.local_flow_control_window(upload), client.h2.max_outbound_frame_size, size - sent)
                if room <= 0:
                    return
                client.h2.send_data(upload, b"x" * room)
                sent += room
                client.flush()
                await client.writer.drain()

        for _ in range(20):
            await send_what_fits()
            await client.until(lambda: False, 0.02)
        assert STREAM_WINDOW <= sent <= 3 * STREAM_WINDOW
        other = client.ask()
        assert (await client.answer(other, 3)).status == 200
        go.set()
        deadline = time.monotonic() + 10
        while sent < size and time.monotonic() < deadline:
            await send_what_fits()
            await client.until(lambda: False, 0.01)
        client.h2.end_stream(upload)
        client.flush()
        assert (await client.answer(upload)).status == 200
        assert taken == size
        await close(client.writer)


async def test_many_large_bodies_on_one_connection_arrive_whole(tmp_path):
    received = []

    async def taking(seen):
        received.append(len(await seen.read()))
        return plain()

    door = FakeDoor(taking, limits=Limits(replay_body_bytes=100 * 1024))
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        size, left = 3 * MIB, {}
        for _ in range(5):
            left[client.ask(client.headers(("content-length", str(size))), body=None)] = size
        deadline = time.monotonic() + 20
        while any(left.values()) and time.monotonic() < deadline:
            for stream, rest in left.items():
                room = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size, rest)
                if room > 0:
                    client.h2.send_data(stream, b"x" * room, end_stream=room == rest)
                    left[stream] -= room
            client.flush()
            await client.writer.drain()
            await client.until(lambda: False, 0.001)
        for stream in left:
            assert (await client.answer(stream)).status == 200
        await close(client.writer)
    assert received == [size] * 5


async def test_a_client_that_does_not_read_holds_the_upstream_back(tmp_path):
    async def endless():
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    upstream = Upstream()

    async def stream(seen):
        return upstream.answer(endless())

    async with forwarding(FakeDoor(stream), tmp_path) as rig:
        client = await client_of(rig, take=False)
        first = client.ask()
        assert await client.until(lambda: client.streams[first].status == 200)
        await client.until(lambda: False, 0.5)
        pulled = upstream.pulled
        await client.until(lambda: False, 0.3)
        assert upstream.pulled == pulled < MIB
        await close(client.writer)
        await asyncio.sleep(0.1)
        assert upstream.closed == 1


async def test_a_reset_cancels_the_upstream_within_100_ms_and_the_rest_goes_on(tmp_path):
    door = FakeDoor(slow)
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        streams = [client.ask() for _ in range(3)]
        await client.until(lambda: len(door.seen) == 3)
        client.h2.reset_stream(streams[1], ErrorCodes.CANCEL)
        client.flush()
        started = asyncio.get_running_loop().time()
        assert await client.until(lambda: door.cancelled, 1)
        assert door.cancelled[0] - started < 0.1
        assert len(door.cancelled) == 1
        door.carry_out = good
        assert (await client.answer(client.ask())).status == 200
        await close(client.writer)


async def test_a_reset_in_the_middle_of_an_answer_closes_it(tmp_path):
    async def endless():
        while True:
            yield b"x" * 100
            await asyncio.sleep(0.01)

    upstream = Upstream()

    async def stream(seen):
        return upstream.answer(endless())

    async with forwarding(FakeDoor(stream), tmp_path) as rig:
        client = await client_of(rig)
        first = client.ask()
        await client.until(lambda: client.streams[first].body)
        client.h2.reset_stream(first, ErrorCodes.CANCEL)
        client.flush()
        started = time.monotonic()
        while not upstream.closed and time.monotonic() - started < 1:
            await asyncio.sleep(0.005)
        assert time.monotonic() - started < 0.1
        await close(client.writer)


async def test_request_trailers_are_refused_in_words(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        client = await client_of(rig)
        stream = client.ask(body=None)
        client.h2.send_data(stream, b"{}")
        client.h2.send_headers(stream, [("x-checksum", "1")], end_stream=True)
        client.flush()
        got = await client.answer(stream)
        assert (got.status, b"railers" in got.body) == (400, True)
        assert (await client.answer(client.ask())).status == 200
        await close(client.writer)


async def test_an_answer_before_the_body_was_sent_ends_only_its_stream(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        client = await client_of(rig)
        stream = client.ask(client.headers(("content-length", "100"), key="wrong"), body=None)
        got = client.streams[stream]
        assert await client.until(lambda: got.ended)
        assert got.status == 401
        assert (await client.answer(client.ask())).status == 200
        assert await client.until(lambda: got.reset is not None, 5)
        assert (await client.answer(client.ask())).status == 200
        await close(client.writer)


def raw(*frames):
    return b"".join(frame.serialize() for frame in frames)


async def ended(client, seconds=5):
    """How the server ended the connection."""
    assert await client.until(lambda: client.closed or client.goaway, seconds)
    return client.goaway and client.goaway[0]


async def test_a_flood_of_continuations_ends_the_connection(tmp_path):
    door = FakeDoor(good)
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        client.ask()
        frames = [HeadersFrame(3, data=b"\x82")] + [ContinuationFrame(3, data=b"")] * 200
        client.writer.write(raw(*frames))
        assert await ended(client) == ErrorCodes.PROTOCOL_ERROR
        await close(client.writer)
    assert len(door.seen) <= 1


async def test_rapid_resets_end_the_connection(tmp_path):
    door = FakeDoor(slow)
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        for _ in range(2000):
            stream = client.ask()
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            client.flush()
            await client.until(lambda: False, 0.0001)
            if client.goaway or client.closed:
                break
        assert await ended(client) == ErrorCodes.ENHANCE_YOUR_CALM
        await close(client.writer)
        await asyncio.sleep(0.1)
        assert not rig.bridge.running
    assert len(door.seen) <= 600


@pytest.mark.parametrize("kind", ["ping", "settings", "priority", "empty data", "unknown"])
async def test_chatter_without_end_ends_the_connection(tmp_path, kind):
    async with forwarding(FakeDoor(slow), tmp_path) as rig:
        client = await client_of(rig)
        open_stream = client.ask(body=None)
        for _ in range(60):
            for _ in range(100):
                if kind == "ping":
                    client.h2.ping(b"12345678")
                elif kind == "settings":
                    client.h2.update_settings({})
                elif kind == "priority":
                    client.h2.prioritize(open_stream, weight=5)
                elif kind == "empty data":
                    client.h2.send_data(open_stream, b"")
                else:
                    client.writer.write(b"\x00\x00\x00\xee\x00\x00\x00\x00\x00")
            client.flush()
            await client.until(lambda: client.closed or client.goaway, 0.001)
            if client.closed or client.goaway:
                break
        assert await ended(client) == ErrorCodes.ENHANCE_YOUR_CALM
        await close(client.writer)


async def test_five_hundred_cancelled_requests_and_a_ping_each_are_no_flood(tmp_path):
    door = FakeDoor(slow)
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        for _ in range(400):
            stream = client.ask()
            client.h2.ping(b"12345678")
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            client.flush()
            await client.until(lambda: False, 0.0001)
        door.carry_out = good
        assert (await client.answer(client.ask())).status == 200
        await close(client.writer)


async def test_a_head_that_does_not_end_ends_the_connection(tmp_path):
    door = FakeDoor(good, limits=Limits(header_deadline_s=0.4))
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        assert (await client.answer(client.ask())).status == 200
        client.writer.write(raw(HeadersFrame(3, data=b"\x82\x86")))
        started = time.monotonic()
        assert await ended(client) == ErrorCodes.ENHANCE_YOUR_CALM
        assert time.monotonic() - started < 2
        await close(client.writer)


async def test_a_preface_that_does_not_come_ends_the_connection(tmp_path):
    door = FakeDoor(good, limits=Limits(header_deadline_s=0.4))
    async with forwarding(door, tmp_path) as rig:
        reader, writer = await rig.tls(f"{HOST}:443", "h2")
        async with asyncio.timeout(5):
            await reader.read()
        await close(writer)


async def test_an_idle_connection_stays(tmp_path):
    door = FakeDoor(good, limits=Limits(header_deadline_s=0.2))
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        assert (await client.answer(client.ask())).status == 200
        await client.until(lambda: False, 0.6)
        assert (await client.answer(client.ask())).status == 200
        await close(client.writer)


async def test_too_large_a_head_is_a_431_and_a_huge_one_the_end(tmp_path):
    class Strict(FakeDoor):
        def admit(self, incoming):
            if sum(len(name) + len(value) for name, value in incoming.headers) > self.limits.header_bytes:
                return json_answer(431, {})
            return super().admit(incoming)

    async with forwarding(Strict(good, limits=Limits(header_bytes=8192)), tmp_path) as rig:
        client = await client_of(rig)
        assert (await client.answer(client.ask(client.headers(("x-large", "y" * 10_000))))).status == 431
        assert (await client.answer(client.ask())).status == 200
        client.ask(client.headers(*(("x-large", "y" * 15_000) for _ in range(4))))
        assert await ended(client) == ErrorCodes.ENHANCE_YOUR_CALM
        await close(client.writer)


@pytest.mark.parametrize(
    "bad",
    [
        [("authorization", f"Bearer {KEY} ")],
        [("Authorization", f"Bearer {KEY}")],
        [("x-value", f"{KEY}\r\nx-other: 1")],
        [("connection", f"close, {KEY}")],
        [(":path", f"/{KEY}")],
        [("te", KEY)],
    ],
    ids=["space", "upper case", "line end", "connection", "two paths", "te"],
)
async def test_what_h2_refuses_is_not_quoted(tmp_path, caplog, bad):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "hpack")  # the client of this test logs what it sends
    door = FakeDoor(good)
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        base = [(name, value) for name, value in client.headers() if name != "authorization"]
        stream = client.ask(base + bad)
        await client.until(lambda: client.closed or client.goaway or client.streams[stream].ended)
        assert KEY.encode() not in bytes(client.streams[stream].body)
        await close(client.writer)
    assert door.seen == []
    assert KEY not in caplog.text
    assert "Traceback" not in caplog.text


async def test_draining_announces_the_end_finishes_and_refuses_the_rest(tmp_path):
    go = asyncio.Event()

    async def waiting(seen):
        await go.wait()
        return plain()

    async with forwarding(FakeDoor(waiting), tmp_path) as rig:
        client = await client_of(rig)
        under_way = client.ask()
        await client.until(lambda: rig.door.seen)
        idle = await client_of(rig)
        await idle.until(lambda: False, 0.05)
        await rig.listener.tell(Drain())
        assert await client.until(lambda: client.goaway == (ErrorCodes.NO_ERROR, under_way))
        assert await idle.until(lambda: idle.closed)
        assert idle.goaway == (ErrorCodes.NO_ERROR, 0)
        assert (await client.answer(client.ask())).reset == ErrorCodes.REFUSED_STREAM
        go.set()
        assert (await client.answer(under_way)).status == 200
        assert await client.until(lambda: client.closed)
        await close(client.writer)
        await close(idle.writer)
    assert len(rig.door.seen) == 1


@pytest.mark.parametrize(
    "frames",
    [
        [WindowUpdateFrame(1, window_increment=2**31 - 1)],
        [WindowUpdateFrame(0, window_increment=2**31 - 1)],
        [ContinuationFrame(1, data=b"x")],
        [HeadersFrame(2, data=b"\x82", flags=["END_HEADERS"])],
        [HeadersFrame(1, data=b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"])],
        b"\xff" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["stream window", "connection window", "continuation", "even stream", "hpack", "noise", "http/1"],
)
async def test_broken_frames_end_the_connection_and_no_other(tmp_path, caplog, frames):
    caplog.set_level(logging.WARNING)
    door = FakeDoor(slow)
    async with forwarding(door, tmp_path) as rig:
        client = await client_of(rig)
        client.ask()
        await client.until(lambda: door.seen)
        client.writer.write(frames if isinstance(frames, bytes) else raw(*frames))
        assert await client.until(lambda: client.closed or client.goaway or client.streams[1].reset is not None, 2)
        await close(client.writer)
        await asyncio.sleep(0.1)
        assert not rig.bridge.running
        door.carry_out = good
        fresh = await client_of(rig)
        assert (await fresh.answer(fresh.ask())).status == 200
        await close(fresh.writer)
    assert "Traceback" not in caplog.text
