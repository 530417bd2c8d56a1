"""The same sockets by the second way in, CONNECT and TLS; and over TLS to the upstream, verified."""

import contextlib
import ipaddress
import json
import ssl

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.proxy.forward_rig import HOST, LOOPBACK, close, forwarding
from tests.proxy.websocket_rig import CREATE, KEY, Client, RefusedError, handshake, open_socket, through
from wsproto.connection import Connection, ConnectionType

from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.transport import Timeouts
from codex_manager.engine.websocket_frames import Closed, Message
from codex_manager.proxy.dialer import Dialer, DialSettings
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.proxy.passing import Passing
from codex_manager.testing import FakeOpenAI, answers


@pytest.fixture
async def fake():
    async with FakeOpenAI() as server:
        yield server


def opened(proxy, folder):
    """The same door behind a listener that is a forward proxy."""
    return forwarding(proxy.runtime, folder / "ca")


@contextlib.asynccontextmanager
async def tunnelled(rig, path="/v1/responses", *lines, key=KEY):
    reader, writer = await rig.tls()
    try:
        writer.write(handshake(path, *lines, key=key).replace(b"Host: 127.0.0.1", f"Host: {HOST}".encode()))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head.split("\r\n")[1:]}
        if not head.startswith("HTTP/1.1 101 "):
            raise RefusedError(
                int(head.split(" ")[1]), headers, await reader.readexactly(int(headers["content-length"]))
            )
        yield Client(reader, writer, Connection(ConnectionType.CLIENT), headers)
    finally:
        await close(writer)


async def test_a_socket_through_connect_fails_over_and_moves(fake, tmp_path):
    """wss://api.openai.com with the proxy in HTTPS_PROXY: as Codex connects."""
    async with (
        through(fake, tmp_path / "home", "sk-a", "sk-b", "sk-c") as proxy,
        opened(proxy, tmp_path) as rig,
    ):
        fake.script("sk-a", answers.rate_limited(retry_after=30), path="/v1/responses")
        fake.script("sk-b", answers.insufficient_quota(), path="*#create")
        async with tunnelled(rig, "/v1/responses", "openai-beta: responses_websockets=2026-02-06") as client:
            turn = await client.turn()
            assert turn[-1]["response"]["metadata"]["served_by"] == fake._accounts["sk-a"].marker
            assert await client.close() == 1000
    shaken = [(seen.key, seen.status) for seen in fake.log if seen.method == "GET"]
    assert shaken == [("sk-a", 429), ("sk-b", 101), ("sk-a", 101)]


async def test_realtime_through_connect(fake, tmp_path):
    async with (
        through(fake, tmp_path / "home", "sk-a") as proxy,
        opened(proxy, tmp_path) as rig,
        tunnelled(rig, "/v1/realtime?model=gpt-realtime") as client,
    ):
        assert (await client.receive())["type"] == "session.created"
        await client.send({"type": "session.update", "session": {"instructions": "x" * 300_000}})
        assert len((await client.receive())["session"]["instructions"]) == 300_000


async def test_a_drain_closes_sockets_inside_tls_in_order(fake, tmp_path):
    async with (
        through(fake, tmp_path / "home", "sk-a") as proxy,
        opened(proxy, tmp_path) as rig,
        tunnelled(rig) as client,
    ):
        await client.turn()
        rig.bridge.wind_down()
        assert await client.end() == 1001


async def test_a_foreign_key_is_refused_with_advice(fake, tmp_path):
    async with through(fake, tmp_path / "home", "sk-a") as proxy, opened(proxy, tmp_path) as rig:
        with pytest.raises(RefusedError) as refused:
            async with tunnelled(rig, key="sk-somebodys"):
                pass
        assert refused.value.status == 401
        assert "OPENAI_API_KEY" in refused.value.error["message"]
    assert fake.log == []


async def test_a_foreign_keys_socket_is_passed_on_untouched_where_that_is_wanted(fake):
    """`foreign_keys: pass`: its own key, its own headers, one attempt, no account of ours."""
    fake.account("sk-somebodys")
    transport = AiohttpTransport()
    dialer = Dialer(lambda: DialSettings(allowed=LOOPBACK))
    lines = [line.split(b": ", 1) for line in handshake(key="sk-somebodys", deflate=True).split(b"\r\n")[1:-2]]
    headers = (*((name, value) for name, value in lines), (b"OpenAI-Organization", b"org-x"))
    incoming = Incoming(method="GET", target="/v1/responses", headers=headers, via="forward", host=HOST)
    passage = ("http", "127.0.0.1", fake.port)
    admission = Admission(incoming=incoming, client="-", headers=headers, foreign=True, passage=passage)
    try:
        passing = Passing(transport, dialer, Timeouts)
        refused = await passing.carry(admission, b"")
        assert refused.status == 401  # not its organization: OpenAI's own answer
        await refused.aclose()
        admission = replace(admission, incoming=replace(incoming, headers=headers[:-1]))
        answer = await passing.carry(admission, b"")
        assert answer.status == 101
        assert answer.session is not None
        answer.session.start()
        fake.script("sk-somebodys", answers.insufficient_quota(), path="*#create")
        answer.session.send(Message(json.dumps(CREATE)))
        heard = await answer.session.receive()
        assert isinstance(heard, Message)
        assert json.loads(heard.data)["error"]["code"] == "insufficient_quota"
        answer.session.finish(Closed(1000))
        assert await answer.session.receive() == Closed(1000)
        await answer.aclose()
    finally:
        await transport.aclose()
    assert fake.log[-2].header_values("authorization") == ["Bearer sk-somebodys"]
    assert fake.log[-2].close_code == 1000


# --- TLS to the upstream ---


@pytest.fixture
def certificate(tmp_path):
    """Self-signed for 127.0.0.1: (the server's context, the file to trust)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake upstream")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = tmp_path / "upstream.pem", tmp_path / "upstream.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem


async def test_the_upstream_is_reached_over_verified_tls(certificate, tmp_path):
    context, pem = certificate
    async with FakeOpenAI(ssl_context=context) as fake:
        config = f"upstream:\n  ca_file: {json.dumps(str(pem))}\n"
        async with through(fake, tmp_path / "home", "sk-a", config=config) as proxy:
            async with open_socket(proxy.port, deflate=True) as client:
                assert (await client.turn())[-1]["type"] == "response.completed"
                assert await client.close() == 1000
            await proxy.until_idle()
        assert fake.log[0].close_code == 1000


async def test_an_upstream_nobody_vouches_for_gets_no_key(certificate, tmp_path):
    context, _ = certificate
    async with FakeOpenAI(ssl_context=context) as fake, through(fake, tmp_path / "home", "sk-a") as proxy:
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port):
                pass
        assert refused.value.status == 502
        assert "not trusted" in refused.value.error["message"]
        assert fake.log == []
