"""What can be configured: sections, keys, defaults, bounds and the sentence that explains each.

The tables of docs/configuration.md are made from this file. It judges each value by itself; what two values mean
together is in `checks`, where values come from in `load`.

Law: types are strict (a number is not a word), unknown keys are refused, and an instance never changes.
"""

import ipaddress
import zoneinfo

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from codex_manager.config import address
from codex_manager.config.prices import PricesSection
from codex_manager.core.secret import Secret


__all__ = [
    "DEFAULT_LOCAL_KEYS",
    "Config",
    "ForwardSection",
    "InspectionSection",
    "LimitsSection",
    "LoggingSection",
    "MeteringSection",
    "MetricsSection",
    "PollingSection",
    "PricesSection",
    "ProxySection",
    "RoutingSection",
    "UiSection",
    "UpdatesSection",
    "UpstreamSection",
    "WebSection",
]

DEFAULT_LOCAL_KEYS = ("sk-codex-manager", "sk-codex-account-manager")
"""Ours and the original product's; both are accepted while `proxy.api_key` is one of them."""


def _local_key(value: object) -> Secret:
    if isinstance(value, Secret):
        value = value.reveal()
    if not isinstance(value, str):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004 - pydantic takes a ValueError as a finding
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be plain ASCII without spaces, because it travels in a header")
    if not 1 <= len(value) <= 512:
        raise ValueError("must be 1 to 512 characters long")
    return Secret(value)


def _bind_addr(text: str) -> str:
    return str(address.parse_address(text))


def _page_addr(text: str) -> str:
    parsed = address.parse_address(text)
    if not address.is_loopback(parsed.host):
        raise ValueError(
            "must be on this machine itself, such as 127.0.0.1:8081; whoever sees the page can manage accounts"
        )
    return str(parsed)


def _proxy_url(text: str) -> str:
    address.url_address(text)
    return text


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address.check_host(bare)
    except ValueError:
        raise ValueError("must list host names or IP addresses, without scheme and port") from None
    return bare.lower().rstrip(".")


def _host_name(text: str) -> str:
    name = _host(text)
    if address.is_literal(name):
        raise ValueError("must list host names; a certificate of ours is never valid for an address")
    return name


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
        if "%" in text:  # a zone is a name of an interface
            raise ValueError
        return str(network)
    except ValueError:
        raise ValueError("must list networks or addresses, such as 10.0.0.0/8 or 192.168.1.5") from None


def _file(text: str) -> str:
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~somebody who is not there
        raise ValueError("names the home of an unknown user") from None
    if not path.is_absolute():
        raise ValueError("must be an absolute path, or start with ~/")
    return str(path)


def _timezone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # not found, not a key, or a folder of the zone files
        raise ValueError("must be a time zone such as UTC or Europe/Berlin") from None
    return text


def _setting(default: Any, description: str, *, unit: str = "", hot: bool = True, **bounds: Any) -> Any:
    """A field with what the documentation needs; `hot` says whether a running proxy takes a change over."""
    return Field(default, description=description, json_schema_extra={"unit": unit, "hot": hot}, **bounds)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ProxySection(_Section):
    """The listener: where clients connect, and which of them are let in."""

    bind_addr: Annotated[str, AfterValidator(_bind_addr)] = _setting(
        "127.0.0.1:8080",
        "Where the proxy listens: `host:port`, IPv6 as `[::1]:8080`; port 0 takes a free one. Anything but this machine"
        " itself needs an `api_key` of your own.",
        hot=False,
    )
    api_key: Annotated[Secret, PlainValidator(_local_key)] = _setting(
        Secret(DEFAULT_LOCAL_KEYS[0]),
        "The local key clients send instead of an OpenAI key. While it is a default one, both default keys"
        " (`sk-codex-manager`, `sk-codex-account-manager`) are accepted.",
    )
    openai_base_url: Annotated[str, AfterValidator(address.normal_base_url)] = _setting(
        "https://api.openai.com",
        "Where requests go. A trailing slash and a trailing `/v1` are dropped, because clients send that part of the path."
        " https only; plain http to this machine itself.",
    )
    foreign_keys: Literal["reject", "pass"] = _setting(
        "reject", "What happens to a request with a key that is not ours: refuse it, or send it on as it came."
    )
    response_headers: bool = _setting(
        True,
        "Whether answers carry `X-Account-ID`, `X-Account-Label`, `X-Routing-Strategy`, `X-Retry-Count` and"
        " `X-Codex-Manager-Request-Id`.",
    )
    allowed_hosts: Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], Field(strict=False)] = _setting(
        (), "Host names, besides loopback and the bind address, under which clients may call the proxy.", max_length=100
    )


