import os
import stat
import subprocess
import sys

import pytest

from codex_manager.config import edit, load
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager.config.template import template


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home", tmp_path / "home")


def given(paths, text):
    paths.make_dirs()
    paths.config_file.write_text(text)


def leftovers(paths):
    return sorted(
        path.name for path in paths.config_dir.iterdir() if path.name not in {"config.yaml", "config.yaml.lock"}
    )


def test_the_first_setting_makes_the_file(paths):
    loaded = edit.set_text(paths, "routing.strategy", "priority", {})
    assert loaded.config.routing.strategy == "priority"
    assert load.load(paths, {}).routing.strategy == "priority"
    assert stat.S_IMODE(paths.config_file.stat().st_mode) == 0o600
    assert leftovers(paths) == []


def test_comments_and_order_stay(paths):
    given(paths, "# mine\nui: {theme: dark}  # night\n\nproxy:\n  # why\n  foreign_keys: pass\n")
    edit.set_text(paths, "ui.theme", "light", {})
    edit.set_text(paths, "proxy.response_headers", "false", {})
    assert paths.config_file.read_text() == (
        "# mine\nui: {theme: light}  # night\n\nproxy:\n  # why\n  foreign_keys: pass\n  response_headers: false\n"
    )
    edit.unset(paths, "proxy.response_headers", {})
    edit.unset(paths, "proxy.response_headers", {})
    assert load.load(paths, {}).proxy.response_headers


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (
            "routing.strategy",
            "fastest",
            'config.yaml: routing.strategy must be one of least_utilized, round_robin, priority, sticky, not "fastest"',
        ),
        ("routing.max_attempts", "many", "config.yaml: routing.max_attempts must be a whole number"),
        ("routing.max_attempts", "]", "routing.max_attempts must be a whole number"),
        ("proxy.bind_addr", "0.0.0.0:1", "config.yaml: proxy.bind_addr is 0.0.0.0:1, which other machines can reach"),
        ("limits.max_body_mib", "1", "config.yaml: limits.replay_body_mib is 32"),
        ("routing.strategi", "x", "there is no setting routing.strategi"),
        ("routing", "x", "there is no setting routing"),
    ],
)
def test_a_bad_value_leaves_the_file_as_it_was(paths, key, value, sentence):
    text = "routing:\n  strategy: sticky # mine\n"
    given(paths, text)
    before = paths.config_file.stat()
    with pytest.raises(ConfigError) as caught:
        edit.set_text(paths, key, value, {})
    assert str(caught.value).startswith(sentence)
    assert paths.config_file.read_text() == text
    assert paths.config_file.stat().st_mtime_ns == before.st_mtime_ns
    assert leftovers(paths) == []


def test_a_bad_value_makes_no_file(paths):
    with pytest.raises(ConfigError):
        edit.set_text(paths, "routing.strategy", "fastest", {})
    assert not paths.config_file.exists()


def test_an_override_of_the_environment_does_not_hide_a_bad_value(paths):
    with pytest.raises(ConfigError):
        edit.set_text(paths, "routing.strategy", "fastest", {"CODEX_MANAGER__ROUTING__STRATEGY": "sticky"})


def test_one_bad_value_can_be_mended_by_setting_it(paths):
    given(paths, "routing:\n  strategy: fastest\n")
    edit.set_text(paths, "routing.strategy", "sticky", {})
    assert paths.config_file.read_text() == "routing:\n  strategy: sticky\n"


def test_text_is_taken_as_it_stands(paths):
    edit.set_text(paths, "proxy.api_key", "1234", {})
    edit.set_text(paths, "proxy.bind_addr", "[::1]:9", {})
    config = load.load(paths, {})
    assert (config.proxy.api_key.reveal(), config.proxy.bind_addr) == ("1234", "[::1]:9")


def test_several_settings_change_together_or_not_at_all(paths):
    with pytest.raises(ConfigError):
        edit.set_values(paths, {"routing.pace": True, "routing.strategy": "x"}, {})
    assert not paths.config_file.exists()
    edit.set_values(paths, {"proxy.bind_addr": "0.0.0.0:1", "proxy.api_key": "mine"}, {})
    assert load.load(paths, {}).proxy.bind_addr == "0.0.0.0:1"


def test_a_link_stays_a_link(paths, tmp_path):
    paths.make_dirs()
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "cm.yaml").write_text("ui: {theme: dark}\n")
    paths.config_file.symlink_to(tmp_path / "dotfiles" / "cm.yaml")
    edit.set_text(paths, "ui.theme", "light", {})
    assert paths.config_file.is_symlink()
    assert (tmp_path / "dotfiles" / "cm.yaml").read_text() == "ui: {theme: light}\n"


