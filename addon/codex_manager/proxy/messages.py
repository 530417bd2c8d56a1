"""mitmproxy's message objects, made the short way.

mitmproxy checks the type of every field of every message it makes, which is a sixth of what a request costs here. Ours
are made from parts whose types are known. Law: the objects are the same in every other respect.
"""

import time

from mitmproxy import http

from codex_manager.engine.messages import Headers


__all__ = ["make_request", "make_response"]


class _RequestData(http.RequestData):
    def __post_init__(self) -> None:
        """The types are known."""


class _ResponseData(http.ResponseData):
    def __post_init__(self) -> None:
        """The types are known."""


def make_request(
    *,
    method: bytes,
    scheme: bytes,
    authority: bytes,
    path: bytes,
    host: str,
    port: int,
    version: bytes,
    fields: Headers,
) -> http.Request:
    """A request whose body is still to come."""
    request = http.Request.__new__(http.Request)
    request.data = _RequestData(
        host=host,
        port=port,
        method=method,
        scheme=scheme,
        authority=authority,
        path=path,
        http_version=version,
        headers=_headers(fields),
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )
    return request


def make_response(*, status: int, reason: bytes, fields: Headers, began: float) -> http.Response:
    """A response whose body is still to come."""
    response = http.Response.__new__(http.Response)
    response.data = _ResponseData(
        http_version=b"HTTP/1.1",
        status_code=status,
        reason=reason,
        headers=_headers(fields),
        content=None,
        trailers=None,
        timestamp_start=began,
        timestamp_end=None,
    )
    return response


def _headers(fields: Headers) -> http.Headers:
    headers = http.Headers()
    headers.fields = fields
    return headers
