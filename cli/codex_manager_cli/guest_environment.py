"""The environment a command is given: what leads it to the proxy, and nothing of the vault's.

Pure: from one mapping to another. Laws: no account's key and no master key is in what comes out, whatever the variable
is called that held it; this machine is never reached through the proxy; what the user set for other purposes stays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from codex_manager.core.secret import Secret
from codex_manager_cli.guests import Way


__all__ = ["LOOPBACK", "Leading", "changes", "without_secrets"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MASTER_KEY_VARIABLE = "CAM_MASTER_KEY"
SETTINGS_PREFIX = "CODEX_MANAGER__"
"""Settings of the proxy; one of them is its local key."""
OWN_ACCOUNT = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT")
"""They name the user's own account, and OpenAI refuses another account's key together with them."""
BASE_URL = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
OPENAI_URL = "https://api.openai.com/v1"
HTTPS_PROXY = ("HTTPS_PROXY", "https_proxy")
NO_PROXY = ("NO_PROXY", "no_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """Where a command is led."""

    way: Way
    url: str
    """The listener, such as http://127.0.0.1:8080."""
    key: Secret
    trust: Mapping[str, str]
    """The variables by which clients trust our authority; used on the way `proxy` only."""
    hosts: frozenset[str]
    """The hosts served from the vault on that way."""
    codex: bool = False
    """The command is Codex."""


def changes(environ: Mapping[str, str], leading: Leading) -> dict[str, str | None]:
    """What is set, and what is taken away (None), on top of this environment."""
    made: dict[str, str | None] = dict.fromkeys(OWN_ACCOUNT)
    made["OPENAI_API_KEY"] = leading.key.reveal()
    if leading.way == "base-url":
        made |= dict.fromkeys(BASE_URL, f"{leading.url}/v1")
        if leading.codex:
            made["CODEX_API_KEY"] = leading.key.reveal()
    else:
        made |= dict.fromkeys(BASE_URL, OPENAI_URL)  # what a script may read, and what goes through the proxy
        made |= dict.fromkeys(HTTPS_PROXY, leading.url)
        made["CODEX_API_KEY"] = leading.key.reveal()
        made |= leading.trust
    passed_by = _passed_by(environ, leading.hosts if leading.way == "proxy" else frozenset())
    made |= dict.fromkeys(NO_PROXY, passed_by)
    return {name: value for name, value in made.items() if value is not None or name in environ}


def without_secrets(environ: Mapping[str, str], secrets: Iterable[Secret]) -> tuple[dict[str, str], list[str]]:
    """The environment without the vault's secrets, and the names of variables that held an account's key."""
    texts = [text for secret in secrets if (text := secret.reveal())]
    kept: dict[str, str] = {}
    held: list[str] = []
    for name, value in environ.items():
        if any(text in value for text in texts):
            held.append(name)
        elif name != MASTER_KEY_VARIABLE and not name.startswith(SETTINGS_PREFIX):
            kept[name] = value
    return kept, held


def _passed_by(environ: Mapping[str, str], hosts: frozenset[str]) -> str:
    """The user's exceptions from proxies, loopback added, without those that would pass by the hosts we serve."""
    entries = [
        entry.strip()
        for name in ("no_proxy", "NO_PROXY")
        for entry in environ.get(name, "").replace(" ", ",").split(",")
        if entry.strip()
    ]
    fit = [entry for entry in entries if not any(_covers(entry, host) for host in hosts)]
    return ",".join(dict.fromkeys([*fit, *LOOPBACK]))


def _covers(entry: str, host: str) -> bool:
    """Whether a client that finds the entry in NO_PROXY goes to the host directly; `*`, suffixes and ports as curl reads them."""
    if entry == "*":
        return True
    name = (urlsplit(entry).hostname or "") if "://" in entry else entry.partition(":")[0]
    name = name.lower().lstrip("*").lstrip(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
