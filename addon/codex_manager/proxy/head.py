"""Whether a request's head is one that every HTTP reader understands alike.

Knows RFC 9110 and 9112; knows nothing of keys, hosts or accounts. mitmproxy lets NUL, duplicate Authorization and
missing Host through, and has no size limit, so nothing here relies on the parser in front of it.
Law: what two readers could read differently is refused, never repaired.
"""

import re

from urllib.parse import unquote_to_bytes

from codex_manager.proxy.incoming import Incoming, Limits
from codex_manager.proxy.refusal import Refusal, refuse


__all__ = ["check_head", "check_path", "path_of", "values"]

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5: no control characters; obs-text is legal
TARGET = re.compile(r"[\x21-\x7e]+")  # printable ASCII; anything else has to be percent-encoded
DIGITS = re.compile(rb"[0-9]{1,18}")

ONCE = (b"authorization", b"content-length", b"content-type", b"host", b"transfer-encoding")
"""Sent twice, two readers may each believe another one."""

REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})
"""TRACE asks the upstream to send the request back, account key and all; CONNECT is the listener's business."""

DECODINGS = 3  # %25252e → %252e → %2e → "."; no reader decodes more often


def values(incoming: Incoming, name: bytes) -> list[bytes]:
    """Every value of one header, its name given in lower case."""
    return [value.strip(b" \t") for key, value in incoming.headers if key.lower() == name]


def path_of(target: str) -> str:
    """The target without its query."""
    return target.partition("?")[0]


def check_head(incoming: Incoming, limits: Limits) -> Refusal | None:
    """Sizes, characters, framing, method and the form of the target."""
    headers = incoming.headers
    if len(headers) > limits.header_count:
        return refuse(431, "request_headers_too_large", f"The request has more than {limits.header_count} headers.")
    if sum(len(name) + len(value) + 4 for name, value in headers) > limits.header_bytes:  # ": " and CRLF
        kib = limits.header_bytes // 1024
        return refuse(431, "request_headers_too_large", f"The headers of the request are larger than {kib} KiB.")
    for name, value in headers:
        if not TOKEN.fullmatch(name) or not FIELD_VALUE.fullmatch(value):
            return refuse(400, "invalid_header", "A header of the request has a character HTTP does not allow.")
    seen = [name.lower() for name, _ in headers]
    for name in ONCE:
        if seen.count(name) > 1:
            return refuse(400, "duplicate_header", f"The request has more than one {name.decode().title()} header.")
    if not TOKEN.fullmatch(incoming.method.encode("utf-8", "surrogateescape")):
        return refuse(400, "invalid_method", "The request's method is not one HTTP allows.")
    if incoming.method.upper() in REFUSED_METHODS:
        return refuse(405, "method_not_allowed", "This method is not passed on.", headers=((b"Allow", b"GET, POST"),))
    return _framing(incoming) or _form(incoming.target)


def _framing(incoming: Incoming) -> Refusal | None:
    length = values(incoming, b"content-length")
    coding = values(incoming, b"transfer-encoding")
    if length and coding:
        return refuse(
            400, "ambiguous_framing", "The request says both Content-Length and Transfer-Encoding; send one of them."
        )
    if length and not DIGITS.fullmatch(length[0]):
        return refuse(400, "ambiguous_framing", "The request's Content-Length is not a number.")
    if coding and coding[0].lower() != b"chunked":
        return refuse(400, "ambiguous_framing", "The request's Transfer-Encoding is not `chunked`.")
    return None


def _form(target: str) -> Refusal | None:
    if not target.startswith("/"):
        return refuse(400, "invalid_target", "The request line must name a path, such as /v1/models, not a whole URL.")
    if not TARGET.fullmatch(target) or "#" in target:
        return refuse(
            400, "invalid_target", "The request's path has a character that must be percent-encoded or left out."
        )
    return None


def check_path(target: str) -> Refusal | None:
    """No path that one server would read as another: empty and dot segments, plain or encoded, and control bytes."""
    path = path_of(target)
    if "//" in path:
        return refuse(400, "invalid_target", "The request's path has an empty segment (`//`).")
    decoded = path.encode("ascii")
    for _ in range(DECODINGS):
        further = unquote_to_bytes(decoded)
        if further == decoded:
            break
        decoded = further
    if any(byte < 0x20 or byte == 0x7F for byte in decoded):
        return refuse(400, "invalid_target", "The request's path has an encoded control character.")
    segments = decoded.replace(b"\\", b"/").split(b"/")
    if any(segment.partition(b";")[0] in {b".", b".."} for segment in segments):
        return refuse(400, "invalid_target", "The request's path has a `.` or `..` segment.")
    return None
