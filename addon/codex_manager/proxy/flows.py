"""What a user of mitmweb, a dump or a script sees of a request: true, and without a key.

Knows mitmproxy's flow objects and the plain answer. Law: nothing secret enters a flow. The client's key is replaced
before the first hook runs; the account's key is never here at all.
"""

import time

from urllib.parse import quote

from mitmproxy import connection, http

from codex_manager.engine.messages import Answer, Headers
from codex_manager.proxy.messages import make_response


__all__ = ["conclude", "identity_headers", "mask", "record", "response_of", "unmask"]

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


def record(flow: http.HTTPFlow, answer: Answer, sent_at: float) -> None:
    """Write into the flow who answered: the columns and tabs of mitmweb, and `metadata` for dumps."""
    if answer.upstream_address is not None:
        server = connection.Server(address=answer.upstream_address, peername=answer.upstream_address)
        server.timestamp_start = sent_at
        flow.server_conn = server
    facts: dict[str, str | int | float] = {"strategy": answer.strategy, "retries": answer.retries}
    if answer.account_id is not None:
        facts |= {"account_id": answer.account_id, "account": answer.account_label or ""}
        flow.comment = _comment(answer)
    flow.metadata["codex_manager"] = facts | answer.facts


def conclude(flow: http.HTTPFlow, answer: Answer) -> None:
    """Add what the answer turned out to have used, unless somebody has put another comment or other facts there."""
    facts = flow.metadata.get("codex_manager")
    if "usd" not in answer.facts or not isinstance(facts, dict):
        return
    facts |= answer.facts
    if flow.comment == (before := _comment(answer)):
        used = f"{answer.facts['input_tokens']} + {answer.facts['output_tokens']} tokens"
        about = "about " if "estimated" in answer.facts else ""
        flow.comment = f"{before} · {about}{used} · ${answer.facts['usd']:.4f}"


def _comment(answer: Answer) -> str:
    retries = {0: "", 1: " · 1 retry"}.get(answer.retries, f" · {answer.retries} retries")
    return f"{answer.account_label or answer.account_id} · {answer.strategy}{retries}"