class ForwardSection(_Section):
    """The listener as a forward proxy (`HTTPS_PROXY`). A CONNECT to OpenAI is served from the vault, others are tunnelled."""

    enabled: bool = _setting(True, "Whether clients may use the listener as `HTTPS_PROXY`.")
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host_name)], ...], Field(strict=False)] = _setting(
        (),
        "Hosts to serve from the vault, besides `api.openai.com` and an `openai.com` host in `proxy.openai_base_url`, such"
        " as `eu.api.openai.com`. Their requests go where the chosen account's base URL leads. A change makes a new"
        " certificate authority.",
        max_length=100,
    )
    tunnel: bool = _setting(
        True,
        "Whether connections to all other hosts are tunnelled, byte for byte and unopened, or refused. Clients on other"
        " machines need a local key as the proxy's password.",
    )
    plain_http: bool = _setting(False, "Whether plain `http://` requests to other hosts are passed on, or refused.")
    allow_private: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Field(strict=False)] = _setting(
        (),
        "Networks of this machine and its surroundings to which tunnels may lead; without this, never to loopback, private,"
        " link-local and other addresses that are not public. Metadata services and this proxy itself stay forbidden.",
        max_length=100,
    )


class RoutingSection(_Section):
    """Which account serves a request, and how long others are tried."""

    strategy: Literal["least_utilized", "round_robin", "priority", "sticky"] = _setting(
        "least_utilized",
        "How an account is chosen: the one with most room, each in turn by weight, the highest priority first, or"
        " always the same one for a conversation.",
    )
    min_request_interval_ms: int = _setting(
        100,
        "Spreads bursts: an account used less than this ago is passed over while another one is at hand. 0 turns it off.",
        unit="ms",
        ge=0,
        le=3_600_000,
    )
    pace: bool = _setting(
        False, "Make `min_request_interval_ms` a real pace: a request waits rather than use an account too early."
    )
    max_inline_wait_s: float = _setting(
        5.0,
        "How long a request waits for an account to recover when all are limited, before it is answered with 429.",
        unit="s",
        ge=0,
        le=600,
    )
    max_waiting: int = _setting(
        32,
        "How many requests may wait so at the same time; the rest are answered at once.",
        unit="requests",
        ge=0,
        le=10_000,
    )
    max_attempts: int = _setting(5, "Most attempts for one request, the first included.", unit="attempts", ge=1, le=50)
    max_domains: int = _setting(
        3, "Most organizations and projects tried for one request.", unit="organizations", ge=1, le=50
    )
    attempt_budget_s: float = _setting(
        60.0, "No new attempt starts later than this after the request came in.", unit="s", ge=0, le=3600
    )
    retry_ratio: float = _setting(
        0.2,
        "Attempts beyond the first may be at most this share of all requests of the last 10 s, so that an outage is not"
        " answered with a storm.",
        unit="share",
        ge=0,
        le=1,
    )
    retry_floor: int = _setting(
        10, "This many such attempts in 10 s are always allowed.", unit="attempts", ge=0, le=100_000
    )
    hold_headers_ms: int = _setting(
        3000,
        "OpenAI may answer 200 and then fail before its first word. A stream's headers wait this long for that word; after that"
        " they go out, and the stream can still move to another account until its first output.",
        unit="ms",
        ge=0,
        le=60_000,
    )
    encrypted_reasoning: Literal["wait", "strip", "fail"] = _setting(
        "wait",
        "Encrypted reasoning can be read only by the account that made it. When that one is limited: `wait` treats the request like"
        " any other that belongs to one account, `strip` leaves that reasoning out (logged) and goes on elsewhere, `fail` refuses"
        " at once.",
    )
    merge_lists: bool = _setting(
        True,
        "Whether lists of things that live in one account each (files, batches, vector stores, fine-tuning jobs, assistants,"
        " containers, …) show those of all accounts as one; otherwise those of whichever account serves the request.",
    )
    ambiguous_replay: Literal["none", "stateless"] = _setting(
        "none",
        "After a timeout or a cut before the answer began, OpenAI may have done the work: `none` never repeats such a"
        " request, `stateless` repeats it once where nothing can be created twice (it may be billed twice).",
    )


