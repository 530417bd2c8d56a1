"""What the sans-io layers may ask of the world, and whose a request is.

Knows the plain request. Law: everything here is synchronous and cheap; what waits goes through the hooks.
"""

import enum

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mitmproxy import http
from mitmproxy.options import Options
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode

from codex_manager.engine.messages import Answer, Headers
from codex_manager.proxy.destination import Destination
from codex_manager.proxy.exchange import Exchange
from codex_manager.proxy.forward import Intercept, Passage
from codex_manager.proxy.incoming import Admission, Incoming, Limits
from codex_manager.proxy.inspect.capture import Captured


__all__ = ["Claim", "LayerHost", "Successor", "incoming_of"]


class Claim(enum.Enum):
    """Whose request it is, and how it came."""

    BASE_URL = enum.auto()
    """Ours: addressed to the listener itself."""
    FORWARD = enum.auto()
    """Ours: on its way to a routed host."""
    PROXY = enum.auto()
    """Meant for a forward proxy, which this listener is not: refused."""
    CONNECT = enum.auto()
    """A client asks for a connection to somewhere."""
    OTHER = enum.auto()
    """In absolute form, for another host: passed on, or refused."""
    THEIRS = enum.auto()
    """mitmproxy's own business."""


@runtime_checkable
class Successor(Protocol):
    """The layer of a connection, as its streams see it: another one can take its place."""

    def succeed(self, successor: layer.Layer) -> None:
        """From the next event on, the connection is this layer's."""
        ...

    def intercept(self, destination: Destination) -> None:
        """From the next event on, the connection is TLS with a certificate of ours."""
        ...


class LayerHost(Protocol):
    """The bridge, as the layers see it."""

    def limits(self) -> Limits:
        """The limits now in force."""
        ...

    def identity(self) -> bool:
        """Whether answers carry our four headers."""
        ...

    def claim(self, context: Context, mode: HTTPMode, request: http.Request) -> Claim:
        """Whose request it is."""
        ...

    def admit(self, incoming: Incoming) -> Admission | Answer:
        """Decide on the head; never raises."""
        ...

    def connect(self, context: Context, request: http.Request) -> Intercept | Passage | Answer:
        """What becomes of a CONNECT; never raises."""
        ...

    def pass_on(self, incoming: Incoming, scheme: bytes) -> Admission | Answer:
        """What becomes of a request for another host; never raises."""
        ...

    def exchange(self, context: Context) -> Exchange:
        """A new exchange on behalf of this client."""
        ...

    def not_proxied(self) -> Answer:
        """What a client is told that takes the listener for a forward proxy."""
        ...

    def sink(self, context: Context) -> Callable[[bytes], None] | None:
        """A way to write to the client past the layers; None where one of them still has something to do."""
        ...

    def reset(self, context: Context) -> None:
        """Break the client's connection so that nobody takes what it got for whole."""
        ...

    def hears(self, hook: str) -> bool:
        """Whether any addon listens to this hook."""
        ...

    def captured(self, flow: http.HTTPFlow, options: Options) -> Captured | None:
        """What keeps the answer's body for viewers; None where that is not wanted."""
        ...

    def closing(self) -> bool:
        """The process is about to end: connections are not kept."""
        ...


def incoming_of(request: http.Request, fields: Headers, context: Context, claim: Claim, *, ends: bool) -> Incoming:
    """The plain request head; `fields` are the headers as received, `ends` says that no body follows."""
    data = request.data
    host = data.authority
    length: int | None = None
    chunked = False
    for name, value in fields:
        low = name.lower()
        if low == b"host":
            host = host or value
        elif low == b"content-length":
            length = int(value) if value.isdigit() and len(value) <= 18 else None
        elif low == b"transfer-encoding":
            chunked = True
    peer = context.client.peername
    destination = context.server.address or (data.host, data.port)
    return Incoming(
        method=data.method.decode("utf-8", "surrogateescape"),
        target=data.path.decode("utf-8", "surrogateescape"),
        headers=fields,
        http_version=data.http_version.decode("ascii", "replace"),
        via="base_url" if claim is Claim.BASE_URL else "forward",
        secure=context.client.tls,
        peer=(peer[0], peer[1]),
        host=host.decode("utf-8", "surrogateescape"),
        content_length=length,
        destination=(destination[0], destination[1]) if claim is not Claim.BASE_URL and destination[0] else None,
        # HTTP/2 bodies of unknown length have no framing of their own to copy; upstream they need one
        chunked=chunked or (length is None and not ends and data.http_version == b"HTTP/2.0"),
    )