def test_a_whole_text_replaces_only_what_its_author_saw(paths):
    given(paths, "ui: {theme: dark}\n")
    with pytest.raises(ConfigError, match="changed by somebody else"):
        edit.replace_text(paths, "", {}, instead_of="ui: {theme: light}\n")
    edit.replace_text(paths, "ui: {theme: light}\n", {}, instead_of="ui: {theme: dark}\n")
    with pytest.raises(ConfigError):
        edit.replace_text(paths, "ui: {theme: pink}\n", {})
    assert paths.config_file.read_text() == "ui: {theme: light}\n"


def test_reset_keeps_the_old_file_even_when_it_is_broken(paths):
    assert edit.reset(paths) is False
    paths.config_file.write_bytes(b"\xff[broken")
    assert edit.reset(paths) is True
    assert paths.config_file.with_name("config.yaml.bak").read_bytes() == b"\xff[broken"
    assert paths.config_file.read_text() == template()
    assert stat.S_IMODE(paths.config_file.stat().st_mode) == 0o600


def test_create_never_replaces(paths):
    assert edit.create(paths) is True
    paths.config_file.write_text("ui: {}\n")
    assert edit.create(paths) is False
    assert paths.config_file.read_text() == "ui: {}\n"


def test_the_starter_file_means_the_defaults_and_takes_every_setting(paths):
    edit.create(paths)
    assert set(load.read(paths, {}).origins.values()) == {"default"}
    edit.set_text(paths, "routing.pace", "true", {})
    text = paths.config_file.read_text()
    assert "  #   pace: false\n  pace: true\n" in text
    assert text.replace("  pace: true\n", "") == template()


def test_processes_do_not_lose_each_others_changes(paths):
    """Eight at once, each with its own setting: all eight are in the file."""
    settings = {
        "routing.max_attempts": "7", "routing.max_domains": "7", "routing.max_waiting": "7", "routing.retry_floor": "7",
        "limits.max_headers": "77", "limits.max_header_kib": "7", "polling.interval_seconds": "77", "ui.theme": "dark",
    }  # fmt: skip
    code = (
        "import sys; from codex_manager.config import edit; from codex_manager.config.paths import Paths;"
        "edit.set_text(Paths.locate(), sys.argv[1], sys.argv[2])"
    )
    environ = {**os.environ, "CODEX_MANAGER_HOME": str(paths.config_dir)}
    running = [
        subprocess.Popen([sys.executable, "-c", code, key, value], env=environ) for key, value in settings.items()
    ]
    assert [process.wait(timeout=50) for process in running] == [0] * len(running)
    origins = load.read(paths, {}).origins
    assert {key for key, origin in origins.items() if origin == "file"} == set(settings)
    assert leftovers(paths) == []


def test_a_form_sets_and_unsets_several_settings_at_once(paths):
    given(paths, "ui: {theme: dark}  # night\nprices:\n  gpt-5: {input: 1}\n")
    texts = {
        "routing.max_attempts": "7", "ui.theme": None, "proxy.allowed_hosts": ["one", "Two."], "prices.gpt-5": None,
    }  # fmt: skip
    loaded = edit.set_texts(paths, texts, {})
    assert loaded.config.routing.max_attempts == 7
    assert loaded.config.proxy.allowed_hosts == ("one", "two")
    assert loaded.origins["ui.theme"] == "default"
    assert "# night" in paths.config_file.read_text()
    assert not loaded.config.prices.root


def test_a_form_is_told_what_is_wrong_with_each_field_and_nothing_is_written(paths):
    given(paths, "ui: {theme: dark}\n")
    texts = {
        "routing.max_attempts": "]", "routing.retry_ratio": "2", "ui.theme": "light", "limits.max_body_mib": "1",
        "proxy.api_key": "sk-secret with spaces",
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        edit.set_texts(paths, texts, {})
    assert caught.value.fields == {
        "routing.max_attempts": "routing.max_attempts must be a whole number from 1 to 50",
        "routing.retry_ratio": "routing.retry_ratio must be a number from 0 to 1, not 2",
        "proxy.api_key": "proxy.api_key must be plain ASCII without spaces, because it travels in a header",
    }
    with pytest.raises(ConfigError) as caught:
        edit.set_texts(paths, {"limits.max_body_mib": "1"}, {})
    assert list(caught.value.fields) == ["limits.replay_body_mib"]
    assert paths.config_file.read_text() == "ui: {theme: dark}\n"
    assert leftovers(paths) == []


def test_what_is_wrong_with_a_price_is_told_of_that_price(paths):
    with pytest.raises(ConfigError) as caught:
        edit.set_texts(paths, {"prices.gpt-5": "{input: lots, output: 1}"}, {})
    assert list(caught.value.fields) == ["prices.gpt-5.input"]
    with pytest.raises(ConfigError) as caught:
        edit.set_values(paths, {"prices.gpt-*": {"input": 1}}, {})
    assert list(caught.value.fields) == ["prices.gpt-*"]
