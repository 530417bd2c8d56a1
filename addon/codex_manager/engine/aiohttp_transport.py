"""The transport port on aiohttp: its connector (DNS, TCP, TLS, proxies, pool) and its HTTP parser, not its client session.

Why without the session, measured and read in aiohttp 3.14: `ClientSession` sorts Host to the front, upper-cases methods,
loses a trailing `?`, drops header bytes that are no UTF-8 without a word, resends idempotent requests by itself, keeps
cookies, and does not say how far a request had come when it failed. The connector and the response parser do none of
that, and cost half as much CPU. So the head is written here, byte for byte, and the answer read through the same
`ResponseHandler` the session uses.

Law: one pool for all clients and accounts; environment proxies are never looked at; a connection is used again only
after an exchange that was complete in both directions, and is looked at once more before it is.

About stale connections. A pooled connection may be closed by the other end at any moment. What can be seen of that before
the first byte is written is seen here (`_has_gone_stale`), and another connection is taken: nothing was sent. What
remains is a reset while the request travels: that is `Phase.SENT`, ambiguous for a POST, and marked `reused` so that
reads can be sent again. Closing idle connections ourselves after `KEEPALIVE_S` keeps it rare.
"""

import asyncio
import contextlib
import select
import socket
import ssl
import weakref

from typing import Any

import aiohttp

from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from codex_manager.engine.aiohttp_exchange import Exchange
from codex_manager.engine.transport import Endpoint, Phase, Timeouts, TransportError, Trouble, UpstreamRequest


__all__ = ["AiohttpTransport"]

KEEPALIVE_S = 30.0
"""Idle connections are dropped after this. Cloudflare, which OpenAI is behind, keeps them 400 s, nginx 75 s, many load
balancers 60 s: well below all of them."""
DNS_CACHE_S = 60
PROBE_IDLE_S, PROBE_EVERY_S, PROBES = 30, 15, 4
"""TCP keep-alive: a model may think for minutes without a byte, NAT tables forget sooner, and a path that died (a laptop
that slept) is noticed after about a minute and a half instead of the whole header timeout."""


