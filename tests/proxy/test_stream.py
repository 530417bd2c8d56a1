"""The asking half of a stream: what of a client's request reaches the door, and how."""

import asyncio
import json

import pytest

from tests.proxy.rig import KEY, FakeDoor, ask, head, once, plain, post, read_reply, serving

from codex_manager.proxy.incoming import Limits


async def answer(seen):
    await seen.read()
    return plain()


class Watcher:
    """An addon of a user: notes what it sees."""

    def __init__(self):
        self.events = []
        self.flows = []

    def requestheaders(self, flow):
        self.flows.append(flow)
        self.events.append(("requestheaders", dict(flow.request.headers)))

    def request(self, flow):
        self.events.append(("request", flow.request.raw_content))

    def responseheaders(self, flow):
        self.events.append(("responseheaders", flow.response.status_code))

    def response(self, flow):
        self.events.append(("response", flow.response.raw_content))

    def error(self, flow):
        self.events.append(("error", flow.error.msg))

    @property
    def names(self):
        return [name for name, _ in self.events]


async def test_the_door_sees_the_request_as_it_was_sent():
    async with serving(FakeDoor(answer)) as rig:
        await ask(rig, post(b'{"a":1}', "X-Odd-Case: Value", "x-odd-case: again"))
        incoming = rig.door.seen[0].admission.incoming
        assert (incoming.method, incoming.target, incoming.via) == ("POST", "/v1/chat/completions", "base_url")
        assert incoming.headers == (
            (b"Host", b"127.0.0.1"),
            (b"Authorization", f"Bearer {KEY}".encode()),
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"7"),
            (b"X-Odd-Case", b"Value"),
            (b"x-odd-case", b"again"),
        )
        assert (incoming.content_length, incoming.chunked, incoming.host) == (7, False, "127.0.0.1")
        assert rig.door.seen[0].body == b'{"a":1}'


