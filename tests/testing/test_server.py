"""The server speaks HTTP/1.1 as a careful server does, records what it saw, and leaves nothing behind."""

import asyncio
import gc
import hashlib
import itertools
import ssl
import sys
import time

import pytest

from tests.testing.raw import CHAT, Heard, ask, listen, request, say

from codex_manager.testing import FakeOpenAI
from codex_manager.testing.answers import blob, ok
from codex_manager.testing.toxics import delay


async def test_a_connection_carries_one_request_after_the_other(fake):
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    for _ in range(3):
        writer.write(request())
        assert (await listen(reader, silence=2)).status == 200
    writer.close()
    assert [seen.connection for seen in fake.log] == [0, 0, 0]
    assert fake.connections_total == 1


async def test_head_has_the_headers_of_get_and_no_body(fake):
    got, head = await ask(fake, "GET", "/v1/models"), await say(fake, request("HEAD", "/v1/models"), whole=False)
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.data.endswith(b"\r\n\r\n")


async def test_a_chunked_request_is_read_whole(fake):
    body = b'{"model":"gpt-4o","messages":[]}'
    data = request(body=b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    data += b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:5], body[5:])) + b"0\r\n\r\n"
    assert (await say(fake, data)).status == 200
    assert fake.log[0].body == body


async def test_100_continue_is_sent_before_the_body_is_wanted(fake):
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    head, _, body = request(headers=[("Expect", "100-continue")]).partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(body)
    assert (await listen(reader, silence=2)).status == 200
    writer.close()


