"""The dialer connects to what was judged, and to nothing else."""

import asyncio
import base64
import contextlib
import ipaddress
import socket
import sys

import pytest

from codex_manager.proxy.destination import Destination
from codex_manager.proxy.dialer import Dialer, DialError, DialSettings, resolve


LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def found(*addresses, port=443):
    """What a resolver returns for these addresses."""
    return [
        (
            socket.AF_INET6 if ":" in a else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            (a, port, 0, 0) if ":" in a else (a, port),
        )
        for a in addresses
    ]


class Resolver:
    """Answers each look-up with the next of its answers, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [(f, k, p, n, (address[0], port, *address[2:])) for f, k, p, n, address in answer]


def dialer(resolver, **settings):
    chosen = DialSettings(**{"timeout_s": 5.0} | settings)
    return Dialer(lambda: chosen, resolver)


@contextlib.asynccontextmanager
async def listening(host="127.0.0.1", answer=b"hello"):
    """A server that says one thing to whoever connects."""
    seen = []

    async def serve(reader, writer):
        seen.append(writer.get_extra_info("sockname")[0])
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def read(line):
    async with asyncio.timeout(5):
        data = await line.reader.read()
    line.writer.close()
    await line.writer.wait_closed()
    return data


async def test_it_connects_to_an_allowed_address_and_says_which():
    async with listening() as (port, _):
        line = await dialer(Resolver(found("127.0.0.1")), allowed=LOOPBACK).dial(Destination("box.example", port))
        assert line.peer == ("127.0.0.1", port)
        assert await read(line) == b"hello"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers on all of 127.0.0.0/8 by itself")
async def test_a_resolver_that_changes_its_mind_changes_nothing():
    """Rebinding: judged once, connected to that; the second answer is never asked for."""
    async with listening("0.0.0.0") as (port, seen):
        resolver = Resolver(found("127.0.0.2"), found("127.0.0.1"))
        line = await dialer(resolver, allowed=(ipaddress.ip_network("127.0.0.2"),)).dial(
            Destination("rebind.example", port)
        )
        assert await read(line) == b"hello"
        assert resolver.asked == [("rebind.example", port)]
    assert seen == ["127.0.0.2"]


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("8.8.8.8", "127.0.0.1"),
        ("8.8.8.8", "2606:4700::1111", "10.0.0.1"),
        ("::ffff:169.254.169.254",),
        ("fe80::1",),
        ("0.0.0.0",),
    ],
)
async def test_one_forbidden_address_refuses_the_name(addresses):
    with pytest.raises(DialError) as caught:
        await dialer(Resolver(found(*addresses))).dial(Destination("mixed.example", 443))
    assert caught.value.status == 403
    assert "leads to" in str(caught.value)


@pytest.mark.parametrize("own", ["127.0.0.1", "0.0.0.0", "::1", "192.0.2.7"])
async def test_the_port_we_listen_on_is_never_dialled_on_this_machine(own):
    for host in ("127.0.0.1", "127.0.0.2"):
        with pytest.raises(DialError, match="this proxy itself") as caught:
            await dialer(Resolver(found(host)), allowed=LOOPBACK, own=frozenset({(own, 8080)})).dial(
                Destination(host, 8080)
            )
        assert caught.value.status == 403


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "cannot be resolved"),
        (UnicodeError("label too long"), "cannot be resolved"),
        ([], "has no address"),
    ],
)
async def test_a_name_without_an_address_is_unreachable(answer, words):
    with pytest.raises(DialError, match=words) as caught:
        await dialer(Resolver(answer)).dial(Destination("nowhere.example", 443))
    assert caught.value.status == 502


async def test_a_refused_connection_is_unreachable(free_port):
    with pytest.raises(DialError, match="cannot be reached") as caught:
        await dialer(Resolver(found("127.0.0.1")), allowed=LOOPBACK).dial(Destination("box.example", free_port))
    assert caught.value.status == 502


async def test_a_dead_first_address_does_not_hold_up_the_second():
    async with listening() as (port, _):
        resolver = Resolver(found("127.0.0.3", "127.0.0.1"))
        line = await dialer(resolver, allowed=LOOPBACK).dial(Destination("two.example", port))
        assert await read(line) == b"hello"


async def test_slow_names_end_at_the_timeout():
    async def never(host, port):
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DialError, match=r"did not answer within 0\.2 s") as caught:
        await dialer(never, timeout_s=0.2).dial(Destination("slow.example", 443))
    assert caught.value.status == 504


async def test_the_systems_resolver_serves_literals_and_localhost():
    assert {address[4][0] for address in await resolve("127.0.0.1", 80)} == {"127.0.0.1"}
    assert {address[4][0] for address in await resolve("localhost", 80)} <= {"127.0.0.1", "::1"}


@contextlib.asynccontextmanager
async def company_proxy(answer=b"HTTP/1.1 200 OK\r\n\r\n"):
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer + b"through")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def test_a_companys_proxy_makes_the_connection():
    async with company_proxy() as (address, heads):
        line = await dialer(Resolver(found("8.8.8.8")), proxy=f"http://user:p%40ss@{address}").dial(
            Destination("out.example", 443)
        )
        assert await read(line) == b"through"
    token = base64.b64encode(b"user:p@ss")
    assert heads == [
        b"CONNECT out.example:443 HTTP/1.1\r\nHost: out.example:443\r\nProxy-Authorization: Basic "
        + token
        + b"\r\n\r\n"
    ]


async def test_names_only_the_companys_proxy_knows_are_left_to_it():
    async with company_proxy() as (address, heads):
        resolver = Resolver(socket.gaierror(socket.EAI_NONAME, "unknown"))
        line = await dialer(resolver, proxy=f"http://{address}").dial(Destination("out.example", 443))
        assert await read(line) == b"through"
    assert len(heads) == 1


async def test_a_forbidden_destination_is_not_asked_of_the_companys_proxy():
    async with company_proxy() as (address, heads):
        with pytest.raises(DialError, match="where a tunnel may not lead"):
            await dialer(Resolver(found("10.0.0.1")), proxy=f"http://{address}").dial(Destination("in.example", 443))
    assert heads == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the way with status 407"),
        (b"nonsense\r\n\r\n", "refused the way with status no status"),
        (b"HTTP/1.1 200 half", "did not answer with HTTP"),
    ],
)
async def test_a_companys_proxy_that_refuses_is_named(answer, words):
    async with company_proxy(answer) as (address, _):
        with pytest.raises(DialError, match=words):
            await dialer(Resolver(found("8.8.8.8")), proxy=f"http://u:secret@{address}").dial(
                Destination("out.example", 443)
            )


def test_settings_do_not_show_the_proxys_password():
    assert "secret" not in repr(DialSettings(proxy="http://u:secret@proxy.example:1"))
