"""The vocabulary of scripted answers: one function for each way OpenAI answers.

Each returns a `Step`; toxics compose with it: `rate_limited(retry_after=2) | encoded("gzip")`. Wording, codes and
headers are OpenAI's, because clients and this product read them.
"""

import hashlib
import json as jsonlib

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.reply import Reply
from codex_manager.testing.step import Good, Step


__all__ = [
    "bad_request", "blob", "close_frame", "cloudflare_429", "context_length", "deactivated", "error_in_stream", "forbidden", "garbage",
    "insufficient_quota", "invalid_encrypted_content", "invalid_key", "model_not_found", "not_found", "ok", "overloaded", "payment_required",
    "rate_limited", "raw", "refusal", "server_error", "slow_down", "spend_limit", "wire",
]  # fmt: skip


def ok(
    text: str | None = None,
    *,
    chunks: int = 4,
    every: float = 0.0,
    stamped: bool = False,
    usage: Mapping[str, Any] | None = None,
    pending: int = 1,
) -> Step:
    """The endpoint's own good answer; a stream has `chunks` deltas, its events `every` seconds apart.

    With `stamped` each event of a stream carries `sent_ns`, the monotonic clock at the moment it was written.
    `usage` replaces what the answer would report, field by field; what runs in the background is found unfinished
    `pending` times.
    """
    good = Good(text=text, chunks=chunks, every_s=every, stamped=stamped, usage=usage, pending=pending)
    return Step(name="ok", good=good)


def error_in_stream(
    code: str = "rate_limit_exceeded",
    message: str = "Rate limit reached. Please try again in 1.898s.",
    *,
    after: int = 0,
    every: float = 0.0,
) -> Step:
    """A 200 whose stream fails after `after` deltas: `response.failed`, or an `error` event in chat.

    Its events come `every` seconds apart.
    """
    return Step(name=f"error_in_stream({code})", good=Good(error=(code, message, after), every_s=every))


def refusal(
    status: int,
    message: str,
    *,
    type: str | None = errors.INVALID,  # noqa: A002  # OpenAI's own field name
    code: str | None = None,
    param: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    name: str = "",
) -> Step:
    """Any error object of OpenAI's; the functions below are the common ones."""
    kept = tuple(headers)

    def reply(_facts: Facts) -> Reply:
        return errors.error_reply(status, message, type=type, code=code, param=param, headers=kept)

    return Step(name=name or f"refusal({status} {code})", reply=reply)


def rate_limited(
    *,
    retry_after: float | str | None = None,
    retry_after_ms: float | None = None,
    reset_requests: str | None = None,
    reset_tokens: str | None = None,
    message: str | None = None,
    kind: str = "requests",
    status: int = 429,
) -> Step:
    """429 `rate_limit_exceeded`, with the hints that are given and no others.

    `retry_after` is in seconds or an HTTP date; `reset_*` are texts like `6m0s` and make that dimension exhausted.
    """
    headers: list[tuple[str, str]] = []
    if retry_after is not None:
        headers.append(("retry-after", retry_after if isinstance(retry_after, str) else f"{retry_after:g}"))
    if retry_after_ms is not None:
        headers.append(("retry-after-ms", f"{retry_after_ms:g}"))
    for what, limit, reset in (("requests", 500, reset_requests), ("tokens", 30000, reset_tokens)):
        if reset is not None:
            headers += [
                (f"x-ratelimit-limit-{what}", str(limit)),
                (f"x-ratelimit-remaining-{what}", "0"),
                (f"x-ratelimit-reset-{what}", reset),
            ]
    if message is None:
        unit = "requests per min (RPM)" if kind == "requests" else "tokens per min (TPM)"
        message = f"Rate limit reached on {unit}: Limit 500, Used 500, Requested 1."
    return refusal(status, message, type=kind, code="rate_limit_exceeded", headers=headers, name="rate_limited")


def slow_down() -> Step:
    """503 `slow_down`: too fast a rise of traffic."""
    message = "Slow down: your request rate increased too quickly. Reduce it and raise it again gradually."
    return refusal(503, message, type="slow_down", code="slow_down", name="slow_down")


def insufficient_quota() -> Step:
    """429 `insufficient_quota`: no credit left, waiting does not help."""
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
    )
    return refusal(429, message, type="insufficient_quota", code="insufficient_quota", name="insufficient_quota")


def spend_limit(what: str = "project") -> Step:
    """429 `<what>_spend_limit_exceeded`: a budget of the project or the organization is used up."""
    code = f"{what}_spend_limit_exceeded"
    return refusal(429, f"The {what} has exceeded its spend limit.", type="insufficient_quota", code=code, name=code)


def payment_required() -> Step:
    """402: the account has to pay first."""
    message = "Your account is not active, please check your billing details on our website."
    return refusal(402, message, type="billing_not_active", code="billing_not_active", name="payment_required")


def invalid_key() -> Step:
    """401 `invalid_api_key`, as after revoking the key."""
    return Step(name="invalid_key", reply=lambda facts: errors.incorrect_key(facts.account.key))