async def test_no_addon_sees_a_key():
    watcher = Watcher()
    async with serving(FakeDoor(answer), watcher) as rig:
        await ask(
            rig, post(b"{}", "Cookie: __cf_bm=secret", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-x")
        )
        await ask(rig, post(key="sk-not-ours"))
        for flow in watcher.flows:
            shown = repr(flow.get_state())
            assert "Bearer [codex-manager]" in shown
            for secret in (KEY, "sk-not-ours", "secret", "sk-x"):
                assert secret not in shown


async def test_a_refused_request_never_reaches_the_engine_and_keeps_the_connection():
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        writer.write(post(key="wrong"))
        assert (await read_reply(reader)).status == 401
        writer.write(post())
        assert (await read_reply(reader)).status == 200
        assert len(rig.door.seen) == 1
        writer.close()


async def test_expect_continue_gets_100_after_admission():
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        writer.write(head("POST", "/v1/files", "Content-Length: 4", "Expect: 100-continue"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await read_reply(reader)).status == 200
        assert rig.door.seen[0].body == b"body"
        assert all(name.lower() != b"expect" for name, _ in rig.door.seen[0].admission.headers)
        writer.write(post())  # and the connection goes on
        assert (await read_reply(reader)).status == 200
        writer.close()


@pytest.mark.parametrize(("key", "length", "status"), [("wrong", 4, 401), (KEY, 2 * 1024 * 1024, 413)])
async def test_a_refused_request_gets_its_status_without_100(key, length, status):
    async with serving(FakeDoor(answer, limits=Limits(max_body_bytes=1024 * 1024))) as rig:
        reader, writer = await rig.connect()
        writer.write(head("POST", "/v1/files", f"Content-Length: {length}", "Expect: 100-continue", key=key))
        reply = await read_reply(reader)
        assert reply.status == status
        assert reply["connection"] == "close"
        writer.close()


async def test_a_chunked_body_arrives_whole():
    async with serving(FakeDoor(answer)) as rig:
        reply = await ask(
            rig, head("POST", "/v1/files", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
        )
        assert reply.status == 200
        assert rig.door.seen[0].body == b"abcde"
        assert rig.door.seen[0].admission.incoming.chunked


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_replay_limit_streams(chunked):
    """It reaches the engine while the client still sends, as an iterator that cannot be replayed."""
    first = asyncio.Event()
    collected = []

    async def carry(seen):
        assert not isinstance(seen.body, bytes)
        async for piece in seen.body:
            collected.append(piece)
            first.set()
        return plain()

    async with serving(FakeDoor(carry, limits=Limits(replay_body_bytes=1000))) as rig:
        reader, writer = await rig.connect()
        framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 6000"

        def framed(data):
            return b"%x\r\n%s\r\n" % (len(data), data) if chunked else data

        writer.write(head("POST", "/v1/files", framing) + framed(b"a" * 3000))
        await asyncio.wait_for(first.wait(), 5)
        writer.write(framed(b"b" * 3000) + (b"0\r\n\r\n" if chunked else b""))
        assert (await read_reply(reader)).status == 200
        assert b"".join(collected) == b"a" * 3000 + b"b" * 3000
        writer.write(post())
        await asyncio.sleep(0.01)
        writer.close()


async def test_an_upload_the_upstream_does_not_take_is_not_read_from_the_client():
    """Memory stays flat: what is read from a 40 MB body is bounded while nobody takes it."""
    go = asyncio.Event()
    total = 0

    async def carry(seen):
        nonlocal total
        await go.wait()
        async for piece in seen.body:
            total += len(piece)
        return plain()

    size = 40 * 1024 * 1024
    async with serving(FakeDoor(carry, limits=Limits(replay_body_bytes=1000))) as rig:
        reader, writer = await rig.connect()
        writer.write(head("POST", "/v1/files", f"Content-Length: {size}"))

        async def send():
            for _ in range(size // 65536):
                writer.write(b"x" * 65536)
                await writer.drain()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.5)
        (exchange,) = rig.bridge.running
        assert exchange.upload is not None
        assert exchange.upload.received < 1024 * 1024
        assert not sending.done()
        go.set()
        assert (await read_reply(reader)).status == 200
        await sending
        assert total == size
        writer.close()


async def test_a_chunked_body_that_outgrows_the_limit_is_413():
    async def carry(seen):
        await seen.read()
        return plain()

    async with serving(FakeDoor(carry, limits=Limits(replay_body_bytes=1000, max_body_bytes=5000))) as rig:
        reader, writer = await rig.connect()
        writer.write(head("POST", "/v1/files", "Transfer-Encoding: chunked"))
        for _ in range(10):
            writer.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        reply = await read_reply(reader)
        assert reply.status == 413
        assert json.loads(reply.body)["error"]["code"] == "request_too_large"
        assert len(rig.door.cancelled) == 1
        writer.close()


async def test_an_early_answer_to_an_upload_reaches_the_client():
    """The upstream refuses before it has read the body: the client is told, the rest is thrown away."""

    async def carry(seen):
        return plain(b"early", status=413)

    async with serving(FakeDoor(carry, limits=Limits(replay_body_bytes=1000))) as rig:
        reader, writer = await rig.connect()
        writer.write(head("POST", "/v1/files", "Content-Length: 3000000") + b"x" * 100_000)
        assert (await read_reply(reader)).status == 413
        writer.write(b"x" * 2_900_000)
        await writer.drain()
        writer.write(post())
        assert (await read_reply(reader)).status == 413
        writer.close()


async def test_addons_see_a_true_flow():
    watcher = Watcher()

    async def carry(seen):
        return plain(
            b'{"x":1}',
            account_id="id-1",
            account_label="Work",
            strategy="sticky",
            retries=2,
            upstream_address=("1.2.3.4", 443),
            first_byte_at=5.0,
        )

    async with serving(FakeDoor(carry), watcher) as rig:
        await ask(rig, post(b"question"))
    assert watcher.names == ["requestheaders", "request", "responseheaders", "response"]
    assert watcher.events[1] == ("request", b"question")
    assert watcher.events[3] == ("response", b'{"x":1}')
    (flow,) = watcher.flows
    assert flow.comment == "Work · sticky · 3rd try"
    assert flow.server_conn.address == ("1.2.3.4", 443)
    assert flow.response.timestamp_start == 5.0
    assert flow.metadata["codex_manager"] == {
        "strategy": "sticky",
        "retries": 2,
        "account_id": "id-1",
        "account": "Work",
        "client": "default",
        "endpoint": "chat/completions",
    }
    assert not flow.live
    assert flow.request.pretty_url == "http://127.0.0.1/v1/chat/completions"


async def test_another_addon_may_answer():
    from mitmproxy import http

    class Mapper:
        def request(self, flow):
            flow.response = http.Response.make(203, b"mapped", {"X-Mapped": "1"})

    async with serving(FakeDoor(answer), Mapper()) as rig:
        reply = await ask(rig, post())
        assert (reply.status, reply.body, reply["x-mapped"]) == (203, b"mapped", "1")
        assert rig.door.seen == []


async def test_another_addon_may_change_the_request():
    class Changer:
        def request(self, flow):
            flow.request.headers["X-Added"] = "1"
            flow.request.path = "/v1/other"
            flow.request.content = b"changed"

    async with serving(FakeDoor(answer), Changer()) as rig:
        assert (await ask(rig, post())).status == 200
        (seen,) = rig.door.seen
        assert seen.body == b"changed"
        assert seen.admission.incoming.target == "/v1/other"
        assert (b"X-Added", b"1") in seen.admission.headers


async def test_a_killed_flow_is_closed_and_cancelled():
    class Killer:
        def responseheaders(self, flow):
            flow.kill()

    async with serving(FakeDoor(answer), Killer()) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert not rig.bridge.running
        writer.close()


@pytest.mark.parametrize(
    "request_line", ["CONNECT api.openai.com:443", "GET http://api.openai.com/v1/models", "GET https://example.org/"]
)
async def test_the_launchers_listener_is_no_forward_proxy(request_line):
    async with serving(FakeDoor(answer)) as rig:
        reader, writer = await rig.connect()
        writer.write(f"{request_line} HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        reply = await read_reply(reader)
        assert reply.status == 501
        assert "OPENAI_BASE_URL" in json.loads(reply.body)["error"]["message"]
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert rig.door.seen == []
        writer.close()


async def test_once_is_an_iterator():
    assert [piece async for piece in once(b"a", b"b")] == [b"a", b"b"]
