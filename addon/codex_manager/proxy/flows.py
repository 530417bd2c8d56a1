"""Requests and answers as mitmproxy has them: true, and without a key. What is written beside them is `inspect.telling`'s.

Knows mitmproxy's flow objects and the plain answer. Law: nothing secret enters a flow. The client's key is replaced
before the first hook runs; the account's key is never here at all.
"""

import time

from urllib.parse import quote

from mitmproxy import http

from codex_manager.engine.messages import Answer, Headers
from codex_manager.proxy.messages import make_response


__all__ = ["identity_headers", "mask", "response_of", "unmask"]

PLACEHOLDER = b"Bearer [codex-manager]"
MASKED = {b"authorization": PLACEHOLDER, b"proxy-authorization": b"[codex-manager]", b"cookie": b"[codex-manager]"}
KEY_PROTOCOL = b"openai-insecure-api-key."  # browser-style realtime clients put the key into Sec-WebSocket-Protocol
REQUEST_ID = b"X-Codex-Manager-Request-Id"
SAFE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"  # printable ASCII but `%` and quotes


def mask(fields: Headers) -> Headers:
    """The headers as they may be shown: what could hold a key is replaced."""
    return tuple((name, _masked(name.lower(), value)) for name, value in fields)


def unmask(fields: Headers, received: Headers) -> Headers:
    """The headers a flow holds, with what `mask` took out put back from those received."""
    originals = {name.lower(): value for name, value in received}
    return tuple(
        (name, originals[low])
        if (low := name.lower()) in originals and value == _masked(low, originals[low])
        else (name, value)
        for name, value in fields
    )


def _masked(name: bytes, value: bytes) -> bytes:
    if name == b"sec-websocket-protocol" and KEY_PROTOCOL in value.lower():
        return b"[codex-manager]"
    return MASKED.get(name, value)


def response_of(answer: Answer, version: bytes, *, identity: bool) -> http.Response:
    """The response to the client: the upstream's, plus our own headers when they are wanted.

    Chunked framing exists in HTTP/1.1 alone: HTTP/1.0 clients read to the end, HTTP/2 has frames.
    """
    fields = answer.headers
    if version != b"HTTP/1.1":
        fields = tuple(f for f in fields if f[0].lower() not in {b"transfer-encoding", b"connection", b"keep-alive"})
    if identity and answer.account_id is not None:
        fields += identity_headers(answer)
    if identity and answer.request_id:
        fields += ((REQUEST_ID, answer.request_id.encode("ascii", "replace")),)
    return make_response(
        status=answer.status,
        reason=answer.reason.encode("latin-1", "replace"),
        fields=fields,
        began=answer.first_byte_at or time.time(),
    )


def identity_headers(answer: Answer) -> Headers:
    """Who served the request; labels are percent-encoded where they are not plain ASCII."""
    return (
        (b"X-Account-ID", quote(answer.account_id or "", safe=SAFE).encode()),
        (b"X-Account-Label", quote(answer.account_label or "", safe=SAFE).strip().encode()),
        (b"X-Routing-Strategy", quote(answer.strategy, safe=SAFE).encode()),
        (b"X-Retry-Count", b"%d" % answer.retries),
    )
