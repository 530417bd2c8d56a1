"""What the bridge itself says when something is wrong: with the bytes on the wire, or with us.

Law: OpenAI's shape, one sentence, nothing of what the client sent; after a fault on the wire the connection closes.
"""

from http import HTTPStatus

from mitmproxy import http

from codex_manager.core.openai_error import REQUEST_TOO_LARGE, error_body
from codex_manager.engine.messages import Answer, Headers
from codex_manager.proxy.answers import plain_answer


__all__ = ["BROKEN", "CLOSE", "broken", "broken_response", "error_response", "fault", "not_proxied", "too_large"]

CLOSE = (b"Connection", b"close")
BROKEN = "codex-manager failed while it carried this request; nothing was passed on. Its log says where."


def error_response(status: int, message: str) -> bytes:
    """A whole HTTP/1.1 response, for requests that never became one."""
    body = _body(status, message, "invalid_http_request" if status < 500 else "server_error")
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def fault(status: int, message: str, code: str, *, headers: Headers = ()) -> Answer:
    """An answer of the bridge's own, after which the connection closes."""
    return plain_answer(status, _body(status, message, code), headers=(*headers, CLOSE), failure=code)


def broken() -> Answer:
    """500: we failed, and nothing of the upstream's was lost on the way."""
    return fault(500, BROKEN, "internal_error")


def broken_response() -> tuple[http.Response, bytes]:
    """The same, for a stream that can no longer run hooks."""
    body = _body(500, BROKEN, "internal_error")
    response = http.Response.make(500, b"", {"Content-Type": "application/json", "Connection": "close"})
    response.headers["Content-Length"] = str(len(body))
    return response, body


def too_large(limit: int) -> Answer:
    """413, for a body that says or turns out to be larger than the configuration allows."""
    message = f"The body is larger than {limit // 2**20} MiB; raise limits.max_body_mib to let it through."
    return fault(413, message, REQUEST_TOO_LARGE)


def not_proxied(endpoint: str) -> Answer:
    """What a client is told that uses the listener as HTTPS_PROXY where that is switched off."""
    return fault(
        501,
        f"This listener is no forward proxy (forward.enabled is false): set OPENAI_BASE_URL to {endpoint}"
        " and unset HTTPS_PROXY.",
        "forward_proxy_not_supported",
    )


def _body(status: int, message: str, code: str) -> bytes:
    return error_body(message, type="invalid_request_error" if status < 500 else "server_error", code=code)
