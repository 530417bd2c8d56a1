"""Which names an authority may be made for: DNS names, written one way.

Law: lower case, ASCII, no final dot; never an address, never a wildcard. A name permits the names below it, too, for so
do name constraints (RFC 5280, 4.2.1.10); `covers` says it the same way.
"""

import ipaddress
import re

from collections.abc import Iterable

from codex_manager_certs.errors import AuthorityError


__all__ = ["canonical", "canonical_hosts", "covers"]

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def canonical(host: str) -> str:
    """The name as it stands in certificates.

    Raises:
        AuthorityError: it is not a name that a certificate may carry.
    """
    name = host.lower().removesuffix(".")
    hint = "name a host such as api.openai.com"
    if _is_address(name):
        raise AuthorityError(f"{host} is an address, and the authority vouches for names only", hint=hint)
    if not name.isascii():
        raise AuthorityError(f"{host!a} is not ASCII", hint="write the name in its xn-- form")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):  # RFC 1035, 2.3.4
        raise AuthorityError(f"{host[:80]!r} is not a host name", hint=hint)
    return name


def canonical_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """All of them; one at least.

    Raises:
        AuthorityError: there is none, or one is no name.
    """
    names = frozenset(canonical(host) for host in hosts)
    if not names:
        raise AuthorityError("there is no host to intercept, so there is nothing to make an authority for")
    return names


def covers(permitted: Iterable[str], host: str) -> bool:
    """Whether constraints to these names permit this one. Never raises."""
    name = host.lower().removesuffix(".")
    return any(name == other or name.endswith(f".{other}") for other in permitted) and not _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
