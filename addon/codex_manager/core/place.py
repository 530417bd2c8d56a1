"""Where an account is reached, or why it never can be as it is configured.

Pure: settings in, a judgment out; nothing is looked up and nothing is connected. The engine sends by it, and a dry run
decides by it, so both see the same accounts.
"""

import ipaddress

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from codex_manager.core.account import Account


__all__ = ["DEFAULT_PORTS", "Place", "is_header_text", "place_of"]

DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Place:
    """One account's place. Without a host there is none."""

    scheme: str = ""
    host: str = ""
    """As in a URL: lower case, IPv6 without brackets."""
    port: int = 0
    prefix: str = ""
    """What comes before `/v1` in the path."""
    unusable: str | None = None
    """Why nothing can be sent there; None when it can."""

    @property
    def origin(self) -> str:
        """scheme://host:port; empty when there is no place."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" if self.host else ""


def place_of(account: Account, default_base_url: str, own_addresses: frozenset[tuple[str, int]]) -> Place:
    """How to reach an account, or why it cannot be reached. A path of `/v1` at the end of a base URL is the API's own."""
    key = account.api_key.reveal()
    if not key or not is_header_text(key) or " " in key:
        return Place(unusable="its key cannot be sent in a header (it is empty or has characters no key has)")
    try:
        parts = urlsplit(account.base_url or default_base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in DEFAULT_PORTS or not is_header_text(parts.path) or not host.isascii():
        return Place(unusable="its base URL is not one")
    place = Place(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme])
    if _is_our_own(place, own_addresses):
        return Place(place.scheme, host, place.port, "", f"its base URL {place.origin} is this proxy itself")
    return Place(place.scheme, host, place.port, parts.path.rstrip("/").removesuffix("/v1"))


def is_header_text(text: str) -> bool:
    """Whether it can be the value of a header."""
    return all(" " <= character <= "~" for character in text)


def _is_our_own(place: Place, own_addresses: frozenset[tuple[str, int]]) -> bool:
    """Whether we listen there. On our port every name for this machine counts, however it is written."""
    for host, port in own_addresses:
        if port == place.port and (
            place.host == host.lower() or (_is_this_machine(place.host) and _is_this_machine(host))
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
