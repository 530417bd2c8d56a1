"""What the engine can be told. Filled from the configuration by the proxy; replaced whole on a reload."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal


__all__ = ["ClientLimits", "EngineSettings", "Strategy"]

type Strategy = Literal["least_utilized", "round_robin", "priority", "sticky"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What the requests of one local key may do. Limits are US dollars; None is no limit."""

    models: tuple[str, ...] = ()
    """Model scope (see core.models); empty means every model."""
    daily_limit_usd: float | None = None
    monthly_limit_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Seconds unless the name says otherwise; the defaults are those of docs/configuration.md."""

    base_url: str = "https://api.openai.com"
    strategy: Strategy = "least_utilized"
    pinned_account: str | None = None
    """Account id set by `switch`; overrides the strategy, not blocks."""
    min_request_interval_s: float = 0.1
    """An account used less than this ago is passed over while another is at hand; 0 turns it off."""
    pace: bool = False
    """Make `min_request_interval_s` a real pace that delays requests."""
    max_inline_wait_s: float = 5.0
    max_waiting: int = 32
    max_attempts: int = 5
    max_domains: int = 3
    attempt_budget_s: float = 60.0
    """No new attempt starts later than this after the request came."""
    retry_ratio: float = 0.2
    """Retries may be at most this share of the requests of the last 10 s …"""
    retry_floor: int = 10
    """… but this many are always allowed in 10 s."""
    ambiguous_replay: Literal["none", "stateless"] = "none"
    encrypted_reasoning: Literal["wait", "strip", "fail"] = "wait"
    """What becomes of a conversation whose reasoning only one account can read, while that account is out."""
    hold_headers_s: float = 3.0
    """A stream's headers wait this long for its first output."""
    connect_timeout_s: float = 10.0
    header_timeout_s: float = 600.0
    idle_timeout_s: float = 600.0
    own_addresses: frozenset[tuple[str, int]] = frozenset()
    """Where our own listener is reachable; an upstream there is refused."""
    metering: bool = True
    """Count usage and hold limits; only where the engine was given someone who knows prices."""
    stream_usage: Literal["inject", "estimate"] = "inject"
    """How a chat stream's usage is known when the client does not ask for it."""
    warn_at: float = 0.8
    """Share of a limit."""
    zone: tzinfo = UTC
    """Where days and months begin."""
    clients: Mapping[str, ClientLimits] = field(default_factory=dict)
    """By name of the local key; whoever is not here may do everything."""
