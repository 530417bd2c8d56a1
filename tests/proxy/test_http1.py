"""HTTP/1 towards clients, on real sockets: what is wrong ends in one JSON error and a closed connection."""

import asyncio
import contextlib
import json
import random
import time

import pytest

from tests.proxy.rig import KEY, FakeDoor, ask, head, plain, post, read_reply, serving
from tests.proxy.test_parser import BAD

from codex_manager.proxy.incoming import Limits


async def answer(seen):
    await seen.read()
    return plain()


@pytest.mark.parametrize(("bad", "status"), BAD)
async def test_a_malformed_request_gets_one_json_error_and_the_next_client_is_served(bad, status):
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        writer.write(bad + b"\r\n\r\n")
        reply = await read_reply(reader)
        assert reply.status == status
        assert json.loads(reply.body)["error"]["message"]
        assert reply["content-type"] == "application/json"
        assert reply["connection"] == "close"
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        started = time.monotonic()
        assert (await ask(rig, post())).status == 200
        assert time.monotonic() - started < 0.5
        assert len(rig.door.seen) == 1


async def test_an_endless_header_line_is_cut_off_at_the_limit():
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        writer.write(b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 200_000)
        assert (await read_reply(reader)).status == 431
        writer.close()


async def test_headers_must_be_complete_in_time():
    """The clock starts with the first byte; an idle connection may idle."""
    async with serving(FakeDoor(answer, limits=Limits(header_deadline_s=0.3))) as rig:
        idle_reader, idle_writer = await rig.connect()
        reader, writer = await rig.connect()
        writer.write(b"GET /v1/models HTTP/1.1\r\n")
        started = time.monotonic()
        for _ in range(10):
            await asyncio.sleep(0.05)
            writer.write(b"X: y\r\n")
        reply = await read_reply(reader)
        assert reply.status == 408
        assert 0.25 < time.monotonic() - started < 2
        idle_writer.write(post())
        assert (await read_reply(idle_reader)).status == 200
        await asyncio.sleep(0.4)
        idle_writer.write(post())
        assert (await read_reply(idle_reader)).status == 200
        writer.close()
        idle_writer.close()


async def test_a_head_in_pieces_is_served():
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        for byte in post(b'{"a":1}'):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_reply(reader)).status == 200
        assert rig.door.seen[0].body == b'{"a":1}'
        writer.close()


async def test_many_requests_on_one_connection():
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        for number in range(200):
            writer.write(post(b"%d" % number))
            assert (await read_reply(reader)).status == 200
        assert [seen.body for seen in rig.door.seen] == [b"%d" % n for n in range(200)]
        writer.close()


async def test_pipelined_requests_are_answered_in_order():
    async def echo(seen):
        body = await seen.read()
        await asyncio.sleep(0.02 if body == b"first" else 0)
        return plain(body)

    async with serving(FakeDoor(echo)) as rig:
        reader, writer = await rig.connect()
        writer.write(post(b"first") + post(b"second") + head("GET", "/v1/models"))
        assert [(await read_reply(reader)).body for _ in range(3)] == [b"first", b"second", b""]
        writer.close()


async def test_endless_pipelining_is_cut_off():
    async def slow(seen):
        await asyncio.sleep(30)
        return plain()

    async with serving(FakeDoor(slow)) as rig:
        _, writer = await rig.connect()

        async def flood():
            while True:
                writer.write(post(b"x" * 60_000))
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), 5)
        writer.close()


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nab\r\n0\r\n\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", b"-1\r\n\r\n", b"1" * 20_000, b"1;" + b"x" * 20_000],
)
async def test_a_malformed_chunked_body_is_refused(body):
    async with serving(FakeDoor(answer)) as rig:
        reply = await ask(rig, head("POST", "/v1/files", "Transfer-Encoding: chunked") + body)
        assert reply.status == 400
        assert rig.door.seen == []


async def test_request_trailers_are_refused():
    async with serving(FakeDoor(answer)) as rig:
        body = b"2\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n"
        reply = await ask(rig, head("POST", "/v1/files", "Transfer-Encoding: chunked") + body)
        assert reply.status == 400
        assert "railers" in json.loads(reply.body)["error"]["message"]
        assert rig.door.seen == []


async def test_a_client_that_stops_in_the_body_leaves_nothing_behind():
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        writer.write(head("POST", "/v1/files", "Content-Length: 100") + b"half")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert rig.door.seen == []
        assert not rig.bridge.running


async def test_400_mutilated_requests_all_end_and_nothing_breaks(caplog):
    """Random deletions, insertions, swaps: each connection ends in time, no error of ours, the next request is served."""
    dice = random.Random(20261121)
    whole = [
        post(b'{"a":1}', "X-A: b"),
        head("POST", "/v1/files", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
        head("GET", "/v1/models", "Expect: 100-continue", "Connection: close"),
        post(b"x" * 10) + post(b"y" * 10),
    ]
    odd = [
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b":",
        b"\xff",
        b"HTTP/1.1",
        b"chunked",
        b"99999",
        b"\t",
        b";",
        b",",
        b"/",
    ]

    def mutilated():
        data = bytearray(dice.choice(whole))
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(data) + 1)
            if dice.random() < 0.5:
                data[place:place] = dice.choice(odd)
            else:
                del data[place : place + dice.randint(1, 8)]
        return bytes(data)

    async def play(rig, data):
        reader, writer = await rig.connect()
        writer.write(data)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()

    async with serving(FakeDoor(answer)) as rig:
        for _ in range(20):
            await asyncio.gather(*(play(rig, mutilated()) for _ in range(20)))
        assert (await ask(rig, post())).status == 200
        await asyncio.sleep(0.05)
        assert not rig.bridge.running
    assert not [record for record in caplog.records if record.levelname == "ERROR"], caplog.text
    assert KEY not in caplog.text


async def test_http_1_0_is_answered_without_chunks_and_closed():
    async def chunked(seen):
        reply = plain(b"body")
        reply.headers = ((b"Transfer-Encoding", b"chunked"),)
        return reply

    async with serving(FakeDoor(chunked)) as rig:
        reader, writer = await rig.connect()
        writer.write(f"GET /v1/models HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        raw = await asyncio.wait_for(reader.read(), 5)
        assert raw.endswith(b"\r\n\r\nbody")
        assert b"ransfer-" not in raw
        writer.close()
