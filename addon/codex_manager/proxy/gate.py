"""Who gets in: the order of the checks, and the words of each refusal.

Pure: no I/O, no clock, no mitmproxy; built new on every reload. Each check lives in its own module (head, origin,
local_keys, strip); here is what comes first and what the client is told.
Law: a request is admitted by reaching the last line of `admit`, and by nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from codex_manager.core.openai_error import INVALID_API_KEY, REQUEST_TOO_LARGE
from codex_manager.core.secret import Secret
from codex_manager.proxy.head import check_head, check_path, path_of, values
from codex_manager.proxy.incoming import Admission, Incoming, Limits
from codex_manager.proxy.local_keys import LocalKeys
from codex_manager.proxy.origin import Hosts, check_host, check_page
from codex_manager.proxy.refusal import Refusal, refuse
from codex_manager.proxy.strip import strip
from codex_manager.proxy.upgrade import asks_websocket, check_upgrade, key_in_protocol, without_keys


__all__ = ["CONTROL_PREFIX", "LOCAL_PATHS", "METRICS_PATH", "NO_CLIENT", "Gate", "GateSettings"]

LOCAL_PATHS = frozenset({"/health", "/healthz", "/ready"})
"""Answered here, without a key."""
METRICS_PATH = "/metrics"
"""Answered here too; it names accounts and what they spend, so it takes a key unless it was opened."""

CONTROL_PREFIX = "/codex-manager/"
"""Where the proxy tells commands of this machine about itself. Who has not the token of this run finds nothing here."""

NO_CLIENT = "-"
"""The name of who sent no valid key."""
EPHEMERAL = "ephemeral"
"""Name of whoever comes with a client secret of Realtime."""


def _nothing(_: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What the gate is told by configuration and vault."""

    keys: LocalKeys
    hosts: Hosts = field(default_factory=Hosts)
    foreign_keys: Literal["reject", "pass"] = "reject"
    limits: Limits = field(default_factory=Limits)
    endpoint: str = "http://127.0.0.1:8080/v1"
    """Where clients reach us, for the advice in refusals."""
    issued: Callable[[bytes], bool] = _nothing
    """Whether one of the accounts issued this client secret of Realtime."""
    public_key: str | None = None
    """The default key while it is in force: it is printed in every manual, so advice may show it."""
    controls: Callable[[bytes], bool] = _nothing
    """Whether this is the token of this run."""
    metrics: Literal["off", "key", "open"] = "key"
    """Who may read `/metrics`: nobody, who has a local key, everybody."""


class Gate:
    """Admits or refuses a request by its head alone."""

    def __init__(self, settings: GateSettings) -> None:
        self.settings = settings
        key = settings.public_key or "your local key (`codex-manager config get proxy.api_key --reveal`)"
        self._advice = f"set OPENAI_API_KEY to {key} and OPENAI_BASE_URL to {settings.endpoint}"

    def admit(self, incoming: Incoming) -> Admission | Refusal:
        """The checks in their order: form, host, page, path, key, size."""
        settings = self.settings
        refusal = check_head(incoming, settings.limits) or check_host(incoming, settings.hosts)
        if refusal is not None:
            return refusal
        websocket = asks_websocket(incoming)
        key = _bearer(incoming) or (key_in_protocol(incoming) if websocket else b"")
        client = settings.keys.name_of(key)
        ephemeral = None
        if client is None and settings.issued(key) and path_of(incoming.target).startswith("/v1/realtime"):
            client, ephemeral = EPHEMERAL, Secret(key.decode("ascii"))
        if client is None and incoming.via == "forward" and settings.foreign_keys == "pass":
            return Admission(incoming=incoming, client=NO_CLIENT, headers=incoming.headers, foreign=True)
        refusal = check_page(incoming, settings.hosts) or check_path(incoming.target)
        if refusal is not None:
            return refusal
        path = path_of(incoming.target)
        if incoming.via == "base_url" and path in LOCAL_PATHS:
            return _local(incoming, client)
        if incoming.via == "base_url" and path == METRICS_PATH and settings.metrics != "off":
            return (
                self._unknown_key(incoming)
                if client is None and settings.metrics == "key"
                else _local(incoming, client)
            )
        if incoming.via == "base_url" and path.startswith(CONTROL_PREFIX) and settings.controls(_bearer(incoming)):
            return _local(incoming, None)
        if not path.startswith("/v1/"):
            return refuse(
                404,
                "unknown_url",
                f"There is nothing here; the OpenAI API is below /v1/, so use {settings.endpoint} as base URL.",
            )
        if client is None:
            return self._unknown_key(incoming)
        if websocket:
            refusal = check_upgrade(incoming)
            if refusal is not None:
                return refusal
        if (incoming.content_length or 0) > settings.limits.max_body_bytes:
            mib = settings.limits.max_body_bytes // 2**20
            return refuse(
                413,
                REQUEST_TOO_LARGE,
                f"The body is larger than {mib} MiB; raise limits.max_body_mib to let it through.",
            )
        headers = strip(incoming.headers)
        return Admission(
            incoming=incoming,
            client=client,
            headers=without_keys(headers) if websocket else headers,
            websocket=websocket,
            ephemeral=ephemeral,
        )

    def _unknown_key(self, incoming: Incoming) -> Refusal:
        if incoming.via == "forward":
            return self._unknown_forward_key(incoming)
        carried = b"".join(values(incoming, b"authorization")).lower() not in {b"", b"bearer"}
        message = (
            "The request carries a key that is not a local key of this proxy, and it was not passed on:"
            f" {self._advice}. Keys of OpenAI accounts belong in the vault (`codex-manager add`)."
            if carried
            else f"The request has no `Authorization: Bearer` key: {self._advice}."
        )
        return refuse(401, INVALID_API_KEY, message, headers=((b"WWW-Authenticate", b"Bearer"),))

    def _unknown_forward_key(self, incoming: Incoming) -> Refusal:
        """The tool knows nothing of us: it is told which variable to set, and how to be let through instead."""
        key = self.settings.public_key or "your local key (`codex-manager config get proxy.api_key`)"
        carried = b"".join(values(incoming, b"authorization")).lower() not in {b"", b"bearer"}
        what = "a key that is not a local key of codex-manager" if carried else "no `Authorization: Bearer` key"
        message = (
            f"The request carries {what}, and HTTPS_PROXY leads it through codex-manager, so it was not passed on: set"
            f" OPENAI_API_KEY (CODEX_API_KEY for Codex) to {key}, or start the tool with `codex-manager run -- ...`. To let"
            " keys of OpenAI through untouched, set proxy.foreign_keys to pass."
        )
        return refuse(401, INVALID_API_KEY, message, headers=((b"WWW-Authenticate", b"Bearer"),))


def _local(incoming: Incoming, client: str | None) -> Admission:
    return Admission(incoming=incoming, client=client or NO_CLIENT, headers=strip(incoming.headers), local=True)


def _bearer(incoming: Incoming) -> bytes:
    """The key of `Authorization: Bearer …`, the scheme in any case; empty without one."""
    scheme, _, key = b"".join(values(incoming, b"authorization")).partition(b" ")
    return key.strip(b" \t") if scheme.lower() == b"bearer" else b""
