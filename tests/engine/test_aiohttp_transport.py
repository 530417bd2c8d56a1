"""The transport carries bytes and nothing else: as given out, as sent in, with every failure and its phase named."""

import asyncio
import datetime as dt
import os
import socket
import ssl

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.engine.wire import OK, wire

from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.messages import UpstreamCutError
from codex_manager.engine.transport import (
    BodyFailedError,
    Endpoint,
    Phase,
    Timeouts,
    TransportError,
    Trouble,
    UpstreamRequest,
)


QUICK = Timeouts(connect=2.0, header=0.3, idle=0.3)
PATIENT = Timeouts(connect=10.0, header=10.0, idle=10.0)


def request(port, *, method=b"POST", target=b"/v1/x", headers=(), body=b"", **more):
    return UpstreamRequest(Endpoint("http", "127.0.0.1", port), method, target, tuple(headers), body, **more)


async def everything(answer):
    return b"".join([piece async for piece in answer])


@pytest.fixture
async def transport():
    made = AiohttpTransport()
    yield made
    await made.aclose()


async def send(transport, sent, timeouts=QUICK, **more):
    async with asyncio.timeout(10):
        return await transport.send(sent, timeouts, **more)


async def test_the_head_goes_out_byte_for_byte(transport):
    """Order, case, repeated and odd headers, bytes that are no UTF-8, an empty query: nothing is added or lost."""
    headers = [
        (b"hOST", b"api.example"), (b"x-b", b"2"), (b"X-A", b"1"), (b"x-b", b"3"), (b"X-Latin", b"caf\xe9"),
        (b"X-UTF8", "ü".encode()), (b"X-Empty", b""), (b"Content-Length", b"4"),
    ]  # fmt: skip
    async with wire() as there:
        answer = await send(
            transport, request(there.port, method=b"Patch", target=b"/v1//a%2Fb/?", headers=headers, body=b"\0\xff\r\n")
        )
        assert await everything(answer) == b"ok"
    lines = [b"Patch /v1//a%2Fb/? HTTP/1.1", *(name + b": " + value for name, value in headers)]
    assert there.received == [b"\r\n".join(lines) + b"\r\n\r\n\0\xff\r\n"]


async def test_the_answers_head_comes_in_byte_for_byte(transport):
    head = b"HTTP/1.1 207 Sort of \xc3\xbc\r\nx-B: 1\r\nX-a: caf\xe9\r\nx-B: 2\r\nContent-Length: 0\r\n\r\n"
    async with wire(head) as there:
        answer = await send(transport, request(there.port))
        assert (answer.status, answer.reason) == (207, "Sort of ü")
        assert answer.headers == ((b"x-B", b"1"), (b"X-a", b"caf\xe9"), (b"x-B", b"2"), (b"Content-Length", b"0"))
        assert answer.address == ("127.0.0.1", there.port)
        assert answer.is_complete


