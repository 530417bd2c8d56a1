import pytest

from codex_manager.config import edit, load, toml_import
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths


ORIGINAL = """\
[proxy]
bind_addr = "127.0.0.1:8081"
api_key = "sk-codex-account-manager"
openai_base_url = "https://api.openai.com/v1"

[routing]
strategy = "RoundRobin"
min_request_interval_ms = 250

[polling]
enabled = false
interval_seconds = 600
backoff_multiplier = 2.0
max_interval_seconds = 3600

[ui]
theme = "default"
refresh_rate_ms = 250
"""


def test_the_originals_configuration_is_taken_over():
    taken = toml_import.from_toml(ORIGINAL, "config.toml")
    assert taken.values == {
        "proxy.bind_addr": "127.0.0.1:8081", "proxy.api_key": "sk-codex-account-manager", "proxy.openai_base_url": "https://api.openai.com/v1",
        "routing.strategy": "round_robin", "routing.min_request_interval_ms": 250,
        "polling.enabled": False, "polling.interval_seconds": 600, "ui.theme": "system",
    }  # fmt: skip
    assert taken.left_out == ("polling.backoff_multiplier", "polling.max_interval_seconds", "ui.refresh_rate_ms")


def test_what_was_taken_over_is_a_valid_configuration(tmp_path):
    paths = Paths(tmp_path, tmp_path)
    (tmp_path / "config.toml").write_text(ORIGINAL)
    edit.set_values(paths, toml_import.from_file(tmp_path / "config.toml").values, {})
    config = load.load(paths, {})
    assert config.has_default_key
    assert config.proxy.openai_base_url == "https://api.openai.com"
    assert config.routing.strategy == "round_robin"


@pytest.mark.parametrize("name", ["config.toml", "config.yaml", "config.yml", "config"])
@pytest.mark.parametrize("kind", ["toml", "yaml"])
def test_a_file_is_known_by_its_ending_or_its_text(tmp_path, name, kind):
    text = {"toml": '[ui]\ntheme = "dark"\n', "yaml": "ui:\n  theme: dark\n"}[kind]
    (tmp_path / name).write_text(text)
    if name != "config" and (kind == "toml") != name.endswith(".toml"):
        with pytest.raises(ConfigError, match=rf"^{name} line \d: "):
            toml_import.from_file(tmp_path / name)
    else:
        assert toml_import.from_file(tmp_path / name).values == {"ui.theme": "dark"}


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("top = 1\n", ("top",)),
        ("[proxy]\nsomething = 1\n", ("proxy.something",)),
        ("[accounts]\nx = 1\n", ("accounts.x",)),
        ('[ui]\ntheme = "solarized"\n', ("ui.theme",)),
        ("", ()),
    ],
)
def test_what_has_no_place_here_is_named(text, left_out):
    assert toml_import.from_toml(text, "c") == toml_import.Taken({}, left_out)


def test_a_mistake_in_the_file_does_not_show_what_stands_there():
    with pytest.raises(ConfigError, match=r"^c line 2: this is not TOML$"):
        toml_import.from_toml("[proxy]\napi_key = topsecret\n", "c")


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        toml_import.from_file(tmp_path / "nothing.toml")
