"""The way to OpenAI is exchanged under running requests without one of them noticing."""

import asyncio
import ssl

import pytest

from codex_manager.config.errors import ConfigError
from codex_manager.config.schema import Config
from codex_manager.engine.transport import Endpoint, Timeouts, TransportError, UpstreamRequest
from codex_manager.proxy.upstream import Upstream, UpstreamRoute
from codex_manager.testing import FakeOpenAI, answers, toxics


TIMEOUTS = Timeouts(connect=5, header=5, idle=5)


def route(**upstream) -> UpstreamRoute:
    return UpstreamRoute.of(Config.model_validate({"upstream": upstream}))


@pytest.fixture
async def fake():
    async with FakeOpenAI() as fake:
        fake.account("sk-a")
        yield fake


@pytest.fixture
async def upstream():
    upstream = Upstream(route())
    yield upstream
    await upstream.aclose()


async def send(upstream: Upstream, fake: FakeOpenAI):
    endpoint = Endpoint("http", fake.host, fake.port)
    headers = ((b"Host", endpoint.authority.encode()), (b"Authorization", b"Bearer sk-a"))
    request = UpstreamRequest(endpoint, b"GET", b"/v1/models", headers, b"")
    return await upstream.send(request, TIMEOUTS)


async def read(answer) -> bytes:
    try:
        return b"".join([chunk async for chunk in answer])
    finally:
        answer.close()


async def test_an_answer_ends_on_the_way_it_began(fake, upstream):
    """The old way's connection lives as long as its answer does, and no longer."""
    fake.script("sk-a", answers.ok() | toxics.slice_into(200, 0.02))
    answer = await send(upstream, fake)
    pieces = aiter(answer)
    first = await anext(pieces)
    assert upstream.follow(route(proxy="http://127.0.0.1:9"))
    with pytest.raises(TransportError):
        await send(upstream, fake)
    rest = b"".join([piece async for piece in pieces])
    assert b"gpt-4o" in first + rest
    assert fake.connections_open == 1
    answer.close()
    answer.close()
    await fake.until(lambda: fake.connections_open == 0)


async def test_an_idle_way_is_closed_at_once(fake, upstream):
    await read(await send(upstream, fake))
    assert fake.connections_open == 1
    upstream.follow(route(proxy="http://127.0.0.1:9"))
    await fake.until(lambda: fake.connections_open == 0)


async def test_a_failed_or_cancelled_request_leaves_its_way(fake, upstream):
    fake.script("sk-a", toxics.delay(30), toxics.reset_before_headers())
    waiting = asyncio.create_task(send(upstream, fake))
    await fake.until(lambda: fake.log)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    with pytest.raises(TransportError):
        await send(upstream, fake)
    await read(await send(upstream, fake))
    upstream.follow(route(proxy="http://127.0.0.1:9"))
    await fake.until(lambda: fake.connections_open == 0)


async def test_the_same_way_is_not_exchanged(fake, upstream):
    await read(await send(upstream, fake))
    assert not upstream.follow(route())
    await read(await send(upstream, fake))
    assert fake.connections_total == 1


async def test_closing_closes_old_ways_too(fake, upstream):
    fake.script("sk-a", answers.ok() | toxics.hang_mid_stream())
    answer = await send(upstream, fake)
    upstream.follow(route(proxy="http://127.0.0.1:9"))
    await upstream.aclose()
    await fake.until(lambda: fake.connections_open == 0)
    answer.close()


def test_a_renewed_ca_file_is_another_way(tmp_path):
    path = tmp_path / "ca.pem"
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    if len(certificates) < 2:
        pytest.skip("this system has no bundle of roots to take certificates from")
    path.write_text(ssl.DER_cert_to_PEM_cert(certificates[0]), encoding="ascii")
    first = route(ca_file=str(path))
    assert first == route(ca_file=str(path))
    path.write_text(ssl.DER_cert_to_PEM_cert(certificates[1]), encoding="ascii")
    assert first != route(ca_file=str(path))


def test_a_bad_ca_file_names_its_key(tmp_path):
    with pytest.raises(ConfigError, match=r"^upstream.ca_file: .*nothing.pem cannot be read"):
        route(ca_file=str(tmp_path / "nothing.pem"))


def test_a_proxys_password_is_not_shown():
    assert "pass-word" not in repr(route(proxy="http://user:pass-word@proxy.lan:3128"))