class AiohttpTransport:
    """See the module's docstring. Create anywhere, use in one event loop, `aclose` at the end."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None, proxy: str | None = None) -> None:
        self._ssl = ssl_context
        self._proxy = URL(proxy) if proxy else None
        # All mutable state: the pool, one prototype request for each endpoint, and which connections have carried an
        # answer before.
        self._connector: aiohttp.TCPConnector | None = None
        self._prototypes: dict[Endpoint, ClientRequest] = {}
        self._used: weakref.WeakSet[Any] = weakref.WeakSet()

    async def send(self, request: UpstreamRequest, timeouts: Timeouts, *, fresh: bool = False) -> Exchange:
        """Send, and wait for the headers of the answer."""
        head = _head(request, self._absolute_prefix(request.endpoint))
        prototype = self._prototype(request.endpoint)
        connection, reused = await self._connect(prototype, timeouts, fresh=fresh)
        exchange = Exchange(connection, request, timeouts, reused=reused)
        try:
            await exchange.start(self._with_proxy_key(head, prototype))
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def aclose(self) -> None:
        """Close every connection, busy ones too."""
        if self._connector is not None:
            await self._connector.close()

    # --- connections ---

    async def _connect(self, prototype: ClientRequest, timeouts: Timeouts, *, fresh: bool) -> tuple[Connection, bool]:
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=KEEPALIVE_S,
                ttl_dns_cache=DNS_CACHE_S,
                enable_cleanup_closed=False,
                socket_factory=_socket,
                ssl=self._ssl if self._ssl is not None else True,
            )
        limits = aiohttp.ClientTimeout(total=None, connect=timeouts.connect, sock_connect=timeouts.connect)
        while True:
            try:
                connection = await self._connector.connect(prototype, [], limits)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise _not_connected(error, prototype, timeouts) from None
            reused = connection.protocol in self._used
            if reused and (fresh or _has_gone_stale(connection)):
                connection.close()
                continue
            self._used.add(connection.protocol)
            return connection, reused

    def _prototype(self, endpoint: Endpoint) -> ClientRequest:
        """What the connector wants to know of a request is the same for all requests to one endpoint."""
        known = self._prototypes.get(endpoint)
        if known is None:
            known = self._prototypes[endpoint] = ClientRequest(
                "GET", URL(f"{endpoint}/"), loop=asyncio.get_running_loop(), proxy=self._proxy
            )
        return known

    # --- plain http through a proxy: absolute form, and the proxy's key in the request itself ---

    def _absolute_prefix(self, endpoint: Endpoint) -> bytes:
        return str(endpoint).encode() if self._proxy is not None and endpoint.scheme == "http" else b""

    def _with_proxy_key(self, head: bytes, prototype: ClientRequest) -> bytes:
        key = prototype.headers.get("Proxy-Authorization") if self._proxy is not None else None
        return head if key is None else head[:-2] + b"Proxy-Authorization: " + key.encode("latin-1") + b"\r\n\r\n"


def _head(request: UpstreamRequest, absolute: bytes) -> bytes:
    """Request line and headers. Refused when it would be more lines than it should be, whoever tried that."""
    lines = [b"%b %b%b HTTP/1.1" % (request.method, absolute, request.target)]
    lines += [b"%b: %b" % header for header in request.headers]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    returns = len(lines) + 1
    if head.count(b"\n") != returns or head.count(b"\r") != returns or b"\0" in head or b" " in request.target:
        raise TransportError(
            "the request has a control character in its head",
            phase=Phase.NOT_CONNECTED,
            trouble=Trouble.UNSENDABLE,
        )
    return head


def _has_gone_stale(connection: Connection) -> bool:
    """Whether an idle connection has bytes, or its end, waiting that the event loop has not seen yet."""
    transport = connection.transport
    if transport is None or transport.is_closing():
        return True
    waiting = transport.get_extra_info("socket")
    if waiting is None or waiting.fileno() < 0:
        return True
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(waiting.fileno(), select.POLLIN)
        return bool(poller.poll(0))
    return bool(select.select([waiting.fileno()], [], [], 0)[0])


def _socket(address: Any) -> socket.socket:
    """A TCP socket that notices a dead path; the options exist under different names, or not at all, elsewhere."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": PROBE_IDLE_S,
        "TCP_KEEPALIVE": PROBE_IDLE_S,
        "TCP_KEEPINTVL": PROBE_EVERY_S,
        "TCP_KEEPCNT": PROBES,
    }
    for name, value in wanted.items():
        if (option := getattr(socket, name, None)) is not None:
            with contextlib.suppress(OSError):  # an option the kernel does not know; the defaults work, only slower
                made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _not_connected(error: Exception, prototype: ClientRequest, timeouts: Timeouts) -> TransportError:
    """The one place where the connector's errors become ours."""
    host = f"{prototype.url.host}:{prototype.url.port}"
    reason = getattr(error, "os_error", None)
    why = getattr(reason, "strerror", None) or str(reason or error) or type(error).__name__
    match error:
        case aiohttp.ClientConnectorDNSError():
            trouble, sentence = Trouble.DNS, f"the name {prototype.url.host} cannot be resolved ({why})"
        case aiohttp.ClientConnectorCertificateError():
            trouble, sentence = Trouble.TLS, f"the certificate of {host} is not trusted ({error.certificate_error})"
        case aiohttp.ClientSSLError():
            trouble, sentence = Trouble.TLS, f"no TLS connection to {host} ({why})"
        case aiohttp.ClientHttpProxyError():
            trouble, sentence = (
                Trouble.PROXY,
                f"the upstream proxy refused the way to {host} with status {error.status}",
            )
        case aiohttp.ClientProxyConnectionError():
            trouble, sentence = Trouble.PROXY, f"the upstream proxy cannot be reached ({why})"
        case TimeoutError():
            trouble, sentence = Trouble.TIMEOUT, f"no connection to {host} within {timeouts.connect:g} s"
        case _:
            trouble, sentence = Trouble.CONNECT, f"no connection to {host} ({why})"
    return TransportError(sentence, phase=Phase.NOT_CONNECTED, trouble=trouble)
