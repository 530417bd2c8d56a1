"""Whether a request asks to become a WebSocket, may do so, and where it carries its key.

Knows RFC 6455's handshake and the two WebSockets of OpenAI. Law: what two readers could read differently is refused;
keys in `Sec-WebSocket-Protocol` never go on.
"""

import base64
import binascii

from codex_manager.engine.messages import Headers
from codex_manager.proxy.head import path_of, values
from codex_manager.proxy.incoming import Incoming
from codex_manager.proxy.refusal import Refusal, refuse


__all__ = ["PATHS", "asks_websocket", "check_upgrade", "key_in_protocol", "without_keys"]

PATHS = frozenset({"/v1/realtime", "/v1/responses"})
KEY = b"openai-insecure-api-key."
OF_AN_ACCOUNT = (KEY, b"openai-organization.", b"openai-project.")
"""Subprotocols by which clients that cannot set headers say who they are."""
PROTOCOL = b"sec-websocket-protocol"


def asks_websocket(incoming: Incoming) -> bool:
    """The request has `Upgrade: websocket`."""
    return any(b"websocket" in value.lower() for value in values(incoming, b"upgrade"))


def check_upgrade(incoming: Incoming) -> Refusal | None:
    """A handshake of RFC 6455 §4.2.1, at a path that has a WebSocket, over HTTP/1.1."""
    if incoming.method != "GET" or path_of(incoming.target) not in PATHS or incoming.http_version != "HTTP/1.1":
        # 426 is the one status on which Codex goes on over HTTP at once; on any other it tries six times more.
        return refuse(
            426,
            "websocket_not_supported",
            "There is a WebSocket at /v1/realtime and at /v1/responses, over HTTP/1.1; elsewhere use the HTTP API.",
        )
    upgrade, version, key = (
        values(incoming, name) for name in (b"upgrade", b"sec-websocket-version", b"sec-websocket-key")
    )
    tokens = {token.strip(b" \t").lower() for value in values(incoming, b"connection") for token in value.split(b",")}
    sound = (
        len(upgrade) == len(version) == len(key) == 1
        and upgrade[0].lower() == b"websocket"
        and b"upgrade" in tokens
        and _is_nonce(key[0])
        and not incoming.content_length
        and not incoming.chunked
    )
    if not sound:
        return refuse(
            400, "invalid_websocket_handshake", "The request is not a WebSocket handshake as RFC 6455 has it."
        )
    if version[0] != b"13":
        message = "Only version 13 of the WebSocket protocol is spoken here."
        return refuse(426, "invalid_websocket_handshake", message, headers=((b"Sec-WebSocket-Version", b"13"),))
    return None


def key_in_protocol(incoming: Incoming) -> bytes:
    """The key of `Sec-WebSocket-Protocol: openai-insecure-api-key.…`; empty without one, or with two."""
    found = [
        token[len(KEY) :] for value in values(incoming, PROTOCOL) for token in _tokens(value) if token.startswith(KEY)
    ]
    return found[0] if len(found) == 1 else b""


def without_keys(headers: Headers) -> Headers:
    """The headers without subprotocols that belong to an account of the client's own."""
    kept: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name.lower() != PROTOCOL:
            kept.append((name, value))
            continue
        tokens = [token for token in _tokens(value) if not token.lower().startswith(OF_AN_ACCOUNT)]
        if len(tokens) == len(_tokens(value)):
            kept.append((name, value))
        elif tokens:
            kept.append((name, b", ".join(tokens)))
    return tuple(kept)


def _tokens(value: bytes) -> list[bytes]:
    return [token for part in value.split(b",") if (token := part.strip(b" \t"))]


def _is_nonce(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
