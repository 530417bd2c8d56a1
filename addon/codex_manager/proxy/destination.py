"""Where a tunnel may lead: what a CONNECT names, and which addresses it must not reach.

Pure: nothing is looked up here. Knows the ranges of IANA's special-purpose registries and the addresses at which clouds
hand out credentials. Law: a name is judged by every address it has, an address by itself and by every IPv4 address
that is embedded in it; only what is certainly public passes, unless the user allowed its network. What two readers could
read as different hosts (`0177.0.0.1`, `1.2.3`, a full-width dot) is no destination at all.
"""

import ipaddress
import re

from collections.abc import Iterable
from dataclasses import dataclass

from codex_manager.config.address import check_host


__all__ = ["BadDestinationError", "Destination", "Network", "forbidden", "parse_destination"]

type IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,254}):(?P<port>[0-9]{1,5})")

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS ECS
        "169.254.170.23",  # AWS EKS
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's wire server: a public address, but only virtual machines see it
        "192.0.0.192",  # Oracle
    )
)
"""Forbidden even where the user allowed the network."""

_EMBEDDING = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # IPv4-mapped, RFC 4291 2.5.5.2
        ("::ffff:0:0:0/96", 0),  # IPv4-translated, RFC 2765
        ("64:ff9b::/96", 0),  # NAT64, RFC 6052
        ("2002::/16", 80),  # 6to4, RFC 3056
    )
)
"""Ranges that carry an IPv4 address, and how many bits follow it."""

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "2001::/32",  # Teredo: leads wherever its server says
    )
)
"""What Python's `is_global` (IANA's registries) lets pass and we do not."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is routed on the Internet (RFC 4291 2.4)."""


class BadDestinationError(ValueError):
    """What a client asked for is no `host:port`. The message is a sentence and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a client wants to go."""

    host: str
    """A name in lower case without a trailing dot, or an address without brackets."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_destination(authority: bytes) -> Destination:
    """What `CONNECT host:port` names.

    Raises:
        BadDestinationError: it is not that, or could be read in more than one way.
    """
    found = _AUTHORITY.fullmatch(authority.decode("latin-1"))
    if found is None:
        raise BadDestinationError("CONNECT needs host:port, the host in ASCII")
    port = int(found["port"])
    if not 1 <= port <= 65535:
        raise BadDestinationError("CONNECT needs a port from 1 to 65535")
    host = found["host"].lower()
    host = str(_address(host[1:-1])) if host.startswith("[") else host
    try:
        check_host(host)  # canonical addresses and names; not 0x7f.1, 2130706433 and their like
    except ValueError:
        raise BadDestinationError("CONNECT needs a host name, or an IP address in its usual form") from None
    return Destination(host.removesuffix("."), port)


def _address(text: str) -> IPAddress:
    try:
        return ipaddress.IPv6Address(text)
    except ValueError:
        raise BadDestinationError("between the brackets must be an IPv6 address") from None


def forbidden(address: str, allowed: Iterable[Network] = ()) -> str | None:
    """Why a connection must not be made to this address; None when it may."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no IP address"
    networks = tuple(allowed)
    for one in (parsed, *_embedded(parsed)):
        reason = _reason(one, networks)
        if reason is not None:
            return reason
    return None


def _embedded(address: IPAddress) -> Iterable[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    for network, shift in _EMBEDDING:
        if address in network:
            yield ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)


def _reason(address: IPAddress, allowed: tuple[Network, ...]) -> str | None:
    if address in METADATA:
        return "a cloud's metadata service"
    if address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0):
        return "the unspecified address"
    if address.is_multicast:
        return "a multicast address"
    if any(address.version == network.version and address in network for network in allowed):
        return None
    if address.is_loopback:
        return "this machine itself"
    if address.is_link_local:
        return "a link-local address"
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network, _ in _EMBEDDING):
            return None  # judged by the IPv4 address it carries
        if address not in _GLOBAL_UNICAST:
            return "a private or reserved address"
    if not address.is_global or any(address.version == n.version and address in n for n in _NOT_PUBLIC):
        return "a private or reserved address"
    return None