class PollingSection(_Section):
    """Reading usage from OpenAI for accounts that have an admin key. Limits count the larger of its figure and our own."""

    enabled: bool = _setting(True, "Whether usage is read from OpenAI in the background.")
    interval_seconds: int = _setting(300, "How often.", unit="s", ge=10, le=86_400)


class MeteringSection(_Section):
    """Counting tokens and dollars, and holding spending limits."""

    enabled: bool = _setting(
        True, "Whether usage is counted. Without it nothing is recorded and no spending limit is held."
    )
    stream_usage: Literal["inject", "estimate"] = _setting(
        "inject",
        "OpenAI reports a chat stream's usage only when asked. `inject` asks for it and takes the extra event out again, so that"
        " the client sees what it would have seen; `estimate` leaves the request alone and estimates.",
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = _setting(
        "UTC",
        "Time zone in which days and months begin, such as `Europe/Berlin`. OpenAI's own days are UTC.",
    )
    warn_at: float = _setting(0.8, "Share of a spending limit at which a warning is given.", unit="share", ge=0.1, le=1)
    retention_days: int = _setting(
        90,
        "How long single requests are kept in the ledger; totals by hour, day and month are kept for ever.",
        unit="days",
        ge=1,
        le=3650,
    )


class MetricsSection(_Section):
    """`GET /metrics`: requests, errors, tokens, dollars and times for Prometheus."""

    enabled: bool = _setting(True, "Whether `/metrics` is there.")
    open: bool = _setting(
        False,
        "Let anybody who can reach the listener read it; otherwise it takes a local key. It names accounts, clients and what"
        " they spend.",
    )


class UpstreamSection(_Section):
    """The way to OpenAI. Proxy variables of the environment (`HTTPS_PROXY`) are never used."""

    ca_file: Annotated[str, AfterValidator(_file)] | None = _setting(
        None, "A PEM file with certificate authorities to trust in addition to the system's."
    )
    proxy: Annotated[str, AfterValidator(_proxy_url)] | None = _setting(
        None, "An http:// or https:// proxy that leads to the Internet, such as a company's.", repr=False
    )
    connect_timeout_s: float = _setting(10.0, "For a connection, TLS included.", unit="s", ge=0.1, le=300)
    header_timeout_s: float = _setting(
        600.0,
        "From the request sent to the head of the answer. Reasoning models take minutes.",
        unit="s",
        ge=1,
        le=7200,
    )
    idle_timeout_s: float = _setting(600.0, "Longest silence inside an answer.", unit="s", ge=1, le=7200)


class LimitsSection(_Section):
    """What a client may send."""

    max_header_kib: int = _setting(64, "Largest block of request headers.", unit="KiB", ge=1, le=1024)
    max_headers: int = _setting(100, "Most request headers.", unit="headers", ge=10, le=1000)
    header_deadline_s: float = _setting(15.0, "A client must have sent its headers by then.", unit="s", ge=1, le=300)
    replay_body_mib: int = _setting(
        32,
        "Larger request bodies are streamed and not kept, so they cannot be sent again with another account.",
        unit="MiB",
        ge=0,
        le=1024,
    )
    max_body_mib: int = _setting(512, "Larger request bodies are refused.", unit="MiB", ge=1, le=102_400)


class LoggingSection(_Section):
    """What a proxy says while it runs: on stderr, and in a file where it runs in the background."""

    level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "What is said: everything, news, what is wrong, or only what fails.", hot=False
    )
    format: Literal["text", "json"] = _setting(
        "text", "Lines for people, or an object a line with time, level, logger and message.", hot=False
    )
    file: Annotated[str, AfterValidator(_file)] | None = _setting(
        None,
        "A file to write it to, too. In the background it is `proxy.log` in the data folder unless this names another.",
        hot=False,
    )
    max_mib: int = _setting(10, "The file is put aside at this size.", unit="MiB", ge=1, le=10_240, hot=False)
    backups: int = _setting(3, "So many that were put aside are kept.", unit="files", ge=0, le=100, hot=False)


