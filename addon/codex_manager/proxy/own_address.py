"""Whether a base URL leads back to this listener: requests would go round until the sockets run out.

Knows how names and addresses of this machine are told; looks names up (blocking), so call it in a thread. The
configuration refuses what it can see in the text; this sees names that resolve here and every interface.
Law: only a certain match counts. A name that cannot be looked up now is no loop; the engine judges again when it connects.
"""

import ipaddress
import socket

from codex_manager.config.address import is_wildcard, url_address
from codex_manager.config.errors import ConfigError
from codex_manager.config.schema import Config


__all__ = ["Bound", "is_this_machine", "leads_to", "refuse_loop"]

type Bound = frozenset[tuple[str, int]]
"""Where the listener is bound: addresses, `0.0.0.0` and `::` included."""


def leads_to(base_url: str, bound: Bound) -> bool:
    """The URL's host and port are ours. Names are looked up only when the port is one of ours."""
    host, port = url_address(base_url)
    ours = {_plain(address) for address, own_port in bound if own_port == port}
    if not ours:
        return False
    everywhere = any(is_wildcard(address) for address in ours)
    return any(
        address in ours or is_wildcard(address) or (everywhere and is_this_machine(address))
        for address in _look_up(host)
    )


def refuse_loop(config: Config, bound: Bound) -> None:
    """Refuse a configuration under which every request would come back to us.

    Raises:
        ConfigError: it is one.
    """
    for key, url in (
        ("proxy.openai_base_url", config.proxy.openai_base_url),
        ("upstream.proxy", config.upstream.proxy),
    ):
        if url is not None and leads_to(url, bound):
            raise ConfigError(
                f"{key} leads back to this proxy itself, so requests would go round in circles",
                hint="set it to where OpenAI is: `codex-manager config set proxy.openai_base_url https://api.openai.com`",
            )


def _look_up(host: str) -> set[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {_plain(str(address[4][0]).partition("%")[0]) for address in found}


def _plain(address: str) -> str:
    """`::ffff:127.0.0.1` reaches whoever listens on 127.0.0.1."""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def is_this_machine(address: str) -> bool:
    """An address a socket can be bound to is one of this machine's."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return True
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
