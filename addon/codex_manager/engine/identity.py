"""Who a request speaks for upstream: the account's key, organization and project, and nobody else's.

Law: the secret is revealed here and nowhere else, into the headers of one upstream request. A request whose key cannot
be replaced is not built. What belongs to the client's own account or to its hop (cookies, `OpenAI-Organization`,
`OpenAI-Project`, hop-by-hop headers, our own headers) does not cross; nothing about the way it came is added. Everything
else goes on as it came, in its order and case.
"""

import base64
import secrets

from collections.abc import Callable, Mapping
from functools import lru_cache

from codex_manager.core.account import Account
from codex_manager.core.place import is_header_text, place_of
from codex_manager.engine.messages import Headers, Request
from codex_manager.engine.transport import Endpoint, UpstreamRequest
from codex_manager.engine.websocket_frames import deflate_offers


__all__ = ["UnsendableError", "Way", "answer_headers", "lower_headers", "new_websocket_key", "switching", "way_to"]

NEVER_UP = frozenset({
    b"authorization", b"openai-organization", b"openai-project", b"cookie", b"host", b"connection", b"keep-alive",
    b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te", b"trailer", b"upgrade", b"expect",
    b"http2-settings", b"content-length", b"transfer-encoding", b"sec-websocket-key", b"sec-websocket-extensions",
})  # fmt: skip
NEVER_DOWN = frozenset({
    b"set-cookie", b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"te", b"trailer", b"upgrade",
})  # fmt: skip
SWITCH = frozenset({b"connection", b"upgrade", b"sec-websocket-key", b"sec-websocket-extensions"})
OWN_PREFIX = b"x-codex-manager-"
NO_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
"""Methods that say nothing about a body when there is none; others say `Content-Length: 0` (RFC 9110 §8.6)."""


class UnsendableError(Exception):
    """The request cannot be put on the wire as it is; the message says why."""


class Way:
    """How to reach one account: worked out once when the configuration changes."""

    __slots__ = ("_account", "_identity", "endpoint", "prefix", "unusable")

    def __init__(self, account: Account, endpoint: Endpoint | None, prefix: bytes, unusable: str | None) -> None:
        self._account = account
        self.endpoint = endpoint
        self.prefix = prefix
        self.unusable = unusable
        """Why nothing can be sent to this account as it is configured; None when it can."""
        identity = []
        for name, value in ((b"OpenAI-Organization", account.organization), (b"OpenAI-Project", account.project)):
            if value and is_header_text(value):
                identity.append((name, value.encode("ascii")))
        self._identity: Headers = tuple(identity)

    @property
    def origin(self) -> str:
        return str(self.endpoint) if self.endpoint is not None else ""

    def request(self, request: Request, on_sent: Callable[[], None] | None = None) -> UpstreamRequest:
        """The client's request as it goes to this account. Raises UnsendableError."""
        if self.endpoint is None or self.unusable is not None:
            raise UnsendableError(self.unusable or "the account has no base URL")
        try:
            method = request.method.encode("ascii")
            target = request.target.encode("utf-8", "surrogateescape")
        except UnicodeError:
            raise UnsendableError("the method or the path is not text") from None
        if not target.startswith(b"/"):
            raise UnsendableError("the path does not begin with a slash")
        framing, length = _framing(request)
        host = self.endpoint.authority.encode("ascii")
        websocket_key = new_websocket_key() if request.websocket else None
        own = {b"host": host} if framing is None else {b"host": host, framing[0].lower(): framing[1]}
        if websocket_key is not None:
            own |= switching(request.headers, websocket_key)
        headers: list[tuple[bytes, bytes]] = []
        for header in request.headers:
            name = header[0].lower()
            if name in NEVER_UP or name.startswith(OWN_PREFIX):
                if (value := own.pop(name, None)) is not None:
                    headers.append((header[0], value))
                continue
            headers.append(header)
        if b"host" in own:
            headers.insert(0, (b"Host", host))
        if framing is not None and framing[0].lower() in own:
            headers.append(framing)
        headers += [(name.title(), value) for name, value in own.items() if name in SWITCH]
        key = request.ephemeral if request.ephemeral is not None else self._account.api_key
        if request.ephemeral is None:
            headers += self._identity
        headers.append((b"Authorization", b"Bearer " + key.reveal().encode("ascii")))
        return UpstreamRequest(
            endpoint=self.endpoint,
            method=method,
            target=self.prefix + target,
            headers=tuple(headers),
            body=request.body,
            chunked=request.chunked,
            content_length=length,
            on_sent=on_sent,
            websocket_key=websocket_key,
        )


def new_websocket_key() -> bytes:
    """A fresh one for each connection (RFC 6455 §4.1)."""
    return base64.b64encode(secrets.token_bytes(16))


def switching(headers: Headers, key: bytes) -> dict[bytes, bytes]:
    """The headers that ask for a WebSocket. Of the client's extensions those that are spoken here."""
    said = {b"connection": b"Upgrade", b"upgrade": b"websocket", b"sec-websocket-key": key}
    offered = [value.decode("latin-1") for name, value in headers if name.lower() == b"sec-websocket-extensions"]
    if (offers := deflate_offers(", ".join(offered))) != "":
        said[b"sec-websocket-extensions"] = offers.encode("latin-1")
    return said


def _framing(request: Request) -> tuple[tuple[bytes, bytes] | None, int | None]:
    """The one framing header of a request, and how many bytes an iterator must yield."""
    if request.chunked:
        return (b"Transfer-Encoding", b"chunked"), None
    if isinstance(request.body, bytes):
        length = len(request.body)
        if not length and request.method in NO_BODY:
            said = any(name.lower() == b"content-length" for name, _ in request.headers)
            if not said:
                return None, 0
        return (b"Content-Length", str(length).encode()), length
    if request.content_length is None:
        raise UnsendableError("the length of the body is not known and it is not chunked")
    return (b"Content-Length", str(request.content_length).encode()), request.content_length


def way_to(account: Account, default_base_url: str, own_addresses: frozenset[tuple[str, int]]) -> Way:
    """How to reach an account, or why it cannot be reached (core.place)."""
    place = place_of(account, default_base_url, own_addresses)
    endpoint = Endpoint(place.scheme, place.host, place.port) if place.host else None
    return Way(account, endpoint, place.prefix.encode("ascii"), place.unusable)


def answer_headers(headers: Headers) -> Headers:
    """What the client gets of an answer's headers: all but cookies and those of the hop."""
    return tuple(header for header in headers if header[0].lower() not in NEVER_DOWN)


def lower_headers(headers: Headers) -> Mapping[str, str]:
    """For looking things up: lower-case names; of a repeated header the last counts."""
    return {_lower(name): value.decode("latin-1") for name, value in headers}


@lru_cache(maxsize=512)
def _lower(name: bytes) -> str:
    """The same few dozen names come with every answer."""
    return name.decode("latin-1").lower()
