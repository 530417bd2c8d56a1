"""Which requests may become a WebSocket, and what is taken out of them."""

import pytest

from codex_manager.proxy.incoming import Incoming
from codex_manager.proxy.refusal import Refusal
from codex_manager.proxy.upgrade import asks_websocket, check_upgrade, key_in_protocol, without_keys


NONCE = b"dGhlIHNhbXBsZSBub25jZQ=="


def incoming(*changes, target="/v1/responses", method="GET", **fields):
    """A sound handshake; a change replaces, adds, or (None) takes out."""
    headers: dict[bytes, bytes | None] = {b"upgrade": b"websocket", b"sec-websocket-version": b"13"}
    headers[b"connection"] = b"keep-alive, Upgrade"
    headers[b"sec-websocket-key"] = NONCE
    pairs = tuple((name, value) for name, value in (headers | dict(changes)).items() if value is not None)
    return Incoming(method=method, target=target, headers=pairs, host="127.0.0.1", **fields)


@pytest.mark.parametrize(
    "target", ["/v1/responses", "/v1/realtime", "/v1/realtime?model=gpt-realtime", "/v1/responses?"]
)
def test_a_sound_handshake_passes(target):
    assert check_upgrade(incoming(target=target)) is None
    assert check_upgrade(incoming((b"upgrade", b"WebSocket"), target=target)) is None


@pytest.mark.parametrize(
    ("changes", "fields", "status"),
    [
        ([], {"target": "/v1/chat/completions"}, 426),
        ([], {"target": "/v1/responses/resp_1"}, 426),
        ([], {"method": "POST"}, 426),
        ([], {"http_version": "HTTP/2.0"}, 426),
        ([], {"http_version": "HTTP/1.0"}, 426),
        ([(b"sec-websocket-version", b"8")], {}, 426),
        ([(b"sec-websocket-version", None)], {}, 400),
        ([(b"sec-websocket-key", None)], {}, 400),
        ([(b"sec-websocket-key", b"c2hvcnQ=")], {}, 400),
        ([(b"sec-websocket-key", b"not base64, not at all==")], {}, 400),
        ([(b"connection", b"keep-alive")], {}, 400),
        ([(b"connection", None)], {}, 400),
        ([(b"upgrade", b"websocket, h2c")], {}, 400),
        ([], {"content_length": 1}, 400),
        ([], {"chunked": True}, 400),
    ],
)
def test_anything_else_is_refused(changes, fields, status):
    refusal = check_upgrade(incoming(*changes, **fields))
    assert isinstance(refusal, Refusal)
    assert refusal.status == status


def test_only_an_upgrade_to_websocket_is_one():
    assert asks_websocket(incoming())
    assert not asks_websocket(incoming((b"upgrade", b"h2c")))
    assert not asks_websocket(incoming((b"upgrade", None)))


@pytest.mark.parametrize(
    ("protocols", "key", "left"),
    [
        (b"realtime", b"", b"realtime"),
        (b"realtime, openai-insecure-api-key.sk-x", b"sk-x", b"realtime"),
        (b"openai-insecure-api-key.sk-x", b"sk-x", None),
        (b"realtime,openai-insecure-api-key.a,openai-insecure-api-key.b", b"", b"realtime"),
        (b"OpenAI-Insecure-API-Key.sk-x, realtime", b"", b"realtime"),
        (b"realtime, openai-organization.org-1, openai-project.proj_1, v1", b"", b"realtime, v1"),
    ],
)
def test_a_key_in_the_subprotocol_is_read_and_taken_out(protocols, key, left):
    request = incoming((b"sec-websocket-protocol", protocols))
    assert key_in_protocol(request) == key
    assert dict(without_keys(request.headers)).get(b"sec-websocket-protocol") == left
