"""CONNECT to a host of ours: TLS with our certificate for exactly that host, HTTP/1.1 and HTTP/2, carried by the engine."""

import asyncio
import contextlib
import logging
import socket
import ssl
import warnings

import pytest

from tests.proxy.forward_rig import HOST, close, forwarding
from tests.proxy.h2_client import H2Client
from tests.proxy.rig import KEY, TIMEOUT, FakeDoor, plain, post, read_reply

from codex_manager.proxy.incoming import Limits


async def good(seen):
    return plain()


def request(key=KEY, host=HOST):
    return post(key=key).replace(b"Host: 127.0.0.1", f"Host: {host}".encode())


async def test_http1_inside_tls_is_forward_traffic(tmp_path):
    door = FakeDoor(good)
    async with forwarding(door, tmp_path) as rig:
        reader, writer = await rig.tls()
        for _ in range(3):
            writer.write(request())
            assert (await read_reply(reader)).status == 200
        await close(writer)
    assert [seen.admission.incoming.via for seen in door.seen] == ["forward"] * 3
    incoming = door.seen[0].admission.incoming
    assert (incoming.secure, incoming.host, incoming.destination) == (True, HOST, (HOST, 443))


async def test_http2_inside_tls_is_forward_traffic(tmp_path):
    door = FakeDoor(good)
    async with forwarding(door, tmp_path) as rig:
        reader, writer = await rig.tls(f"{HOST}:443", "h2", "http/1.1")
        client = H2Client(reader, writer)
        streams = [client.ask() for _ in range(20)]
        for stream in streams:
            got = await client.answer(stream)
            assert (got.status, bytes(got.body)) == (200, b'{"ok":true}')
        await close(writer)
    assert {seen.admission.incoming.http_version for seen in door.seen} == {"HTTP/2.0"}
    assert {seen.admission.incoming.via for seen in door.seen} == {"forward"}


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((), None),
        (("http/1.1",), "http/1.1"),
        (("h2",), "h2"),
        (("http/1.1", "h2"), "http/1.1"),
        (("h2", "http/1.1"), "h2"),
        (("h3", "spdy/3"), None),
    ],
)
async def test_the_clients_first_choice_of_what_we_speak(tmp_path, offered, chosen):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        _, writer = await rig.tls(f"{HOST}:443", *offered)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        await close(writer)


@pytest.mark.parametrize("authority", [f"{HOST}:443", f"{HOST.upper()}:443", f"{HOST}.:443", f"{HOST}:8443"])
async def test_the_host_of_connect_decides_however_it_is_written(tmp_path, authority):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        reader, writer = await rig.tls(authority)
        names = writer.get_extra_info("ssl_object").getpeercert()["subjectAltName"]
        assert names == (("DNS", HOST),)
        writer.write(request())
        assert (await read_reply(reader)).status == 200
        await close(writer)


