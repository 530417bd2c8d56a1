"""The port through which the engine reaches the network: one request out, one answer in.

Law: plain types both ways. Whoever implements this decides nothing: no retry, no redirect, no cookie, no decoding, no
header of its own. What goes wrong before the answer's headers is a `TransportError` that says how far the request had
come, because that decides whether it may be sent again; what goes wrong after them is `UpstreamCutError`. Neither ever
contains a header.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

from codex_manager.engine.messages import Body, Headers


__all__ = [
    "BodyFailedError",
    "Endpoint",
    "Phase",
    "Timeouts",
    "Transport",
    "TransportError",
    "Trouble",
    "UpstreamAnswer",
    "UpstreamRequest",
    "Wire",
]


class Phase(IntEnum):
    """How far an attempt had come (semantics §1); P3 and P4 begin with the answer's headers."""

    NOT_CONNECTED = 0
    NOT_SENT = 1
    """Connected, the request not fully handed to the kernel: the upstream cannot have acted on it."""
    SENT = 2
    """Sent, no answer: whether the upstream acted on it is not known."""


class Trouble(StrEnum):
    """What went wrong, for the sentence the client reads."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROXY = "proxy"
    TIMEOUT = "timeout"
    RESET = "reset"
    GARBAGE = "garbage"
    """The upstream's bytes are no HTTP answer."""
    UNSENDABLE = "unsendable"
    """The request itself cannot be written: a control character in its head."""


class TransportError(Exception):
    """There is no answer. The message is a sentence without a secret."""

    def __init__(self, message: str, *, phase: Phase, trouble: Trouble, reused: bool = False) -> None:
        super().__init__(message)
        self.phase = phase
        self.trouble = trouble
        self.reused = reused
        """The connection had carried an answer before: it may have gone stale while it was idle."""


class BodyFailedError(Exception):
    """The client's own body broke off while it was being sent; nobody upstream is to blame."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to connect to. Equal endpoints share connections."""

    scheme: str
    host: str
    """As in a URL: lower case, IPv6 without brackets."""
    port: int

    @property
    def authority(self) -> str:
        """For the Host header: without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request exactly as it goes on the wire."""

    endpoint: Endpoint
    method: bytes
    target: bytes
    headers: Headers
    """All of them, `Host`, `Content-Length` or `Transfer-Encoding` too, in wire order."""
    body: Body
    chunked: bool = False
    content_length: int | None = None
    """Bytes an iterator must yield; None when the body is chunked."""
    on_sent: Callable[[], None] | None = None
    """Called when the last byte is with the kernel: from then on the upstream may act on it, whoever cancels."""
    websocket_key: bytes | None = None
    """The request asks to become a WebSocket, with this key; only then may it be answered by a 101."""

    def __repr__(self) -> str:
        return f"<UpstreamRequest {self.method.decode('latin-1')} to {self.endpoint}>"  # never the headers


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 10.0
    """Name, TCP and TLS together."""
    header: float = 600.0
    """From the last byte of the request to the answer's headers."""
    idle: float = 600.0
    """Between two pieces of the answer, and for a stalled upload."""


class Wire(Protocol):
    """The raw bytes of a connection that has switched to another protocol."""

    async def read(self) -> bytes:
        """What has come, as soon as there is something; empty at the end, however it came. Safe to cancel."""
        ...

    async def write(self, data: bytes) -> None:
        """Send; nothing happens after the end."""
        ...


class UpstreamAnswer(Protocol):
    """An answer whose headers have come. Iterate once; close once, at any time."""

    status: int
    reason: str
    headers: Headers
    address: tuple[str, int] | None

    @property
    def is_complete(self) -> bool:
        """The whole body has been read (or there is none)."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes:
        """The next piece of the body as it arrives; UpstreamCutError when it breaks off."""
        ...

    def switched(self) -> Wire:
        """After a 101: the connection, until `close`. Ask once."""
        ...

    def close(self) -> None:
        """Let the connection go: back to the pool when the exchange is complete, else it is aborted at once."""
        ...


class Transport(Protocol):
    """Sends requests. One for all clients and accounts."""

    async def send(self, request: UpstreamRequest, timeouts: Timeouts, *, fresh: bool = False) -> UpstreamAnswer:
        """Send, and wait for the headers. `fresh` demands a new connection. Cancel to give up at once."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