@pytest.mark.parametrize(
    ("method", "raw", "body"),
    [
        (b"GET", OK, b"ok"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (
            b"GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: t\r\n\r\n",
            b"ok",
        ),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", b"\x1f\x8b"),
    ],
)
async def test_every_framing_is_understood_and_the_connection_used_again(transport, method, raw, body):
    async with wire(raw, OK) as there:
        assert await everything(await send(transport, request(there.port, method=method))) == body
        assert await everything(await send(transport, request(there.port))) == b"ok"
        assert there.connections == 1


async def test_a_body_without_framing_ends_with_the_connection(transport):
    async with wire(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end") as there:
        assert await everything(await send(transport, request(there.port))) == b"until the end"


async def test_pieces_arrive_as_they_are_sent(transport):
    """One byte per segment: nobody collects."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    async with wire(raw, pieces=0.002) as there:
        pieces = [piece async for piece in await send(transport, request(there.port), PATIENT)]
        assert b"".join(pieces) == b"abcdef"
        assert len(pieces) >= 4


async def test_a_chunked_request_stays_chunked_and_a_counted_one_counted(transport):
    async def body():
        for piece in (b"abc", b"", b"defgh"):
            yield piece

    chunked = [(b"Transfer-Encoding", b"chunked")]
    async with wire() as there:
        await everything(await send(transport, request(there.port, headers=chunked, body=body(), chunked=True)))
        await everything(await send(transport, request(there.port, headers=chunked, body=b"whole", chunked=True)))
        await everything(await send(transport, request(there.port, headers=chunked, body=b"", chunked=True)))
        await everything(
            await send(
                transport, request(there.port, headers=[(b"Content-Length", b"8")], body=body(), content_length=8)
            )
        )
        bodies = [received.partition(b"\r\n\r\n")[2] for received in there.received]
        assert bodies == [
            b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n", b"5\r\nwhole\r\n0\r\n\r\n", b"0\r\n\r\n", b"abcdefgh",
        ]  # fmt: skip
        assert there.connections == 1


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_large_body_arrives_whole(transport, chunked):
    body = os.urandom(3_000_000)
    framing = (b"Transfer-Encoding", b"chunked") if chunked else (b"Content-Length", b"%d" % len(body))
    async with wire() as there:
        await everything(
            await send(transport, request(there.port, headers=[framing], body=body, chunked=chunked), Timeouts())
        )
        received = there.received[0].partition(b"\r\n\r\n")[2]
        assert len(received) > len(body) if chunked else received == body


async def test_an_upload_waits_for_a_slow_upstream():
    """What is read of the client's body stays near what the upstream has taken."""
    taken = 0

    async def body():
        nonlocal taken
        for _ in range(400):
            taken += 65536
            yield bytes(65536)

    async def serve(reader, writer):
        await asyncio.sleep(0.5)
        writer.close()

    transport = AiohttpTransport()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TransportError) as failed:
        await send(
            transport,
            request(port, headers=[(b"Transfer-Encoding", b"chunked")], body=body(), chunked=True),
            Timeouts(),
        )
    assert failed.value.phase is Phase.NOT_SENT
    assert taken < 20_000_000  # kernel buffers of both ends; 26 MB would have been all of it
    server.close()
    await server.wait_closed()
    await transport.aclose()


async def test_a_slow_reader_holds_the_upstream_back(transport):
    """100 MB against a client that reads nothing: little of it is in our memory."""
    sent = 0

    async def serve(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(1000):
                writer.write(bytes(100_000))
                await writer.drain()
                sent += 100_000
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    answer = await send(transport, request(server.sockets[0].getsockname()[1], method=b"GET"))
    await asyncio.sleep(0.3)
    assert sent < 20_000_000
    assert len(await anext(answer)) <= 400_000
    answer.close()
    server.close()
    await server.wait_closed()


async def test_an_answer_before_the_end_of_the_upload_is_an_answer(transport):
    async def body():
        yield bytes(200_000)
        await asyncio.sleep(5)
        yield b""

    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
    async with wire(early, read_body=False) as there:
        sent = request(there.port, headers=[(b"Transfer-Encoding", b"chunked")], body=body(), chunked=True)
        answer = await send(transport, sent)
        assert (answer.status, await everything(answer)) == (413, b"big")
        assert answer.is_complete
        await everything(await send(transport, request(there.port)))
        assert there.connections == 2  # the first was left with half a request in it


@pytest.mark.parametrize(
    ("raw", "trouble"),
    [
        (b"", Trouble.RESET),
        (b"HTTP/1.1 200", Trouble.RESET),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.GARBAGE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Trouble.GARBAGE),
    ],
)
async def test_no_answer_is_named_with_its_phase(transport, raw, trouble):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(TransportError) as failed:
        await send(transport, request(server.sockets[0].getsockname()[1]))
    assert (failed.value.phase, failed.value.trouble, failed.value.reused) == (Phase.SENT, trouble, False)
    server.close()
    await server.wait_closed()


async def test_silence_is_a_timeout_in_its_phase(transport):
    async with wire(b"") as there:
        with pytest.raises(TransportError, match=r"did not answer within 0\.3 s") as failed:
            await send(transport, request(there.port))
        assert (failed.value.phase, failed.value.trouble) == (Phase.SENT, Trouble.TIMEOUT)


async def test_the_header_timeout_begins_when_the_request_is_sent(transport):
    async def slow():
        for _ in range(5):
            await asyncio.sleep(0.1)
            yield b"x"

    async with wire() as there:
        sent = request(there.port, headers=[(b"Content-Length", b"5")], body=slow(), content_length=5)
        assert await everything(await send(transport, sent)) == b"ok"


@pytest.mark.parametrize(
    ("endpoint", "trouble", "words"),
    [
        (Endpoint("http", "127.0.0.1", 9), Trouble.CONNECT, "no connection to 127.0.0.1:9 ("),
        (Endpoint("http", "nowhere.invalid", 80), Trouble.DNS, "the name nowhere.invalid cannot be resolved"),
    ],
)
async def test_no_connection_is_named(transport, endpoint, trouble, words):
    with pytest.raises(TransportError, match=words.replace("(", r"\(")) as failed:
        await send(transport, UpstreamRequest(endpoint, b"GET", b"/", (), b""))
    assert (failed.value.phase, failed.value.trouble) == (Phase.NOT_CONNECTED, trouble)


async def test_a_connection_that_never_comes_is_a_timeout(transport):
    """A full backlog: the kernel does not answer."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        with socket.create_connection(deaf.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(deaf.getsockname())
            with pytest.raises(TransportError, match=r"no connection to .* within 0.2 s") as failed:
                await send(transport, request(deaf.getsockname()[1]), Timeouts(connect=0.2))
            assert failed.value.trouble is Trouble.TIMEOUT


async def test_tls_that_cannot_be_trusted_is_named(transport, tmp_path):
    async def serve(reader, writer):
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    endpoint = Endpoint("https", "127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(TransportError, match=r"the certificate of 127\.0\.0\.1:\d+ is not trusted \(") as failed:
        await send(transport, UpstreamRequest(endpoint, b"GET", b"/", (), b""))
    assert (failed.value.phase, failed.value.trouble) == (Phase.NOT_CONNECTED, Trouble.TLS)
    server.close()
    await server.wait_closed()


async def test_the_given_trust_is_used_and_a_cut_is_seen_through_tls(tmp_path):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    transport = AiohttpTransport(ssl.create_default_context(cafile=tmp_path / "cert.pem"))
    answer = await send(
        transport,
        UpstreamRequest(Endpoint("https", "localhost", server.sockets[0].getsockname()[1]), b"GET", b"/", (), b""),
    )
    assert await anext(answer) == b"part"
    with pytest.raises(UpstreamCutError):
        await anext(answer)
    await transport.aclose()
    server.close()
    await server.wait_closed()


def self_signed(folder):
    """A server's context with a certificate for localhost that nobody trusts yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize("body_failure", [RuntimeError("boom"), ValueError("odd")])
async def test_a_client_body_that_breaks_is_told_apart(transport, body_failure):
    async def body():
        yield b"x"
        raise body_failure

    async with wire() as there:
        with pytest.raises(BodyFailedError):
            await send(
                transport, request(there.port, headers=[(b"Transfer-Encoding", b"chunked")], body=body(), chunked=True)
            )


async def test_a_body_shorter_than_it_said_is_told_apart(transport):
    async def body():
        yield b"x"

    async with wire() as there:
        with pytest.raises(BodyFailedError, match="not as long as it said"):
            await send(
                transport, request(there.port, headers=[(b"Content-Length", b"9")], body=body(), content_length=9)
            )


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    ],
)
async def test_a_cut_body_yields_what_came_and_then_the_cut(transport, raw):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    answer = await send(transport, request(server.sockets[0].getsockname()[1]))
    await asyncio.sleep(0.05)
    came = b""
    while came != b"only this":
        came += await anext(answer)
    with pytest.raises(UpstreamCutError, match="broke off its answer"):
        await anext(answer)
    assert not answer.is_complete
    server.close()
    await server.wait_closed()


