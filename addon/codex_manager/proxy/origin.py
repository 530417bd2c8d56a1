"""Whether a request was meant for this listener, and whether a web page sent it.

Knows names, addresses and what browsers say about themselves (Fetch metadata, RFC 6454). Knows nothing of keys.
Law: a web page never gets in, not with the right key either: DNS rebinding shows in Host, other pages in Origin and
Sec-Fetch-Site. Programs send neither, or (openai-node) a Sec-Fetch-Mode alone.
"""

import functools
import ipaddress
import re

from dataclasses import dataclass

from codex_manager.proxy.head import values
from codex_manager.proxy.incoming import Incoming
from codex_manager.proxy.refusal import Refusal, refuse


__all__ = ["Hosts", "check_host", "check_page", "host_name", "is_loopback"]

AUTHORITY = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_-])?)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The names a request may be addressed to, lower-case, without ports."""

    listener: frozenset[str] = frozenset()
    """Besides loopback: the bound address and `proxy.allowed_hosts`."""
    routed: frozenset[str] = frozenset({"api.openai.com"})
    """The upstream's names: what mitmproxy's reverse mode puts into Host. No page can be served from them, so they are
    safe by base URL."""
    intercepted: frozenset[str] = frozenset({"api.openai.com"})
    """What forward clients ask for."""
    any_address: bool = False
    """Bound to all interfaces: any literal address is right. A rebinding page has a name, never an address."""

    def is_listener(self, name: str) -> bool:
        """The request is addressed to this machine's listener."""
        return is_loopback(name) or name in self.listener or (self.any_address and _address(name) is not None)

    def is_right(self, name: str, via: str) -> bool:
        """The request is addressed to a name that this way in serves."""
        if via == "forward":
            return name in self.intercepted
        return name in self.routed or self.is_listener(name)


@functools.lru_cache(maxsize=256)
def host_name(authority: str) -> str | None:
    """The name in `name[:port]`, lower-case and without brackets; None when it is not one."""
    found = AUTHORITY.fullmatch(authority.lower())
    return found["name"].strip("[]") if found else None


@functools.lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """`localhost`, 127.0.0.0/8 or ::1, as they are written; nothing is resolved."""
    address = _address(name)
    if isinstance(address, ipaddress.IPv6Address):
        return address == ipaddress.IPv6Address("::1")  # not its IPv4-mapped cousins: nobody writes those by hand
    return name == "localhost" or (address is not None and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def check_host(incoming: Incoming, hosts: Hosts) -> Refusal | None:
    """Everything the request says about its host names one this way in serves."""
    said = [value.decode("latin-1") for value in values(incoming, b"host")]
    said += [incoming.host] if incoming.host else []
    if not any(said):
        return refuse(400, "host_missing", "The request has no Host header.")
    for authority in said:
        name = host_name(authority)
        if name is None or not hosts.is_right(name, incoming.via):
            return refuse(
                403,
                "host_not_allowed",
                "The request's Host is not a name of this proxy; use http://127.0.0.1 with its port, or add the name to"
                " proxy.allowed_hosts.",
            )
    return None


def check_page(incoming: Incoming, hosts: Hosts) -> Refusal | None:
    """No web page but one of our own listener's sent it; a preflight is refused whoever sent it."""
    authority = (
        next(iter(values(incoming, b"host")), incoming.host.encode("latin-1", "replace")).decode("latin-1").lower()
    )
    name = host_name(authority)
    ours = name is not None and incoming.via == "base_url" and hosts.is_listener(name)
    scheme = "https" if incoming.secure else "http"
    foreign = any(
        not ours or origin.decode("latin-1").lower() != f"{scheme}://{authority}"
        for origin in values(incoming, b"origin")
    )
    allowed = {b"none", b"same-origin"} if ours else {b"none"}
    foreign = foreign or any(site.lower() not in allowed for site in values(incoming, b"sec-fetch-site"))
    if foreign or values(incoming, b"access-control-request-method"):
        return refuse(
            403, "origin_not_allowed", "Web pages may not use this proxy; call it from a program, not from a browser."
        )
    return None