async def test_a_large_upload_is_counted_and_not_kept(fake):
    body = b"0123456789abcdef" * (4 << 16)  # 4 MiB
    heard = await say(fake, request(path="/v1/nothing", body=body), silence=5)
    seen = fake.log[0]
    assert heard.status == 404
    assert (seen.body_size, seen.body_sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert seen.body == body[: 1 << 20]


async def test_a_slow_reader_makes_the_server_wait(fake):
    """Back-pressure: what nobody reads is not written."""
    fake.script("sk-a", blob(64 << 20))
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    writer.write(request("GET", "/v1/files/file-x/content"))
    await asyncio.sleep(0.1)
    assert 0 < fake.log[0].sent_bytes < 16 << 20
    writer.close()
    del reader
    await fake.until(lambda: fake.log[0].aborted)


async def test_the_log_says_when_each_thing_happened(fake):
    fake.script("sk-a", ok(chunks=3, every=0.02) | delay(0.05))
    begun = time.monotonic()
    heard = await ask(fake, body={**CHAT, "stream": True})
    (seen,) = fake.log
    assert begun < seen.at <= seen.body_at < seen.answered_at < seen.finished_at < time.monotonic()
    assert seen.answered_at - seen.body_at >= 0.05
    assert len(seen.sent_at) == 6
    assert all(later - earlier >= 0.019e9 for earlier, later in itertools.pairwise(seen.sent_at))
    assert seen.sent_bytes == len(heard.data)
    assert (seen.status, seen.step, seen.aborted, seen.cut, seen.processed) == (
        200,
        "ok | delay(0.05)",
        False,
        False,
        True,
    )


async def test_headers_are_recorded_in_order_and_case(fake):
    await ask(fake, headers=[("X-Two", "1"), ("x-two", "2")])
    assert fake.log[0].headers[-2:] == [("X-Two", "1"), ("x-two", "2")]
    assert fake.log[0].header_values("x-two") == ["1", "2"]


@pytest.mark.parametrize("stage", ["body", "delay", "stream"])
async def test_a_client_that_leaves_is_noticed_at_once(fake, stage):
    fake.script("sk-a", ok(chunks=100, every=0.02) | delay(5 if stage == "delay" else 0))
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    data = request(body={**CHAT, "stream": True})
    writer.write(data[:-5] if stage == "body" else data)
    if stage == "stream":
        await reader.readuntil(b"data: ")
    else:
        await fake.until(lambda: fake.log)
    left = time.monotonic()
    writer.close()
    await fake.until(lambda: fake.log[0].aborted)
    assert fake.log[0].aborted_at - left < 0.3
    assert fake.log[0].finished_at is None
    assert fake.log[0].processed is (stage != "body")
    await fake.until(lambda: not fake.connections_open)


async def test_a_client_that_leaves_after_the_answer_has_aborted_nothing(fake):
    await ask(fake)
    await fake.until(lambda: not fake.connections_open)
    assert not fake.log[0].aborted


async def test_requests_processed_twice_are_counted_by_their_clients_id(fake):
    from codex_manager.testing.answers import rate_limited
    from codex_manager.testing.toxics import reset_before_headers

    one, two = [("X-Client-Request-Id", "one")], [("Idempotency-Key", "two")]
    fake.script("sk-a", rate_limited(), ok(), reset_before_headers(), rate_limited(), rate_limited())
    for headers in (one, one, two, two, two):
        await say(fake, request(headers=headers))
    assert fake.duplicates() == {}
    await ask(fake, headers=two, key="sk-b")
    assert [[seen.key for seen in group] for group in fake.duplicates().values()] == [["sk-a", "sk-b"]]
    for _ in range(2):
        await ask(fake, body={**CHAT, "metadata": {"client_request_id": "three"}})
    assert set(fake.duplicates()) == {"two", "three"}
    assert fake.counts("sk-a") == 7
    assert fake.counts() == {"sk-a": 7, "sk-b": 1}


async def test_connections_can_be_reset_before_any_request(fake):
    fake.reset_connections(1)
    assert (await say(fake, request())).end == "reset"
    assert (await ask(fake)).status == 200
    assert len(fake.log) == 1


async def test_stopping_ends_what_is_open_and_the_port_refuses_until_started_again(fake):
    fake.script("sk-a", delay(30))
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    writer.write(request())
    await fake.until(lambda: fake.log)
    port = fake.port
    await fake.stop()
    assert (await listen(reader, silence=2)).end in {"eof", "reset"}
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await ask(fake)
    await fake.start()
    assert fake.port == port
    assert (await ask(fake)).status == 200
    assert not fake.log[0].aborted, "the server hung up, not the client"


async def test_nothing_is_left_behind():
    before = asyncio.all_tasks()
    async with FakeOpenAI() as fake:
        fake.account("sk-a")
        opened = [await asyncio.open_connection(fake.host, fake.port) for _ in range(5)]
        fake.always("sk-a", delay(30))
        for _, writer in opened:
            writer.write(request())
        await fake.until(lambda: len(fake.log) == 5)
    for _, writer in opened:
        writer.close()
    assert asyncio.all_tasks() == before
    assert fake.connections_open == 0
    gc.collect()  # an unclosed socket or a task destroyed while pending is an error here


async def test_equal_requests_get_equal_bytes(fake):
    """So that a way through a proxy can be compared with the direct one."""
    for body in (CHAT, {**CHAT, "stream": True}):
        assert (await ask(fake, body=body)).body == (await ask(fake, body=body)).body


async def test_many_at_once(fake):
    heard: list[Heard] = await asyncio.gather(*(ask(fake, key=f"sk-{'ab'[number % 2]}") for number in range(200)))
    assert {answer.status for answer in heard} == {200}
    assert fake.counts() == {"sk-a": 100, "sk-b": 100}


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not exist there")
def test_it_runs_on_uvloop_too():
    import uvloop

    from codex_manager.testing.toxics import reset_at

    async def play():
        async with FakeOpenAI() as fake:
            fake.account("sk-a")
            fake.script("sk-a", ok(), reset_at(50))
            whole, cut = await ask(fake), await say(fake, request())
            return whole.status, len(cut.data), cut.end

    assert asyncio.run(play(), loop_factory=uvloop.new_event_loop) == (200, 50, "reset")


async def test_it_speaks_tls(tls):
    server, client = tls
    async with FakeOpenAI(ssl_context=server) as fake:
        fake.account("sk-a")
        assert fake.base_url.startswith("https://")
        reader, writer = await asyncio.open_connection(fake.host, fake.port, ssl=client)
        writer.write(request())
        heard = await listen(reader, silence=2)
        assert heard.status == 200
        assert "Secure" in heard.headers["set-cookie"]
        from codex_manager.testing.toxics import reset_in_body

        fake.script("sk-a", reset_in_body(7))
        writer.write(request())
        cut = await listen(reader, silence=2)
        assert (len(cut.body), cut.end) == (7, "reset")
        writer.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, and both sides' contexts."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "fake.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=path)
