"""Every key the proxy obeys arrives where it is obeyed."""

from zoneinfo import ZoneInfo

import pytest

from codex_manager.config.schema import Config
from codex_manager.engine.settings import ClientLimits, EngineSettings
from codex_manager.proxy import translate
from codex_manager.proxy.incoming import Limits
from codex_manager.proxy.local_keys import LocalKey, digest


HERE = frozenset({("127.0.0.1", 9999)})


def config(**sections) -> Config:
    return Config.model_validate(sections)


def test_the_defaults_of_both_sides_are_the_same():
    """Who uses the engine without a configuration gets what the configuration says."""
    assert translate.engine_settings(Config(), pinned=None, bound=frozenset()) == EngineSettings()
    assert translate.limits(Config()) == Limits()


def test_every_routing_and_upstream_setting_reaches_the_engine():
    changed = config(
        proxy={"openai_base_url": "https://eu.example/v1/"},
        routing={
            "strategy": "sticky",
            "min_request_interval_ms": 250,
            "pace": True,
            "max_inline_wait_s": 1.5,
            "max_waiting": 3,
            "max_attempts": 2,
            "max_domains": 4,
            "attempt_budget_s": 30.0,
            "retry_ratio": 0.5,
            "retry_floor": 1,
            "ambiguous_replay": "stateless",
        },
        upstream={"connect_timeout_s": 1.0, "header_timeout_s": 2.0, "idle_timeout_s": 3.0},
    )
    assert translate.engine_settings(changed, pinned="id-1", bound=HERE) == EngineSettings(
        base_url="https://eu.example",
        strategy="sticky",
        pinned_account="id-1",
        min_request_interval_s=0.25,
        pace=True,
        max_inline_wait_s=1.5,
        max_waiting=3,
        max_attempts=2,
        max_domains=4,
        attempt_budget_s=30.0,
        retry_ratio=0.5,
        retry_floor=1,
        ambiguous_replay="stateless",
        connect_timeout_s=1.0,
        header_timeout_s=2.0,
        idle_timeout_s=3.0,
        own_addresses=HERE,
    )


def test_every_limit_reaches_the_listener():
    section = {
        "max_header_kib": 1,
        "max_headers": 20,
        "header_deadline_s": 3.0,
        "replay_body_mib": 2,
        "max_body_mib": 5,
    }
    assert translate.limits(config(limits=section)) == Limits(
        header_bytes=1024,
        header_count=20,
        header_deadline_s=3.0,
        replay_body_bytes=2 * 2**20,
        max_body_bytes=5 * 2**20,
    )


@pytest.mark.parametrize(
    ("api_key", "ours", "not_ours"),
    [
        ("sk-codex-manager", ["sk-codex-manager", "sk-codex-account-manager"], ["sk-mine"]),
        ("sk-codex-account-manager", ["sk-codex-manager", "sk-codex-account-manager"], ["sk-mine"]),
        ("sk-mine", ["sk-mine"], ["sk-codex-manager", "sk-codex-account-manager"]),
    ],
)
def test_both_default_keys_open_while_one_of_them_is_configured(api_key, ours, not_ours):
    gate = translate.gate_settings(config(proxy={"api_key": api_key}), (), HERE)
    assert [gate.keys.name_of(key.encode()) for key in ours] == ["default"] * len(ours)
    assert [gate.keys.name_of(key.encode()) for key in not_ours] == [None] * len(not_ours)
    assert gate.public_key == (None if api_key == "sk-mine" else "sk-codex-manager")


def test_named_keys_open_too():
    gate = translate.gate_settings(Config(), [LocalKey("laptop", digest(b"sk-cm-1"))], HERE)
    assert gate.keys.name_of(b"sk-cm-1") == "laptop"


@pytest.mark.parametrize(
    ("bound", "endpoint", "host", "right"),
    [
        ({("127.0.0.1", 9999)}, "http://127.0.0.1:9999/v1", "10.0.0.1", False),
        ({("10.0.0.1", 80), ("127.0.0.1", 80)}, "http://10.0.0.1:80/v1", "10.0.0.1", True),
        ({("0.0.0.0", 80)}, "http://127.0.0.1:80/v1", "10.0.0.1", True),
        ({("::", 80)}, "http://[::1]:80/v1", "fe80::1", True),
        ({("::1", 80)}, "http://[::1]:80/v1", "::1", True),
        (set(), "http://127.0.0.1:8080/v1", "ai.lan", True),
    ],
)
def test_where_the_listener_is_bound_says_which_hosts_are_right(bound, endpoint, host, right):
    gate = translate.gate_settings(config(proxy={"allowed_hosts": ["ai.lan"]}), (), frozenset(bound))
    assert gate.endpoint == endpoint
    assert gate.hosts.is_right(host, "base_url") is right
    assert gate.hosts.is_right("ai.lan", "base_url")
    assert not gate.hosts.is_right(host, "forward")


def test_forward_clients_ask_for_openai_wherever_requests_then_go():
    routed = translate.routed_hosts(config(proxy={"openai_base_url": "https://EU.example:8443"}))
    assert routed == {"api.openai.com", "eu.example"}


def test_foreign_keys_are_passed_only_when_the_user_says_so():
    assert translate.gate_settings(Config(), (), HERE).foreign_keys == "reject"
    assert translate.gate_settings(config(proxy={"foreign_keys": "pass"}), (), HERE).foreign_keys == "pass"


def test_every_metering_setting_reaches_the_engine():
    changed = config(
        metering={"enabled": False, "stream_usage": "estimate", "timezone": "Europe/Berlin", "warn_at": 0.5}
    )
    engine = translate.engine_settings(changed, pinned=None, bound=frozenset())
    assert (engine.metering, engine.stream_usage, engine.warn_at) == (False, "estimate", 0.5)
    assert engine.zone == translate.zone(changed) == ZoneInfo("Europe/Berlin")


def test_only_client_keys_that_may_not_do_everything_are_looked_at():
    keys = (
        LocalKey("free", digest(b"1")),
        LocalKey("cheap", digest(b"2"), daily_limit_usd=2.0),
        LocalKey("small", digest(b"3"), models=("gpt-5-mini*",), monthly_limit_usd=9.0),
    )
    engine = translate.engine_settings(Config(), pinned=None, bound=frozenset(), client_keys=keys)
    assert engine.clients == {
        "cheap": ClientLimits(daily_limit_usd=2.0),
        "small": ClientLimits(models=("gpt-5-mini*",), monthly_limit_usd=9.0),
    }


@pytest.mark.parametrize(
    ("section", "rule"),
    [({}, "key"), ({"open": True}, "open"), ({"enabled": False}, "off"), ({"enabled": False, "open": True}, "off")],
)
def test_the_gate_knows_who_may_read_the_metrics(section, rule):
    assert translate.gate_settings(config(metrics=section), (), frozenset()).metrics == rule