class WebSection(_Section):
    """`codex-manager web`: the page that shows calls as they happen, and manages accounts and settings."""

    address: Annotated[str, AfterValidator(_page_addr)] = _setting(
        "127.0.0.1:8081",
        "Where the page is served; on this machine itself only, because whoever sees it can manage accounts. Port 0 takes a"
        " free one.",
        hot=False,
    )
    open_browser: bool = _setting(True, "Whether `codex-manager web` opens the page in a browser.", hot=False)


class InspectionSection(_Section):
    """What `codex-manager web` keeps of the traffic for the page. `codex-manager proxy` keeps nothing."""

    max_flows: int = _setting(
        2000,
        "Most requests in the list. The oldest that are over leave it; none that still runs is touched.",
        unit="flows",
        ge=10,
        le=100_000,
    )
    max_mib: int = _setting(
        128, "Most memory for what the list keeps: bodies and WebSocket messages.", unit="MiB", ge=1, le=65_536
    )
    body_kib: int = _setting(
        512,
        "This much is kept of the beginning of each answer. Requests are kept whole, up to limits.replay_body_mib.",
        unit="KiB",
        ge=0,
        le=1_048_576,
    )
    streams: bool = _setting(True, "Whether streams are kept as well, readable while they run.")


class UiSection(_Section):
    """How the page of `codex-manager web` looks, unless a browser has chosen otherwise on the page."""

    theme: Literal["system", "light", "dark"] = _setting("system", "Colours: as the system has them, light, or dark.")
    language: Literal["browser", "en", "de"] = _setting(
        "browser", "Language: the browser's, English, or German. The command line speaks English."
    )


class UpdatesSection(_Section):
    """Word of newer releases. Nobody is asked and nothing is said unless you want it."""

    check: bool = _setting(
        False,
        "Whether commands on a terminal say, at most once a day, that a newer release is out. The package index that your pip"
        " or uv is set up with is asked for it in the background, once a day, and learns the name of the package only.",
    )


class Config(_Section):
    """The whole configuration, valid."""

    proxy: ProxySection = ProxySection()
    forward: ForwardSection = ForwardSection()
    routing: RoutingSection = RoutingSection()
    metering: MeteringSection = MeteringSection()
    prices: PricesSection = PricesSection()
    polling: PollingSection = PollingSection()
    metrics: MetricsSection = MetricsSection()
    upstream: UpstreamSection = UpstreamSection()
    limits: LimitsSection = LimitsSection()
    logging: LoggingSection = LoggingSection()
    web: WebSection = WebSection()
    inspection: InspectionSection = InspectionSection()
    ui: UiSection = UiSection()
    updates: UpdatesSection = UpdatesSection()

    @property
    def local_keys(self) -> tuple[Secret, ...]:
        """The keys clients may send, besides named ones: the configured one, or both defaults."""
        if self.has_default_key:
            return tuple(Secret(key) for key in DEFAULT_LOCAL_KEYS)
        return (self.proxy.api_key,)

    @property
    def has_default_key(self) -> bool:
        """Whether `proxy.api_key` is one everybody knows."""
        return any(self.proxy.api_key == Secret(key) for key in DEFAULT_LOCAL_KEYS)
