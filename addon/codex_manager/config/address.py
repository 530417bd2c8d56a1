"""Addresses as people write them: `host:port` to listen on, and the URLs of upstreams. Pure; resolves no names.

Law: a URL that could carry a key over an open line, or hide a password, is refused here. Every ValueError is a
sentence's end that reads after the name of a setting, and repeats nothing of the text (it may hold a password).
"""

import ipaddress
import re

from typing import NamedTuple
from urllib.parse import urlsplit


__all__ = [
    "Address",
    "check_host",
    "is_literal",
    "is_loopback",
    "is_wildcard",
    "normal_base_url",
    "parse_address",
    "url_address",
]

# RFC 1123 section 2.1; an underscore is tolerated because container networks use it in names
_HOST_NAME = re.compile(r"(?=.{1,253}\.?\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)+\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """Where something listens. `host` has no brackets; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`.

    Raises:
        ValueError: the text is none of these.
    """
    host, colon, digits = text.rpartition(":")
    if not colon or not host:
        raise ValueError("must be an address with a port, such as 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError("has no IPv6 address between the brackets; write it like [::1]:8080") from None
    elif ":" in host:
        raise ValueError("needs brackets around an IPv6 address, such as [::1]:8080")
    else:
        check_host(host)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= 65535):
        raise ValueError("must end in a port from 0 to 65535, such as 127.0.0.1:8080")
    return Address(host, int(digits))


def check_host(host: str) -> None:
    """Accept a host name or a bare IP address.

    Raises:
        ValueError: it is neither.
    """
    if "%" not in host:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass  # not an address: judged as a name below
        else:
            return
    # 1.2.3 and 0x7f.1 are read as addresses by some resolvers and as names by others: refuse what is only digits
    if not _HOST_NAME.match(host) or re.fullmatch(r"(?:0[xX][0-9a-fA-F]*|\d+)", host.rstrip(".").rpartition(".")[2]):
        raise ValueError("is not a host name or an IP address")


def is_literal(host: str) -> bool:
    """Whether it is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine can be meant, decided without resolving."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_wildcard(host: str) -> bool:
    """`0.0.0.0` and `::` mean every address of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def url_address(url: str) -> Address:
    """Host and port a URL leads to.

    Raises:
        ValueError: it is not an http or https URL with a host and a valid port.
    """
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("must be a URL without spaces or special characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("must be a URL with a valid host and port") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("must be a URL that starts with https:// or http:// and names a host")
    if port == 0:
        raise ValueError("must be a URL with a valid host and port")
    try:
        check_host(host)
    except ValueError:
        raise ValueError("must be a URL with a valid host and port") from None
    return Address(host, port or _DEFAULT_PORTS[parts.scheme])


def normal_base_url(url: str) -> str:
    """The root of an OpenAI-compatible API, without a trailing slash and without `/v1` (clients send that part).

    Raises:
        ValueError: keys could leak there (plain http to another machine), or it has parts a root has not.
    """
    host, _ = url_address(url)
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if "?" in url or "#" in url:
        raise ValueError("must not have a query or fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must start with https:// because keys are sent there (http:// only to this machine itself)")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"
