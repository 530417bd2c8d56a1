"""The head of an HTTP/1 request: found in the bytes as they arrive, judged strictly, made into mitmproxy's request.

Knows RFC 9112 and which of its tolerances have been used to smuggle requests. Knows nothing of layers.
Law: what two parsers could read in two ways is refused, and no message quotes what the client sent: it may be a key.
"""

import re

from dataclasses import dataclass

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.net.http import url

from codex_manager.engine.messages import Headers
from codex_manager.proxy.incoming import Limits
from codex_manager.proxy.messages import make_request


__all__ = ["BadHeadError", "Head", "HeadBuffer", "parse_head"]

_HEADER = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\0\r\n]*?)[ \t]*"
)  # RFC 9110 5.1 token, no space before the colon
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}")
_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")  # 18 digits stay within 64 bits
_ONCE = frozenset({b"authorization", b"host", b"content-length", b"transfer-encoding", b"content-type", b"expect"})


class BadHeadError(Exception):
    """The head is refused: `status` and one sentence for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request head, read."""

    request: http.Request
    size: int | None
    """Bytes of body to come; None for a chunked body."""
    close: bool
    """The client will not use the connection again."""


class HeadBuffer(ReceiveBuffer):
    """mitmproxy's receive buffer, which can also cut off a whole head."""

    def take_head(self, limit: int) -> bytes | None:
        """The head without its final empty line, None while there is more to come.

        Raises:
            BadHeadError: it is too long, or it cannot become a head any more.
        """
        data = self._data
        if data.startswith(b"\r\n"):
            self._extract(2)  # RFC 9112 2.2: an empty line left over from a request before
            data = self._data
        end = data.find(b"\r\n\r\n", max(0, self._multiple_lines_search - 3))
        if end < 0:
            if len(data) > limit:
                raise BadHeadError(431, f"The request's headers are larger than {limit // 1024} KiB.")
            if data and data[0] < 0x21 and data != b"\r":
                raise BadHeadError(400, "This is not an HTTP request; the listener speaks plain HTTP/1.1, not TLS.")
            if data.count(b"\n") != data.count(b"\r\n"):
                raise BadHeadError(400, "Header lines must end with CR LF.")
            self._multiple_lines_search = len(data)
            return None
        if end > limit:
            raise BadHeadError(431, f"The request's headers are larger than {limit // 1024} KiB.")
        return bytes(self._extract(end + 4)[:-4])


def parse_head(head: bytes, limits: Limits) -> Head:
    """What a head says.

    Raises:
        BadHeadError: it is malformed, or could be read in more than one way.
    """
    if b"\0" in head:
        raise BadHeadError(400, "Headers must not contain NUL.")
    ends = head.count(b"\r\n")
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        raise BadHeadError(400, "Header lines must end with CR LF, and neither may stand anywhere else.")
    if ends > limits.header_count:
        raise BadHeadError(431, f"The request has more than {limits.header_count} headers.")
    first, *lines = head.split(b"\r\n")
    method, target, version = _request_line(first)
    fields = []
    tokens = b""
    once: dict[bytes, bytes] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise BadHeadError(400, "A header line is malformed.")
        name, value = match.group(1, 2)
        low = name.lower()
        if low in _ONCE:
            if low in once:
                raise BadHeadError(400, f"The header {low.decode()} is there twice.")
            once[low] = value
        elif low == b"connection":
            tokens += value.lower() + b","
        fields.append((name, value))
    if b"host" not in once and version == b"HTTP/1.1":
        raise BadHeadError(400, "The Host header is missing.")
    size = _framing(once, version)
    said = {token.strip(b" \t") for token in tokens.split(b",")} if tokens else set()
    close = b"close" in said or (version == b"HTTP/1.0" and b"keep-alive" not in said)
    return Head(_request(method, target, version, tuple(fields)), size, close)


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _METHOD.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise BadHeadError(400, "The request line is malformed.")
    if parts[2] not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise BadHeadError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    return parts[0], parts[1], parts[2]


def _framing(once: dict[bytes, bytes], version: bytes) -> int | None:
    coding = once.get(b"transfer-encoding")
    length = once.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise BadHeadError(400, "Content-Length and Transfer-Encoding exclude each other.")
        if coding.lower() != b"chunked":
            raise BadHeadError(501, "The only transfer coding understood is chunked.")
        if version != b"HTTP/1.1":
            raise BadHeadError(400, "HTTP/1.0 has no transfer codings.")
        return None
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise BadHeadError(400, "Content-Length is not a number.")
    return int(length)


def _request(method: bytes, target: bytes, version: bytes, fields: Headers) -> http.Request:
    host, port, scheme, authority, path = "", 0, b"", b"", target
    try:
        if method == b"CONNECT":
            host, found = url.parse_authority(target, check=True)
            if not found:
                raise BadHeadError(400, "CONNECT needs host:port.")
            port, authority, path = found, target, b""
        elif not target.startswith(b"/") and target != b"*":
            scheme, sep, rest = target.partition(b"://")
            scheme = scheme.lower()
            if not sep or scheme not in {b"http", b"https"}:
                raise BadHeadError(400, "The request target is malformed.")
            authority, slash, path = rest.partition(b"/")
            path = slash + path or b"/"
            host, found = url.parse_authority(authority, check=True)
            port = found or url.default_port(scheme) or 0
    except ValueError as error:
        raise BadHeadError(400, "The request target is malformed.") from error
    return make_request(
        method=method,
        scheme=scheme,
        authority=authority,
        path=path,
        host=host,
        port=port,
        version=version,
        fields=fields,
    )
