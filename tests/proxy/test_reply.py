"""The answering half of a stream: what the client gets, when, and what happens when either side stops."""

import asyncio
import itertools
import json
import os
import socket
import time

import psutil
import pytest

from tests.proxy.rig import KEY, FakeDoor, Upstream, ask, head, once, plain, post, read_reply, serving
from tests.proxy.test_stream import Watcher

from codex_manager.engine.messages import Answer, UpstreamCutError


SSE = ((b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked"))


async def test_status_reason_headers_and_body_are_the_upstreams():
    async def carry(seen):
        answer = plain(b"\x00\xffraw", status=418)
        answer.reason = "I'm a teapot"
        answer.headers = ((b"X-ODD", b"a\xe9"), (b"content-LENGTH", b"5"), (b"x-odd", b"b"))
        return answer

    async with serving(FakeDoor(carry)) as rig:
        reply = await ask(rig, post())
        assert (
            reply.raw
            == b"HTTP/1.1 418 I'm a teapot\r\nX-ODD: a\xe9\r\ncontent-LENGTH: 5\r\nx-odd: b\r\n\r\n\x00\xffraw"
        )


@pytest.mark.parametrize(
    ("wanted", "account", "present"), [(True, "id", True), (False, "id", False), (True, None, False)]
)
async def test_the_four_headers_are_there_when_wanted_and_an_account_answered(wanted, account, present):
    async def carry(seen):
        return plain(account_id=account, account_label="Wörk\r\nX-Evil: 1", strategy="sticky", retries=3)

    async with serving(FakeDoor(carry, response_headers=wanted)) as rig:
        reply = await ask(rig, post())
        names = ("X-Account-ID", "X-Account-Label", "X-Routing-Strategy", "X-Retry-Count")
        shown = [reply[name] for name in names]
        assert shown == (["id", "W%C3%B6rk%0D%0AX-Evil: 1", "sticky", "3"] if present else [None] * 4)
        assert reply["X-Evil"] is None


async def test_chunked_stays_chunked():
    async def carry(seen):
        return Upstream().answer(once(b"ab", b"", b"cde"), headers=((b"Transfer-Encoding", b"chunked"),))

    async with serving(FakeDoor(carry)) as rig:
        reply = await ask(rig, post())
        assert reply.body == b"abcde"
        assert reply.raw.endswith(b"0\r\n\r\n")
        assert reply["content-length"] is None


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("framing", [(b"Content-Length", b"42"), (b"Transfer-Encoding", b"chunked")])
async def test_what_has_no_body_gets_none(method, status, framing):
    async def carry(seen):
        return Upstream().answer(once(), status=status, headers=(framing,))

    async with serving(FakeDoor(carry)) as rig:
        reader, writer = await rig.connect()
        for _ in range(2):
            writer.write(head(method, "/v1/models"))
            reply = await read_reply(reader, method=method)
            assert reply.status == status
            assert reply.raw.endswith(b"\r\n\r\n")
        writer.close()


async def test_a_body_without_framing_ends_with_the_connection():
    async def carry(seen):
        return Upstream().answer(once(b"to the end"))

    async with serving(FakeDoor(carry)) as rig:
        assert (await ask(rig, post())).body == b"to the end"


async def test_chunks_go_out_as_they_come():
    """No buffering: each arrives while the upstream still waits to send the next."""

    async def ticking():
        for number in range(10):
            yield b"data: %d\n\n" % number
            await asyncio.sleep(0.03)

    async def carry(seen):
        return Upstream().answer(ticking(), headers=SSE)

    async with serving(FakeDoor(carry)) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        await reader.readuntil(b"\r\n\r\n")
        arrived = []
        for number in range(10):
            await asyncio.wait_for(reader.readuntil(b"data: %d\n\n\r\n" % number), 5)
            arrived.append(time.monotonic())
        gaps = [b - a for a, b in itertools.pairwise(arrived)]
        assert min(gaps) > 0.01
        assert max(gaps) < 0.2
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.close()


async def test_headers_do_not_wait_for_the_body():
    go = asyncio.Event()

    async def late():
        await go.wait()
        yield b"late"

    async def carry(seen):
        return Upstream().answer(late(), headers=((b"Content-Length", b"4"),))

    async with serving(FakeDoor(carry)) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 200 OK")
        go.set()
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"late"
        writer.close()


async def endless():
    while True:
        yield b"x" * 1024
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("phase", ["waiting", "streaming"])
async def test_a_client_that_leaves_cancels_the_engine_at_once(phase, how):
    upstream = Upstream()

    async def carry(seen):
        if phase == "waiting":
            await asyncio.sleep(60)
        return upstream.answer(endless(), headers=SSE)

    watcher = Watcher()
    async with serving(FakeDoor(carry), watcher) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        if phase == "streaming":
            await asyncio.wait_for(reader.readexactly(2000), 5)
        else:
            while not rig.door.seen:
                await asyncio.sleep(0.01)
        left = time.monotonic()
        if how == "half-close":
            writer.write_eof()
        elif how == "reset":
            writer.transport.abort()
        else:
            writer.close()
        while rig.bridge.running and time.monotonic() - left < 2:
            await asyncio.sleep(0.005)
        assert time.monotonic() - left < 0.1
        if phase == "streaming":
            assert upstream.closed == 1
        else:
            assert len(rig.door.cancelled) == 1
        writer.close()
        await asyncio.sleep(0.01)
    assert watcher.names[-1] == "error"
    assert "response" not in watcher.names


@pytest.mark.parametrize(
    "framing", [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"100"), (b"X-Framing", b"none")]
)
async def test_a_cut_upstream_is_a_cut_client(framing):
    """Never a clean end: no terminator, a short length, or a reset."""
    upstream = Upstream()

    async def cut():
        yield b"begun"
        await asyncio.sleep(0.02)
        raise UpstreamCutError

    async def carry(seen):
        return upstream.answer(cut(), headers=(framing,))

    watcher = Watcher()
    async with serving(FakeDoor(carry), watcher) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        await asyncio.wait_for(reader.readuntil(b"begun"), 5)
        try:
            rest = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            rest = b"reset"
        assert rest == {b"X-Framing": b"reset", b"Transfer-Encoding": b"\r\n", b"Content-Length": b""}[framing[0]]
        writer.close()
        assert upstream.closed == 1
    assert watcher.names[-1] == "error"


async def test_a_slow_reader_slows_the_upstream_down():
    """200 MB towards a client that does not read: what is pulled from the upstream stays within the socket's buffers."""
    upstream = Upstream()

    async def big():
        for _ in range(3200):
            yield b"x" * 65536

    async def carry(seen):
        return upstream.answer(big(), headers=((b"Content-Length", b"%d" % (3200 * 65536)),))

    async with serving(FakeDoor(carry)) as rig:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", rig.port))
        before = psutil.Process(os.getpid()).memory_info().rss
        await loop.sock_sendall(sock, post())
        await asyncio.sleep(0.5)
        pulled = upstream.pulled
        assert pulled < 16 * 1024 * 1024  # the kernel's send buffer may grow to 4 MiB and more on loopback
        received = 0
        while received < 3200 * 65536:
            data = await asyncio.wait_for(loop.sock_recv(sock, 1 << 20), 5)
            assert data
            received += len(data)
        assert psutil.Process(os.getpid()).memory_info().rss - before < 32 * 1024 * 1024
        sock.close()


async def test_an_answer_is_closed_once_however_it_ends():
    upstream = Upstream()

    async def carry(seen):
        return upstream.answer(once(b"ok"), headers=((b"Content-Length", b"2"),))

    async with serving(FakeDoor(carry)) as rig:
        for _ in range(5):
            await ask(rig, post())
        assert upstream.closed == 5
        assert not rig.bridge.running


class Boom(Exception):
    """An error whose message must not get anywhere."""


@pytest.mark.parametrize("where", ["admit", "carry", "aclose", "headers", "limits", "drain", "hears"])
async def test_a_failure_anywhere_is_a_clean_error_and_the_next_request_is_served(where, monkeypatch, caplog):
    fail = True

    def boom(*_):
        raise Boom("secret-in-message")

    async def aboom(*_):
        boom()

    async def carry(seen):
        if not fail:
            return plain()
        if where == "carry":
            boom()
        if where == "headers":
            return Answer(status=200, reason="OK", headers=((b"broken",),), body=once(), aclose=aboom)  # type: ignore[arg-type]
        answer = Upstream().answer(once(b"a"), headers=((b"Content-Length", b"1"),))
        if where == "aclose":
            answer.aclose = aboom
        return answer

    door = FakeDoor(carry)
    async with serving(door) as rig:
        if where == "admit":
            monkeypatch.setattr(door, "admit", boom)
        if where == "limits":
            monkeypatch.setattr(rig.bridge, "limits", boom)
        if where == "drain":
            monkeypatch.setattr(rig.bridge, "_drained", aboom)
        if where == "hears":
            monkeypatch.setattr(rig.bridge, "hears", boom)
        reader, writer = await rig.connect()
        writer.write(post())
        async with asyncio.timeout(5):
            if where in {"limits", "headers"}:  # the head cannot be read, or not be written: the connection is closed
                assert await reader.read() == b""
            else:
                reply = await read_reply(reader)
                assert reply.status == (200 if where in {"aclose", "drain"} else 500)
                if reply.status == 500:
                    assert json.loads(reply.body)["error"]["code"] == "internal_error"
        writer.close()
        monkeypatch.undo()
        fail = False
        assert (await ask(rig, post())).status == 200
        assert not rig.bridge.running
    assert "secret-in-message" not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("error", [ConnectionResetError, TimeoutError, OSError, RuntimeError])
async def test_an_error_that_looks_like_a_lost_client_is_still_answered(error):
    async def carry(seen):
        raise error

    async with serving(FakeDoor(carry)) as rig:
        assert (await ask(rig, post())).status == 500


@pytest.mark.parametrize("error", [Boom, ConnectionResetError, TimeoutError])
async def test_a_failure_in_the_middle_breaks_the_connection(error):
    async def broken_body():
        yield b"x"
        await asyncio.sleep(0.01)
        raise error("secret-in-message")

    async def carry(seen):
        return Upstream().answer(broken_body(), headers=((b"Content-Length", b"10"),))

    async with serving(FakeDoor(carry)) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        raw = await asyncio.wait_for(reader.read(), 5)
        assert raw.endswith(b"\r\n\r\nx")
        assert not rig.bridge.running
        writer.close()


@pytest.mark.parametrize("hook", ["requestheaders", "request", "responseheaders", "response", "error"])
async def test_another_addons_crash_changes_nothing(hook, caplog):
    class Crasher:
        pass

    def crash(flow):
        raise Boom("addon")

    addon = Crasher()
    setattr(addon, hook, crash)

    async def carry(seen):
        return plain()

    async with serving(FakeDoor(carry), addon) as rig:
        assert (await ask(rig, post())).status == 200


async def test_200_clients_at_once_are_all_accepted():
    async def carry(seen):
        await asyncio.sleep(0.2)
        return plain()

    async with serving(FakeDoor(carry)) as rig:
        replies = await asyncio.gather(*(ask(rig, post()) for _ in range(200)))
        assert [reply.status for reply in replies] == [200] * 200
        assert not rig.bridge.running


async def test_a_stream_of_another_addon_transforms_what_passes():
    class Shouter:
        def responseheaders(self, flow):
            flow.response.stream = lambda data: data.upper()

    async def carry(seen):
        return Upstream().answer(once(b"quiet"), headers=((b"Transfer-Encoding", b"chunked"),))

    async with serving(FakeDoor(carry), Shouter()) as rig:
        assert (await ask(rig, post())).body == b"QUIET"


async def test_event_streams_are_not_kept_in_the_flow():
    watcher = Watcher()

    async def carry(seen):
        return Upstream().answer(once(b"data: 1\n\n"), headers=SSE)

    async with serving(FakeDoor(carry), watcher) as rig:
        await ask(rig, post())
    assert watcher.events[-1] == ("response", None)
