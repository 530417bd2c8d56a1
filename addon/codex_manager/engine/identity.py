"""Who a request speaks for upstream: the account's key, organization and project, and nobody else's.

Law: the secret is revealed here and nowhere else, into the headers of one upstream request. A request whose key cannot
be replaced is not built. What belongs to the client's own account or to its hop (cookies, `OpenAI-Organization`,
`OpenAI-Project`, hop-by-hop headers, our own headers) does not cross; nothing about the way it came is added. Everything
else goes on as it came, in its order and case.
"""

import base64
import ipaddress
import secrets

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from codex_manager.core.account import Account
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
DEFAULT_PORTS = {"https": 443, "http": 80}


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
            if value and _is_header_text(value):
                identity.append((name, value.encode("ascii")))
        self._identity: Headers = tuple(identity)

    @property
    def origin(self) -> str:
        return str(self.endpoint)

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
    """How to reach an account, or why it cannot be reached. A path of `/v1` at the end of a base URL is the API's own."""
    key = account.api_key.reveal()
    if not key or not _is_header_text(key) or " " in key:
        return Way(account, None, b"", "its key cannot be sent in a header (it is empty or has characters no key has)")
    base_url = account.base_url or default_base_url
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in DEFAULT_PORTS or not _is_header_text(parts.path) or not host.isascii():
        return Way(account, None, b"", "its base URL is not one")
    endpoint = Endpoint(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme])
    if _is_our_own(endpoint, own_addresses):
        return Way(account, endpoint, b"", f"its base URL {endpoint} is this proxy itself")
    return Way(account, endpoint, parts.path.rstrip("/").removesuffix("/v1").encode("ascii"), None)


def _is_our_own(endpoint: Endpoint, own_addresses: frozenset[tuple[str, int]]) -> bool:
    """Whether we listen there. On our port every name for this machine counts, however it is written."""
    for host, port in own_addresses:
        if port == endpoint.port and (
            endpoint.host == host.lower() or (_is_this_machine(endpoint.host) and _is_this_machine(host))
        ):
            return True
    return False


def _is_this_machine(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _is_header_text(text: str) -> bool:
    return all(" " <= character <= "~" for character in text)


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
