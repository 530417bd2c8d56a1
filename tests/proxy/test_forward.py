"""What becomes of a CONNECT and of a whole URL: the table."""

import asyncio
import base64
import json

import pytest

from codex_manager.engine.messages import Answer
from codex_manager.proxy.destination import Destination
from codex_manager.proxy.dialer import DialError, DialSettings
from codex_manager.proxy.forward import Forward, ForwardSettings, Intercept, Passage, passage_of, unreachable
from codex_manager.proxy.incoming import Incoming


KEY = b"sk-local"
HERE = "127.0.0.1"
OUTSIDE = "192.0.2.9"
SETTINGS = ForwardSettings(
    enabled=True,
    hosts=frozenset({"api.openai.com", "eu.api.openai.com"}),
    tunnel=True,
    plain_http=True,
    dial=DialSettings(own=frozenset({("127.0.0.1", 8080)})),
)


def forward(**changes):
    from dataclasses import replace

    settings = replace(SETTINGS, **changes)
    return Forward(lambda: settings, lambda key: key == KEY, lambda: "http://127.0.0.1:8080/v1")


def status_of(verdict):
    return verdict.status if isinstance(verdict, Answer) else verdict


def basic(text):
    return ((b"Proxy-Authorization", b"Basic " + base64.b64encode(text)),)


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (b"api.openai.com:443", Intercept(Destination("api.openai.com", 443))),
        (b"API.OpenAI.com.:443", Intercept(Destination("api.openai.com", 443))),
        (b"eu.api.openai.com:443", Intercept(Destination("eu.api.openai.com", 443))),
        (b"api.openai.com:8443", Intercept(Destination("api.openai.com", 8443))),
        (b"api.openai.com:80", Passage(Destination("api.openai.com", 80))),
        (b"us.api.openai.com:443", Passage(Destination("us.api.openai.com", 443))),
        (b"xapi.openai.com:443", Passage(Destination("xapi.openai.com", 443))),
        (b"api.openai.com.evil.example:443", Passage(Destination("api.openai.com.evil.example", 443))),
        (b"104.18.6.192:443", Passage(Destination("104.18.6.192", 443))),
        (b"api.openai.com", 400),
        (b"api.openai.com:443@evil.example:443", 400),
        (b"/v1/models", 400),
        (b"", 400),
    ],
)
def test_connect(target, verdict):
    assert status_of(forward().connect(target, (), HERE)) == verdict


def test_connect_where_it_is_switched_off():
    assert status_of(forward(enabled=False).connect(b"api.openai.com:443", (), HERE)) == 501
    assert status_of(forward(tunnel=False).connect(b"example.com:443", (), HERE)) == 403


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ((), False),
        (basic(b"codex-manager:sk-local"), True),
        (basic(b"anybody:sk-local"), True),
        (basic(b"sk-local:"), True),
        (basic(b"sk-local"), True),
        (((b"proxy-authorization", b"Bearer sk-local"),), True),
        (basic(b"codex-manager:wrong"), False),
        (basic(b"sk-local:wrong"), False),
        (((b"Proxy-Authorization", b"Basic %%%"),), False),
        (((b"Proxy-Authorization", b"sk-local"),), False),
        (basic(b"a:sk-local") + basic(b"a:sk-local"), False),
        (((b"Authorization", b"Bearer sk-local"),), False),
    ],
)
@pytest.mark.parametrize("peer", [OUTSIDE, "2001:db8::9", "", "10.0.0.5"])
def test_other_machines_show_a_key_before_a_tunnel(headers, let_in, peer):
    verdict = forward().connect(b"example.com:443", headers, peer)
    assert status_of(verdict) == (Passage(Destination("example.com", 443)) if let_in else 407)
    if not let_in:
        assert isinstance(verdict, Answer)
        assert (b"Proxy-Authenticate", b'Basic realm="codex-manager"') in verdict.headers


@pytest.mark.parametrize("peer", [HERE, "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_needs_none(peer):
    assert isinstance(forward().connect(b"example.com:443", (), peer), Passage)


def test_hosts_of_ours_need_none_from_anywhere_because_the_requests_inside_do():
    assert isinstance(forward().connect(b"api.openai.com:443", (), OUTSIDE), Intercept)


@pytest.mark.parametrize(
    ("scheme", "authority", "verdict"),
    [
        (b"http", b"api.openai.com", "ours"),
        (b"https", b"api.openai.com", "ours"),
        (b"https", b"api.openai.com:443", "ours"),
        (b"http", b"127.0.0.1:8080", "here"),
        (b"http", b"localhost:8080", "here"),
        (b"http", b"[::1]:8080", "here"),
        (b"http", b"127.0.0.1:8081", Passage(Destination("127.0.0.1", 8081))),
        (b"http", b"example.com", Passage(Destination("example.com", 80))),
        (b"http", b"example.com:8000", Passage(Destination("example.com", 8000))),
        (b"http", b"[2606:4700::1111]", Passage(Destination("2606:4700::1111", 80))),
        (b"https", b"example.com", 400),
        (b"http", b"user@example.com", 400),
        (b"http", b"exa mple.com", 400),
    ],
)
def test_whole_urls(scheme, authority, verdict):
    assert status_of(forward().absolute(scheme, authority, (), HERE)) == verdict


def test_whole_urls_where_they_are_switched_off():
    assert status_of(forward(plain_http=False).absolute(b"http", b"example.com", (), HERE)) == 403
    assert status_of(forward(enabled=False).absolute(b"http", b"api.openai.com", (), HERE)) == 501
    assert status_of(forward().absolute(b"http", b"example.com", (), OUTSIDE)) == 407


@pytest.mark.parametrize(
    ("destination", "passage"),
    [
        (("api.openai.com", 443), ("https", "api.openai.com", 443)),
        (("api.openai.com", 80), ("https", "api.openai.com", 443)),
        (("api.openai.com", 8443), ("https", "api.openai.com", 8443)),
        (None, None),
    ],
)
def test_a_key_of_the_clients_own_goes_over_tls(destination, passage):
    assert passage_of(Incoming(method="GET", target="/", headers=(), destination=destination)) == passage


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "destination_forbidden"), (502, "destination_unreachable"), (504, "destination_unreachable")],
)
def test_no_connection_is_told_in_openais_shape(status, code):
    answer = unreachable(Destination("example.com", 443), DialError(status, "cannot be reached (no route to host)"))

    async def body():
        return b"".join([piece async for piece in answer.body])

    error = json.loads(asyncio.run(body()))["error"]
    assert (answer.status, error["code"], error["message"]) == (
        status,
        code,
        "example.com:443 cannot be reached (no route to host).",
    )