def deactivated() -> Step:
    """401 `account_deactivated`."""
    message = "The OpenAI account associated with this API key has been deactivated."
    return refusal(401, message, code="account_deactivated", name="deactivated")


def forbidden(
    message: str = "You have insufficient permissions for this operation. Missing scopes: model.request.",
) -> Step:
    """403: this key may not do this."""
    return refusal(403, message, code="insufficient_permissions", name="forbidden")


def model_not_found() -> Step:
    """404 `model_not_found` for whatever model was asked for."""
    return Step(name="model_not_found", reply=lambda facts: errors.model_missing(facts.model or "unknown"))


def not_found(message: str = "No such File object: file-missing", param: str | None = "id") -> Step:
    """404 on a resource id."""
    return refusal(404, message, param=param, name="not_found")


def invalid_encrypted_content() -> Step:
    """400: reasoning that another organization's key has encrypted."""
    message = "The encrypted content gAAA... could not be verified. Reason: Encrypted content organization_id did not match the target organization."
    return refusal(400, message, code="invalid_encrypted_content", name="invalid_encrypted_content")


def bad_request(message: str = "Invalid value for 'temperature'.", param: str | None = "temperature") -> Step:
    """400: the caller's own mistake."""
    return refusal(400, message, code="invalid_value", param=param, name="bad_request")


def context_length() -> Step:
    """400 `context_length_exceeded`."""
    message = (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130123 tokens. "
        "Please reduce the length of the messages."
    )
    return refusal(400, message, code="context_length_exceeded", param="messages", name="context_length")


def overloaded(retry_after: float | None = None) -> Step:
    """503 `server_is_overloaded`."""
    headers = [] if retry_after is None else [("retry-after", f"{retry_after:g}")]
    message = "The server is currently overloaded with other requests. Sorry about that! You can retry your request."
    return refusal(503, message, type="server_error", code="server_is_overloaded", headers=headers, name="overloaded")


def server_error(status: int = 500) -> Step:
    """500, 502, 504 in OpenAI's words; 520 to 524 as Cloudflare's HTML page."""
    if status >= 520:
        page = f"<html><head><title>{status}: Web server is returning an unknown error</title></head></html>"
        return raw(status, {"content-type": "text/html; charset=UTF-8", "server": "cloudflare"}, page.encode())
    message = (
        "The server had an error while processing your request. Sorry about that! You can retry your request, or contact "
        "us through our help center at help.openai.com if the error persists."
    )
    return refusal(status, message, type="server_error", code=None, name=f"server_error({status})")


def cloudflare_429() -> Step:
    """429 from the edge: no OpenAI body, so no account is to blame."""
    page = b"<html><head><title>Access denied | api.openai.com used Cloudflare</title></head><body>error code: 1015</body></html>"
    return raw(429, {"content-type": "text/html; charset=UTF-8", "server": "cloudflare"}, page, name="cloudflare_429")


def raw(
    status: int,
    headers: dict[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | str | dict[str, Any] = b"",
    *,
    name: str = "",
) -> Step:
    """Exactly this answer; a dict becomes JSON. 1xx and body-less statuses are the caller's care."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if isinstance(body, dict):
        body = jsonlib.dumps(body).encode()
        if not any(header.lower() == "content-type" for header, _ in pairs):
            pairs.append(("content-type", "application/json"))
    content = body.encode() if isinstance(body, str) else body

    def reply(_facts: Facts) -> Reply:
        return Reply(status=status, headers=list(pairs), body=content, bare=True)

    return Step(name=name or f"raw({status})", reply=reply)


def blob(size: int, *, chunked: bool = False, piece: int = 65536) -> Step:
    """A binary answer of `size` bytes made as it is sent; `x-fake-sha256` is its digest."""
    block = hashlib.sha256(b"blob").digest() * (piece // 32)

    def pieces() -> Iterator[bytes]:
        left = size
        while left > 0:
            yield block[:left]
            left -= len(block)

    def reply(_facts: Facts) -> Reply:
        digest = hashlib.sha256()
        for part in pieces():
            digest.update(part)
        headers = [("content-type", "application/octet-stream"), ("x-fake-sha256", digest.hexdigest())]
        return Reply(headers=headers, body=pieces(), length=None if chunked else size)

    return Step(name=f"blob({size})", reply=reply)


def wire(data: bytes) -> Step:
    """These bytes instead of an answer, then close: they need not be HTTP."""
    return Step(name="wire", reply=lambda _facts: Reply(status=0, wire=data))


def close_frame(code: int, reason: str = "") -> Step:
    """On a WebSocket: a close frame instead of an answer."""
    return Step(name=f"close_frame({code})", reply=lambda _facts: Reply(status=0, close=(code, reason)))


def garbage() -> Step:
    """Bytes that are no HTTP, then close."""
    return wire(b"\x16\x03\x01\x00\xff\x00 this is not HTTP\r\n\r\n" + bytes(range(256)))
