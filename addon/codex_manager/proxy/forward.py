"""The listener as a forward proxy: what becomes of a CONNECT, and of a request for another host in absolute form.

Decides; opens nothing. Knows the settings and the words. Law: a host is opened only if it is one of ours by CONNECT's
own words, nothing else is; whoever is not on this machine shows a local key before a tunnel is even judged.
"""

import base64
import binascii

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from codex_manager.config.address import is_loopback
from codex_manager.engine.messages import Answer, Headers
from codex_manager.proxy import faults
from codex_manager.proxy.destination import BadDestinationError, Destination, parse_destination
from codex_manager.proxy.dialer import DialError, DialSettings
from codex_manager.proxy.gate import NO_CLIENT
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.proxy.own_address import Bound


__all__ = ["Forward", "ForwardSettings", "Intercept", "Passage", "passage_of", "unreachable"]

PLAIN_PORT = 80
"""A CONNECT to it is for plain HTTP (or `ws:`), also on a host of ours: there is no TLS to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardSettings:
    """What the configuration says."""

    enabled: bool = False
    hosts: frozenset[str] = frozenset()
    """To be intercepted."""
    tunnel: bool = False
    plain_http: bool = False
    dial: DialSettings = field(default_factory=DialSettings)


@dataclass(frozen=True, slots=True)
class Intercept:
    """Answer the client's TLS ourselves."""

    destination: Destination


@dataclass(frozen=True, slots=True)
class Passage:
    """Pass on, unlooked at."""

    destination: Destination


class Forward:
    """Use one for a listener. `knows` tells whether a key is a local one."""

    def __init__(
        self, settings: Callable[[], ForwardSettings], knows: Callable[[bytes], bool], endpoint: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._knows = knows
        self._endpoint = endpoint

    def connect(self, target: bytes, headers: Headers, peer: str) -> Intercept | Passage | Answer:
        """What becomes of `CONNECT target`."""
        settings = self._settings()
        if not settings.enabled:
            return faults.not_proxied(self._endpoint())
        try:
            destination = parse_destination(target)
        except BadDestinationError as error:
            return faults.fault(400, f"{error}.", "invalid_http_request")
        if destination.host in settings.hosts and destination.port != PLAIN_PORT:
            return Intercept(destination)
        if not settings.tunnel:
            return _switched_off("Tunnels to other hosts are", "forward.tunnel")
        return self._stranger(headers, peer) or Passage(destination)

    def absolute(
        self, scheme: bytes, authority: bytes, headers: Headers, peer: str
    ) -> Literal["here", "ours"] | Passage | Answer:
        """What becomes of a request whose target is a whole URL."""
        settings = self._settings()
        if not settings.enabled:
            return faults.not_proxied(self._endpoint())
        port = b":443" if scheme == b"https" else b":80"
        named = (
            authority if authority.rpartition(b":")[2].isdigit() and not authority.endswith(b"]") else authority + port
        )
        try:
            destination = parse_destination(named)
        except BadDestinationError:
            return faults.fault(400, "The request target is malformed.", "invalid_http_request")
        if _is_own(destination, settings.dial.own):
            return "here"
        if destination.host in settings.hosts:
            return "ours"
        if scheme == b"https":
            return faults.fault(400, "For https URLs a proxy is asked with CONNECT.", "invalid_http_request")
        if not settings.plain_http:
            return _switched_off("Plain http requests to other hosts are", "forward.plain_http")
        return self._stranger(headers, peer) or Passage(destination)

    def admit(self, incoming: Incoming, scheme: bytes) -> Admission | Answer:
        """The same, as an admission to be carried."""
        peer = incoming.peer[0] if incoming.peer is not None else ""
        authority = incoming.host.encode("utf-8", "surrogateescape")
        found = self.absolute(scheme, authority, incoming.headers, peer)
        if isinstance(found, Answer):
            return found
        if not isinstance(found, Passage):
            return faults.fault(400, "The request target is malformed.", "invalid_http_request")
        passage = ("http", found.destination.host, found.destination.port)
        return Admission(incoming=incoming, client=NO_CLIENT, headers=incoming.headers, foreign=True, passage=passage)

    def _stranger(self, headers: Headers, peer: str) -> Answer | None:
        """The refusal for a client on another machine that shows no local key."""
        if _is_here(peer) or self._knows(_password(headers)):
            return None
        return faults.fault(
            407,
            "Clients on other machines need a local key to reach other hosts through this proxy:"
            " HTTPS_PROXY=http://codex-manager:KEY@HOST:PORT.",
            "proxy_authentication_required",
            headers=((b"Proxy-Authenticate", b'Basic realm="codex-manager"'),),
        )


def passage_of(incoming: Incoming) -> tuple[str, str, int] | None:
    """Where a request to a host of ours goes with a key of the client's own: over TLS, however it came."""
    if incoming.destination is None:
        return None
    host, port = incoming.destination
    return ("https", host, 443 if port == PLAIN_PORT else port)


def unreachable(destination: Destination, error: DialError) -> Answer:
    """What the client is told when there is no connection."""
    sentence = f"{destination} {error}."
    if error.status == 403:
        return faults.fault(403, sentence, "destination_forbidden")
    return faults.fault(error.status, sentence, "destination_unreachable")


def _switched_off(what: str, key: str) -> Answer:
    return faults.fault(403, f"{what} switched off here; {key} switches them on.", "destination_forbidden")


def _is_own(destination: Destination, own: Bound) -> bool:
    """A client whose `http_proxy` is this listener, and whose base URL is, too."""
    hosts = {host.lower() for host, port in own if port == destination.port}
    return bool(hosts) and (is_loopback(destination.host) or destination.host in hosts)


def _is_here(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _password(headers: Headers) -> bytes:
    """The key in `Proxy-Authorization`: a Basic password (or, without one, the user), or a Bearer token."""
    given = [value for name, value in headers if name.lower() == b"proxy-authorization"]
    if len(given) != 1:
        return b""
    scheme, _, rest = given[0].strip(b" \t").partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip(b" \t")
    if scheme.lower() != b"basic":
        return b""
    try:
        user, _, password = base64.b64decode(rest.strip(b" \t"), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b""
    return password or user
