"""From the configuration, as the user writes it, to what gate, listener and engine are told.

Pure. Law: every key of the configuration that the proxy obeys is named here once; nothing else reads `Config`.
"""

import ssl

from collections.abc import Iterable
from datetime import UTC, tzinfo
from ipaddress import ip_network
from zoneinfo import ZoneInfo

from codex_manager.config.address import Address, is_wildcard, parse_address, url_address
from codex_manager.config.hosts import intercepted_hosts
from codex_manager.config.schema import DEFAULT_LOCAL_KEYS, Config
from codex_manager.engine.settings import ClientLimits, EngineSettings
from codex_manager.engine.transport import Timeouts
from codex_manager.provider.poller import PollerSettings
from codex_manager.proxy.dialer import DialSettings
from codex_manager.proxy.forward import ForwardSettings
from codex_manager.proxy.gate import GateSettings
from codex_manager.proxy.incoming import Limits
from codex_manager.proxy.inspect.limits import RingLimits
from codex_manager.proxy.local_keys import LocalKey, LocalKeys, digest
from codex_manager.proxy.origin import Hosts
from codex_manager.proxy.own_address import Bound


__all__ = [
    "bind_address",
    "engine_settings",
    "forward_settings",
    "gate_settings",
    "limits",
    "poller_settings",
    "ring_limits",
    "routed_hosts",
    "timeouts",
    "zone",
]

DEFAULT_CLIENT = "default"
"""Name of the client that uses `proxy.api_key`."""
UNLIMITED = ClientLimits()


def bind_address(config: Config) -> Address:
    """Where to listen."""
    return parse_address(config.proxy.bind_addr)


def routed_hosts(config: Config) -> frozenset[str]:
    """The upstream's names, in whichever way requests for them come."""
    return intercepted_hosts(config) | {url_address(config.proxy.openai_base_url).host.lower()}


def limits(config: Config) -> Limits:
    """What the listener enforces."""
    section = config.limits
    return Limits(
        header_bytes=section.max_header_kib * 1024,
        header_count=section.max_headers,
        header_deadline_s=section.header_deadline_s,
        replay_body_bytes=section.replay_body_mib * 2**20,
        max_body_bytes=section.max_body_mib * 2**20,
    )


def ring_limits(config: Config) -> RingLimits:
    """What the list of flows may hold, where there is one."""
    return RingLimits(config.inspection.max_flows, config.inspection.max_mib * 2**20)


def forward_settings(config: Config, bound: Bound, tls: ssl.SSLContext | None) -> ForwardSettings:
    """What the listener does as a forward proxy. `tls` is whom to trust as a company's https:// proxy."""
    section = config.forward
    return ForwardSettings(
        enabled=section.enabled,
        hosts=intercepted_hosts(config) if section.enabled else frozenset(),
        tunnel=section.tunnel,
        plain_http=section.plain_http,
        dial=DialSettings(
            allowed=tuple(ip_network(text) for text in section.allow_private),
            own=bound,
            timeout_s=config.upstream.connect_timeout_s,
            proxy=config.upstream.proxy,
            tls=tls,
        ),
    )


def timeouts(config: Config) -> Timeouts:
    """How long the upstream may take."""
    section = config.upstream
    return Timeouts(section.connect_timeout_s, section.header_timeout_s, section.idle_timeout_s)


def gate_settings(config: Config, client_keys: Iterable[LocalKey], bound: Bound) -> GateSettings:
    """Who gets in. `bound` is where the listener really is; before it is bound, what is configured."""
    address = bind_address(config)
    here = [Address(*pair) for pair in sorted(bound)] or [address]
    keys = [LocalKey(DEFAULT_CLIENT, digest(key.reveal().encode())) for key in config.local_keys]
    return GateSettings(
        keys=LocalKeys([*keys, *client_keys]),
        hosts=Hosts(
            listener=frozenset(
                {address.host.lower(), *(place.host.lower() for place in here), *config.proxy.allowed_hosts}
            ),
            routed=routed_hosts(config),
            intercepted=intercepted_hosts(config),
            any_address=any(is_wildcard(place.host) for place in here),
        ),
        foreign_keys=config.proxy.foreign_keys,
        limits=limits(config),
        endpoint=f"http://{_reachable(here)}/v1",
        public_key=DEFAULT_LOCAL_KEYS[0] if config.has_default_key else None,
        metrics=("open" if config.metrics.open else "key") if config.metrics.enabled else "off",
    )


def _reachable(places: list[Address]) -> Address:
    """Where a client on this machine would call: all interfaces include loopback."""
    place = next((place for place in places if ":" not in place.host), places[0])
    loopback = "::1" if ":" in place.host else "127.0.0.1"  # `::` is bound for IPv6 alone
    return Address(loopback, place.port) if is_wildcard(place.host) else place


def zone(config: Config) -> tzinfo:
    """Where days and months begin."""
    name = config.metering.timezone
    return UTC if name == "UTC" else ZoneInfo(name)


def engine_settings(
    config: Config, *, pinned: str | None, bound: Bound, client_keys: Iterable[LocalKey] = ()
) -> EngineSettings:
    """How requests are carried, and what they may cost."""
    routing, upstream, metering = config.routing, config.upstream, config.metering
    return EngineSettings(
        base_url=config.proxy.openai_base_url,
        strategy=routing.strategy,
        pinned_account=pinned,
        min_request_interval_s=routing.min_request_interval_ms / 1000,
        pace=routing.pace,
        max_inline_wait_s=routing.max_inline_wait_s,
        max_waiting=routing.max_waiting,
        max_attempts=routing.max_attempts,
        max_domains=routing.max_domains,
        attempt_budget_s=routing.attempt_budget_s,
        retry_ratio=routing.retry_ratio,
        retry_floor=routing.retry_floor,
        ambiguous_replay=routing.ambiguous_replay,
        encrypted_reasoning=routing.encrypted_reasoning,
        hold_headers_s=routing.hold_headers_ms / 1000,
        connect_timeout_s=upstream.connect_timeout_s,
        header_timeout_s=upstream.header_timeout_s,
        idle_timeout_s=upstream.idle_timeout_s,
        own_addresses=bound,
        metering=metering.enabled,
        stream_usage=metering.stream_usage,
        warn_at=metering.warn_at,
        zone=zone(config),
        clients={key.name: may for key in client_keys if (may := _client_limits(key)) != UNLIMITED},
    )


def poller_settings(config: Config) -> PollerSettings:
    """How OpenAI is asked what accounts have spent. Without metering there is nobody to tell."""
    return PollerSettings(
        enabled=config.polling.enabled and config.metering.enabled,
        interval_s=config.polling.interval_seconds,
        base_url=config.proxy.openai_base_url,
        ca_file=config.upstream.ca_file,
        proxy=config.upstream.proxy,
    )


def _client_limits(key: LocalKey) -> ClientLimits:
    return ClientLimits(models=key.models, daily_limit_usd=key.daily_limit_usd, monthly_limit_usd=key.monthly_limit_usd)