async def test_a_client_without_sni_gets_the_certificate_of_the_host_it_asked_for(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        reader, writer = await rig.tls(sni=None)
        assert writer.get_extra_info("ssl_object").getpeercert()["subjectAltName"] == (("DNS", HOST),)
        writer.write(request())
        assert (await read_reply(reader)).status == 200
        await close(writer)


@pytest.mark.parametrize("sni", ["www.example.com", "eu.api.openai.com", "127.0.0.1.nip.example"])
async def test_another_name_in_tls_than_in_connect_is_refused(tmp_path, sni):
    door = FakeDoor(good)
    async with forwarding(door, tmp_path) as rig:
        assert "UNRECOGNIZED_NAME" in await rig.refused(rig.trusting(), sni)
    assert door.seen == []


async def test_old_tls_is_refused(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(rig.ca)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert await rig.refused(context)


async def test_a_client_that_does_not_trust_us_is_told_how_once(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        for _ in range(3):
            assert "SSLCertVerificationError" in await rig.refused(ssl.create_default_context())
        await asyncio.sleep(0.1)
    told = [record.getMessage() for record in caplog.records if "does not trust" in record.getMessage()]
    assert told == [
        f"a client does not trust codex-manager's certificate for {HOST}; `codex-manager certs doctor` says what it lacks"
    ]


@pytest.mark.parametrize(
    "data",
    [
        request(),
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff" + b"\x01\x00\xff\xff" + b"x" * 70_000,
        b"\x80\x2e\x01\x00\x02",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\x00" * 508,
    ],
    ids=["plain http", "no hello", "endless hello", "sslv2", "ssh", "h2 preface", "zeros"],
)
async def test_what_is_no_tls_ends_the_connection_and_is_quoted_nowhere(tmp_path, caplog, data):
    caplog.set_level(logging.DEBUG)
    door = FakeDoor(good, limits=Limits(header_deadline_s=1))
    async with forwarding(door, tmp_path) as rig:
        _, reader, writer = await rig.ask_connect()
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT):
                assert len(await reader.read()) < 100  # at most an alert
        await close(writer)
        reader, writer = await rig.tls()
        writer.write(request())
        assert (await read_reply(reader)).status == 200
        await close(writer)
    assert len(door.seen) == 1
    assert KEY not in caplog.text
    assert KEY.encode().hex() not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_handshake_ends_within_the_deadline(tmp_path):
    door = FakeDoor(good, limits=Limits(header_deadline_s=0.3))
    async with forwarding(door, tmp_path) as rig:
        _, reader, writer = await rig.ask_connect()
        writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        await close(writer)


async def test_a_hello_sent_along_with_connect_is_not_lost(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = rig.trusting().wrap_bio(incoming, outgoing, server_hostname=HOST)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        reader, writer = await rig.connect()
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() + outgoing.read())
        async with asyncio.timeout(TIMEOUT):
            await reader.readuntil(b"\r\n\r\n")
            while True:
                incoming.write(await reader.read(65536))
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                break
        assert tls.version() == "TLSv1.3"
        await close(writer)


@pytest.mark.parametrize("host", ["www.example.com", "127.0.0.1", "localhost"])
async def test_another_host_inside_an_intercepted_connection_is_judged_by_the_gate(tmp_path, host):
    """The door sees what was asked; `test_gate` shows that it refuses."""
    door = FakeDoor(good)
    async with forwarding(door, tmp_path) as rig:
        reader, writer = await rig.tls()
        writer.write(request(host=host))
        await read_reply(reader)
        await close(writer)
    assert (door.seen[0].admission.incoming.host, door.seen[0].admission.incoming.via) == (host, "forward")


async def test_a_request_that_is_refused_leaves_the_connection_usable(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path) as rig:
        reader, writer = await rig.tls()
        writer.write(request(key="sk-foreign"))
        assert (await read_reply(reader)).status == 401
        writer.write(request())
        assert (await read_reply(reader)).status == 200
        await close(writer)


async def test_the_end_of_a_connection_is_said_in_tls(tmp_path):
    """A client that takes the end of the connection for the end of the answer must know it was not cut."""

    def ask(port, context):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as link:
            link.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
            assert b" 200 " in link.recv(4096)
            with context.wrap_socket(link, server_hostname=HOST, suppress_ragged_eofs=False) as tls:
                tls.sendall(request().replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                received = b""
                while piece := tls.recv(4096):
                    received += piece
                return received

    async with forwarding(FakeDoor(good), tmp_path) as rig:
        assert (await asyncio.to_thread(ask, rig.port, rig.trusting())).endswith(b'{"ok":true}')


class Killer:
    """An addon that refuses CONNECTs in its own way."""

    def http_connect(self, flow):
        from mitmproxy import http

        flow.response = http.Response.make(418, b"no", {"Content-Type": "text/plain"})


async def test_another_addon_may_answer_a_connect(tmp_path):
    async with forwarding(FakeDoor(good), tmp_path, Killer()) as rig:
        head, _, writer = await rig.ask_connect()
        assert head.startswith(b"HTTP/1.1 418 ")
        await close(writer)


class Watcher:
    """An addon that sees flows as mitmweb does."""

    def __init__(self):
        self.events = []

    def http_connect(self, flow):
        self.events.append(("connect", flow.request.data.host, dict(flow.request.headers)))

    def http_connected(self, flow):
        self.events.append(("connected", flow.response.status_code))

    def request(self, flow):
        self.events.append(("request", flow.request.pretty_url, flow.request.headers["authorization"]))


async def test_flows_show_where_they_lead_and_no_key(tmp_path):
    watcher = Watcher()
    async with forwarding(FakeDoor(good), tmp_path, watcher) as rig:
        _, reader, writer = await rig.ask_connect(f"{HOST}:443", f"Proxy-Authorization: Bearer {KEY}")
        await writer.start_tls(rig.trusting(), server_hostname=HOST)
        writer.write(request())
        assert (await read_reply(reader)).status == 200
        await close(writer)
    assert watcher.events == [
        ("connect", HOST, {"Host": f"{HOST}:443", "Proxy-Authorization": "[codex-manager]"}),
        ("connected", 200),
        ("request", f"https://{HOST}/v1/chat/completions", "Bearer [codex-manager]"),
    ]