async def test_what_is_not_read_to_its_end_is_not_used_again(transport):
    async with wire(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") as there:
        answer = await send(transport, request(there.port))
        answer.close()
        answer.close()
        (await send(transport, request(there.port))).close()
        assert there.connections == 2


async def test_a_cancelled_request_closes_its_connection_at_once(transport):
    async with wire(b"") as there:
        task = asyncio.create_task(transport.send(request(there.port), Timeouts()))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(0.1):
            while not there.closed:
                await asyncio.sleep(0.001)


async def test_a_pooled_connection_that_was_closed_is_seen_before_it_is_used(transport):
    """Even when the event loop has not looked yet: another one is taken and nothing was sent twice."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def answer_once():
        peer, _ = listener.accept()
        peer.recv(65536)
        peer.sendall(OK)
        return peer

    first = asyncio.create_task(asyncio.to_thread(answer_once))
    await everything(await send(transport, request(port)))
    (await first).close()
    second = asyncio.create_task(asyncio.to_thread(answer_once))
    # No await between the close and this look: the loop has had no chance to read the end of the connection.
    answer = await send(transport, request(port))
    assert await everything(answer) == b"ok"
    assert not answer.reused
    (await second).close()
    listener.close()


async def test_fresh_means_a_new_connection(transport):
    async with wire() as there:
        await everything(await send(transport, request(there.port)))
        await everything(await send(transport, request(there.port), fresh=True))
        assert there.connections == 2


async def test_connections_are_shared_and_many_run_at_once(transport):
    async with wire() as there:
        await asyncio.gather(*(everything_of(transport, there.port) for _ in range(150)))
        assert there.connections <= 150
        opened = there.connections
        await asyncio.gather(*(everything_of(transport, there.port) for _ in range(100)))
        assert there.connections == opened


async def everything_of(transport, port):
    return await everything(await send(transport, request(port), Timeouts()))


async def test_environment_proxies_are_never_used(transport, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with wire() as there:
        assert await everything(await send(transport, request(there.port))) == b"ok"


async def test_a_configured_proxy_gets_the_absolute_form_and_its_own_key():
    async with wire() as proxy:
        transport = AiohttpTransport(proxy=f"http://user:pass@127.0.0.1:{proxy.port}")
        endpoint = Endpoint("http", "upstream.example", 80)
        answer = await send(
            transport, UpstreamRequest(endpoint, b"GET", b"/v1/x?y", ((b"Host", b"upstream.example"),), b"")
        )
        assert await everything(answer) == b"ok"
        head, _, rest = proxy.received[0].partition(b"\r\n")
        assert head == b"GET http://upstream.example:80/v1/x?y HTTP/1.1"
        assert rest == b"Host: upstream.example\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
        await transport.aclose()


async def test_a_configured_proxy_is_asked_for_a_tunnel_and_its_refusal_named():
    async with wire(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ) as proxy:
        transport = AiohttpTransport(ssl.create_default_context(), proxy=f"http://127.0.0.1:{proxy.port}")
        endpoint = Endpoint("https", "upstream.example", 443)
        with pytest.raises(
            TransportError, match=r"the upstream proxy refused the way to upstream\.example:443 with status 407"
        ) as failed:
            await send(
                transport, UpstreamRequest(endpoint, b"GET", b"/", ((b"Authorization", b"Bearer sk-secret"),), b"")
            )
        assert failed.value.phase is Phase.NOT_CONNECTED
        assert proxy.received[0].startswith(b"CONNECT upstream.example:443 HTTP/1.1\r\n")
        assert b"sk-secret" not in proxy.received[0]
        await transport.aclose()


async def test_an_exchange_nobody_closed_is_noticed():
    """The guard of our own tests: a leaked connection is a ResourceWarning, and warnings are errors."""
    transport = AiohttpTransport()
    async with wire(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") as there:
        answer = await send(transport, request(there.port))
        connection = answer._connection
        answer._connection = None
        with pytest.warns(ResourceWarning, match="Unclosed connection"):
            connection = None
        assert connection is None
        await transport.aclose()
