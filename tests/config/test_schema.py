import pydantic
import pytest

from codex_manager.config.catalogue import PRICE_FIELDS, PRICES, SECTIONS, SETTINGS, alternatives, plain_values
from codex_manager.config.schema import DEFAULT_LOCAL_KEYS, Config
from codex_manager.core.secret import Secret
from codex_manager.engine.settings import EngineSettings


def test_the_defaults_are_those_of_the_original():
    values = plain_values(Config())
    assert values["proxy.bind_addr"] == "127.0.0.1:8080"
    assert values["proxy.api_key"].reveal() == "sk-codex-manager"
    assert values["proxy.openai_base_url"] == "https://api.openai.com"
    assert values["routing.strategy"] == "least_utilized"
    assert values["routing.min_request_interval_ms"] == 100
    assert (values["polling.enabled"], values["polling.interval_seconds"]) == (True, 300)


def test_configuration_and_engine_have_the_same_defaults():
    config, engine = Config(), EngineSettings()
    assert engine.base_url == config.proxy.openai_base_url
    assert engine.min_request_interval_s * 1000 == config.routing.min_request_interval_ms
    for name in ("strategy", "pace", "max_inline_wait_s", "max_waiting", "max_attempts", "max_domains", "attempt_budget_s",
                 "retry_ratio", "retry_floor", "ambiguous_replay"):  # fmt: skip
        assert getattr(engine, name) == getattr(config.routing, name), name
    for name in ("connect_timeout_s", "header_timeout_s", "idle_timeout_s"):
        assert getattr(engine, name) == getattr(config.upstream, name), name


@pytest.mark.parametrize("key", DEFAULT_LOCAL_KEYS)
def test_both_default_keys_open_while_one_of_them_is_configured(key):
    config = Config.model_validate({"proxy": {"api_key": key}})
    assert config.has_default_key
    assert {secret.reveal() for secret in config.local_keys} == set(DEFAULT_LOCAL_KEYS)


def test_a_key_of_ones_own_is_the_only_one():
    config = Config.model_validate({"proxy": {"api_key": "my-own"}})
    assert not config.has_default_key
    assert config.local_keys == (Secret("my-own"),)


def test_the_local_key_and_a_proxy_password_do_not_show():
    config = Config.model_validate(
        {"proxy": {"api_key": "topsecret"}, "upstream": {"proxy": "http://u:topsecret@p.example:1"}}
    )
    assert "topsecret" not in repr(config) + str(config)


def test_a_configuration_never_changes():
    with pytest.raises(pydantic.ValidationError):
        Config().routing.pace = True


def test_every_setting_explains_itself():
    assert {setting.section for setting in SETTINGS.values()} | {PRICES} == set(SECTIONS)
    assert all(meaning.endswith(".") for meaning in PRICE_FIELDS.values())
    for setting in SETTINGS.values():
        assert setting.description.endswith("."), setting.key
        if setting.kind in {"number", "whole number"}:
            assert setting.unit, setting.key
            assert setting.low is not None, setting.key
            assert setting.high is not None, setting.key


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("routing.strategi", "routing.strategy"),
        ("proxy.strategy", "routing.strategy"),
        ("strategy", "routing.strategy"),
        ("zzz", None),
    ],
)
def test_a_typo_is_understood(typed, meant):
    assert alternatives(typed) == meant


def test_hosts_are_normalised():
    config = Config.model_validate({"proxy": {"allowed_hosts": ["Box.Local.", "[::1]", "10.0.0.1"]}})
    assert config.proxy.allowed_hosts == ("box.local", "::1", "10.0.0.1")


def test_hosts_served_from_the_vault_are_names():
    config = Config.model_validate({"forward": {"hosts": ["EU.api.openai.com."]}})
    assert config.forward.hosts == ("eu.api.openai.com",)
    with pytest.raises(pydantic.ValidationError, match="must list host names"):
        Config.model_validate({"forward": {"hosts": ["10.0.0.1"]}})


@pytest.mark.parametrize("text", ["10.0.0.1/8", "intranet", "10.0.0.0/33", "", "fe80::1%eth0"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(pydantic.ValidationError, match="must list networks or addresses"):
        Config.model_validate({"forward": {"allow_private": [text]}})


def test_networks_are_normalised():
    config = Config.model_validate({"forward": {"allow_private": ["10.0.0.0/8", "192.168.1.5", "FD00::/8"]}})
    assert config.forward.allow_private == ("10.0.0.0/8", "192.168.1.5/32", "fd00::/8")
