"""What the bridge decides: whose request it is, whose connection, and that a doubt closes it."""

import pytest

from mitmproxy import http, options
from mitmproxy.connection import Client
from mitmproxy.proxy import layer, layers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode

from codex_manager.engine.messages import Answer
from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.host import Claim, incoming_of
from codex_manager.proxy.incoming import Incoming, Limits
from codex_manager.proxy.layer import ClosedLayer, CodexHttpLayer


ROUTED = frozenset({"api.openai.com"})


def bridge(*, forward=True, door=None):
    return Bridge(
        door, connections=dict, hears=lambda _: True, routed=lambda: ROUTED, intercepted=lambda: ROUTED, forward=forward
    )


def context_of(mode="regular", address=None, sni=None):
    client = Client(
        peername=("127.0.0.1", 1),
        sockname=("127.0.0.1", 2),
        timestamp_start=0,
        proxy_mode=mode_specs.ProxyMode.parse(mode),
        sni=sni,
    )
    context = Context(client, options.Options())
    context.server.address = address
    return context


@pytest.mark.parametrize(
    ("mode", "address", "sni", "ours"),
    [
        ("regular", None, None, True),
        ("regular", ("api.openai.com", 443), None, True),
        ("regular", ("API.OpenAI.com", 443), None, True),
        ("regular", ("104.18.0.1", 443), "api.openai.com", True),
        ("regular", ("example.org", 443), None, False),
        ("regular", ("example.org", 443), "example.org", False),
        ("reverse:https://api.openai.com", ("api.openai.com", 443), None, True),
        ("reverse:https://example.org", ("example.org", 443), None, False),
        ("reverse:https://example.org", ("example.org", 443), "api.openai.com", False),
    ],
)
def test_only_connections_to_us_or_to_a_routed_host_get_our_layer(mode, address, sni, ours):
    context = context_of(mode, address, sni)
    chosen = layer.NextLayer(context)
    chosen.layer = layers.HttpLayer(context, HTTPMode.transparent)
    bridge().next_layer(chosen)
    assert isinstance(chosen.layer, CodexHttpLayer) is ours


def test_a_connection_whose_layer_cannot_be_chosen_is_closed(monkeypatch, caplog):
    def fail(*_):
        raise ValueError("sk-secret")

    context = context_of()
    chosen = layer.NextLayer(context)
    chosen.layer = layers.HttpLayer(context, HTTPMode.regular)
    subject = bridge()
    monkeypatch.setattr(subject, "_is_ours", fail)
    subject.next_layer(chosen)
    assert isinstance(chosen.layer, ClosedLayer)
    assert "sk-secret" not in caplog.text


def request(method="GET", url="", target="/v1/models"):
    made = http.Request.make(method, url or f"http://x{target}")
    if not url:
        made.data.host, made.data.port, made.data.authority = "", 0, b""
    return made


@pytest.mark.parametrize(
    ("forward", "mode", "made", "claim"),
    [
        (True, HTTPMode.regular, request(), Claim.BASE_URL),
        (False, HTTPMode.regular, request(), Claim.BASE_URL),
        (True, HTTPMode.regular, request(url="http://api.openai.com/v1/models"), Claim.FORWARD),
        (True, HTTPMode.regular, request(url="http://example.org/"), Claim.THEIRS),
        (False, HTTPMode.regular, request(url="http://api.openai.com/v1/models"), Claim.PROXY),
        (True, HTTPMode.regular, request("CONNECT", "http://api.openai.com/"), Claim.THEIRS),
        (False, HTTPMode.regular, request("CONNECT", "http://api.openai.com/"), Claim.PROXY),
        (True, HTTPMode.transparent, request(url="https://api.openai.com/v1/models"), Claim.FORWARD),
    ],
)
def test_whose_request_it_is(forward, mode, made, claim):
    assert bridge(forward=forward).claim(context_of(), mode, made) is claim


def test_reverse_mode_is_base_url_traffic():
    context = context_of("reverse:https://api.openai.com", ("api.openai.com", 443))
    assert bridge().claim(context, HTTPMode.transparent, request()) is Claim.BASE_URL


def test_without_a_runtime_everything_is_refused():
    verdict = bridge().admit(Incoming(method="GET", target="/v1/models", headers=()))
    assert isinstance(verdict, Answer)
    assert verdict.status == 503
    assert bridge().limits() == Limits()
    assert not bridge().identity()


@pytest.mark.parametrize(
    ("version", "ends", "fields", "length", "chunked"),
    [
        (b"HTTP/1.1", False, ((b"Content-Length", b"12"),), 12, False),
        (b"HTTP/1.1", False, ((b"Transfer-Encoding", b"chunked"),), None, True),
        (b"HTTP/1.1", True, (), None, False),
        (b"HTTP/2.0", False, (), None, True),
        (b"HTTP/2.0", True, (), None, False),
        (b"HTTP/2.0", False, ((b"content-length", b"5"),), 5, False),
    ],
)
def test_how_a_body_is_framed_is_told(version, ends, fields, length, chunked):
    made = request("POST")
    made.data.http_version = version
    incoming = incoming_of(made, fields, context_of(), Claim.BASE_URL, ends=ends)
    assert (incoming.content_length, incoming.chunked) == (length, chunked)
