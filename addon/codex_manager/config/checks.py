"""What settings mean together, and whether the files they name are there.

Each check gives the key to blame, the end of a sentence that starts with that key, and the cure.
"""

import ssl

from collections.abc import Iterator
from dataclasses import dataclass

from codex_manager.config.address import Address, is_loopback, is_wildcard, parse_address, url_address
from codex_manager.config.schema import Config


__all__ = ["Conflict", "conflicts"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """`key` followed by `text` is the sentence."""

    key: str
    text: str
    cure: str


def conflicts(config: Config) -> Iterator[Conflict]:
    """Everything about a configuration that is unsafe or cannot work."""
    bind = parse_address(config.proxy.bind_addr)
    if config.has_default_key and not is_loopback(bind.host):
        yield Conflict(
            "proxy.bind_addr",
            f"is {bind}, which other machines can reach, while proxy.api_key is the default one that everybody knows",
            "set a key of your own: openssl rand -hex 24 | codex-manager config set proxy.api_key -",
        )
    if _same_place(url_address(config.proxy.openai_base_url), bind):
        yield Conflict(
            "proxy.openai_base_url",
            f"is this proxy's own address {bind}, so requests would go round in circles",
            "set it to where OpenAI is: https://api.openai.com",
        )
    if config.upstream.proxy is not None and _same_place(url_address(config.upstream.proxy), bind):
        yield Conflict(
            "upstream.proxy",
            f"is this proxy's own address {bind}, so requests would go round in circles",
            "unset it: codex-manager config unset upstream.proxy",
        )
    if config.limits.replay_body_mib > config.limits.max_body_mib:
        yield Conflict(
            "limits.replay_body_mib",
            f"is {config.limits.replay_body_mib}, more than limits.max_body_mib allows ({config.limits.max_body_mib})",
            "lower the one or raise the other",
        )
    if config.upstream.ca_file is not None and (problem := _ca_problem(config.upstream.ca_file)):
        yield Conflict(
            "upstream.ca_file",
            problem,
            "name a PEM file with certificates, or unset it: codex-manager config unset upstream.ca_file",
        )


def _same_place(target: Address, bind: Address) -> bool:
    if target.port != bind.port or bind.port == 0:
        return False
    host, own = target.host.lower().rstrip("."), bind.host.lower().rstrip(".")
    if is_wildcard(own):
        return is_loopback(host) or is_wildcard(host)
    return host == own or (is_loopback(own) and (is_loopback(host) or is_wildcard(host)))


def _ca_problem(path: str) -> str | None:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"names {path}, which holds no PEM certificates"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return f"names {path}, which cannot be read: {(reason or 'not a usable path').lower()}"
    return None if context.cert_store_stats()["x509"] else f"names {path}, which holds no PEM certificates"
