"""Variables of the session that lead clients somewhere else, or keep them from us. From the page that is the session the proxy was started in.

Law: no value that may hold a key or a password is repeated.
"""

from collections.abc import Iterator
from pathlib import Path

from codex_manager.config.address import Address, is_loopback, is_wildcard, parse_address, url_address
from codex_manager.config.hosts import OPENAI_HOST
from codex_manager.core.secret import Secret
from codex_manager.doctor.finding import Finding, ok, warn
from codex_manager.doctor.patient import Patient, command
from codex_manager.doctor.proxy import reachable


__all__ = ["check"]

BASE_URLS = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
IN_VAULT = ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID", "OPENAI_PROJECT", "OPENAI_PROJECT_ID")
FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE")


def check(patient: Patient) -> Iterator[Finding]:
    """Only what is set, and says something else than it should."""
    yield from list(_check(patient)) or [ok("environment", "no variable of this session is in the way")]


def _check(patient: Patient) -> Iterator[Finding]:
    environ, us = patient.environ, _us(patient)
    set_env = f'eval "$({command("env")})"'
    through_us = False
    for name in BASE_URLS:
        if value := environ.get(name):
            if _leads_to(value, us):
                through_us = True
                yield ok("environment", f"{name} leads to the proxy")
            else:
                yield warn("environment", f"{name} leads to {_host(value)}, not to the proxy at {us}", set_env)
    by_proxy = False
    for name in PROXIES:
        if value := environ.get(name):
            if _leads_to(value, us):
                through_us = by_proxy = True
                yield ok("environment", f"{name} leads to the proxy")
            else:
                yield warn(
                    "environment",
                    f"{name} leads to {_host(value)}; the proxy itself never uses it, programs of this session do",
                    "a company's proxy on the way to OpenAI is set as upstream.proxy",
                )
    if through_us and (key := environ.get("OPENAI_API_KEY")) and not _is_local(patient, key):
        yield warn(
            "environment",
            "OPENAI_API_KEY is not proxy.api_key; unless it is a client key (`codex-manager keys list`), the proxy refuses it",
            set_env,
        )
    if by_proxy and any(_excepts(environ.get(name, "")) for name in ("NO_PROXY", "no_proxy")):
        yield warn(
            "environment", f"NO_PROXY makes programs pass the proxy by for {OPENAI_HOST}", "take it out of NO_PROXY"
        )
    for name in IN_VAULT:
        if through_us and environ.get(name):
            yield warn(
                "environment", f"{name} is set and has no effect here: each account has its own", f"unset {name}"
            )
    for name in FILES:
        if (value := environ.get(name)) and not Path(value).is_file():
            yield warn(
                "environment",
                f"{name} names {value}, which is not there",
                f"unset {name}, or: {command('certs', 'env')}",
            )


def _us(patient: Patient) -> Address:
    if patient.running is not None:
        return reachable(patient.running)
    host, port = parse_address(patient.config.proxy.bind_addr)
    return Address("127.0.0.1" if is_wildcard(host) else host, port)


def _leads_to(url: str, us: Address) -> bool:
    try:
        host, port = url_address(url if "://" in url else f"http://{url}")
    except ValueError:
        return False
    return port == us.port and (host == us.host or (is_loopback(host) and is_loopback(us.host)))


def _host(url: str) -> str:
    """Where it leads, without what may be a password."""
    try:
        return str(url_address(url if "://" in url else f"http://{url}"))
    except ValueError:
        return "something that is no address"


def _is_local(patient: Patient, key: str) -> bool:
    return any(Secret(key) == local for local in patient.config.local_keys)


def _excepts(names: str) -> bool:
    """Whether a NO_PROXY keeps programs from going through a proxy to OpenAI."""
    hosts = [name.strip().lower().lstrip(".*").partition(":")[0] for name in names.split(",")]
    return "*" in names.split(",") or any(
        host and (host == OPENAI_HOST or OPENAI_HOST.endswith(f".{host}")) for host in hosts
    )
