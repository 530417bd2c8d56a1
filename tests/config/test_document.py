import os
import stat

import pytest

from codex_manager.config import document
from codex_manager.config.errors import ConfigError


def test_values_come_with_their_lines():
    found = document.parse("# c\nproxy:\n  api_key: x\n\nrouting: {pace: true}\n", "config.yaml")
    assert found.values == {"proxy": {"api_key": "x"}, "routing": {"pace": True}}
    assert found.where("proxy", "api_key") == "config.yaml line 3"
    assert found.where("routing", "pace") == "config.yaml line 5"
    assert found.where("ui", "theme") == "config.yaml"


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "{}", "proxy:\n", "proxy: ~\n"])
def test_an_empty_file_or_section_has_no_values(text):
    assert document.parse(text, "c").values in ({}, {"proxy": {}})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n", "c line 1: settings stand here as `section:`"),
        ("hello\n", "c line 1: settings stand here as `section:`"),
        ("\n[a]\n", "c line 2: settings stand here as `section:`"),
        ("proxy:\n\tapi_key: x\n", "c line 2: YAML is indented with spaces, and this line starts with a tab"),
        ("proxy:\n  api_key: x\n  api_key: y\n", "c line 3: proxy.api_key is already on line 2"),
        ("proxy: {}\nproxy: {}\n", "c line 2: proxy is already on line 1"),
        ("proxy:\n  api_key: *topsecret\n", "c line 2: a value must not start with & or *"),
        ("proxy:\n  api_key: &topsecret x\n", "c line 2: a value must not start with & or *"),
        ("proxy:\n  api_key: !topsecret x\n", "c line 2: this value has a YAML tag (!)"),
        ("proxy: !!python/object/apply:os.system [topsecret]\n", "c line 1: this value has a YAML tag (!)"),
        ("proxy:\n  api_key: 'topsecret\n", "c line 3: this is not YAML"),
        ('proxy:\n  api_key: "topsecret\\q"\n', "c line 2: this is not YAML"),
        ("proxy:\n api_key: x\n  a: topsecret\n", "c line 3: this is not YAML"),
        ("a: topsecret: b\n", "c line 1: this is not YAML"),
        ("a: 1\n---\nb: 2\n", "c line 2: this is not YAML: only one document is allowed"),
        ("proxy:\n  api_key: \x01topsecret\n", "c line 2: a control character stands here"),
        ("proxy:\n  api_key: 2026-99-99\n", "c line 2: this value cannot be read as the number or date it looks like"),
        ("proxy:\n  api_key: " + "9" * 5000, "c line 2: this value cannot be read as the number or date it looks like"),
        ("proxy:\n  bind_addr: [::1]:8080\n", "c line 2: this is not YAML"),
        ("? {a: b}\n: b\n? [c]\n: d\n", "c line 3: a key is already on line 1"),
        ("[" * 1200, "c"),
        ("x: " + "[" * 1200, "c"),
    ],
)
def test_what_is_not_settings_is_one_sentence_with_a_line(text, sentence):
    """Nothing of the text is repeated: it may be a key."""
    with pytest.raises(ConfigError) as caught:
        document.parse(text, "c")
    assert str(caught.value).startswith(sentence)
    assert "topsecret" not in str(caught.value) + str(caught.value.hint)
    assert "\n" not in str(caught.value)


def test_an_ipv6_address_without_quotes_is_told_the_cure():
    with pytest.raises(ConfigError) as caught:
        document.parse("proxy:\n  bind_addr: [::1]:8080\n", "c")
    assert "quotes" in str(caught.value.hint)


def test_a_missing_file_has_no_text(tmp_path):
    assert document.read_text(tmp_path / "config.yaml") is None
    assert document.read(tmp_path / "config.yaml").values == {}


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    (tmp_path / "c").write_bytes(b"\xef\xbb\xbfproxy:\r\n  api_key: x\r\n")
    found = document.read(tmp_path / "c")
    assert found.values == {"proxy": {"api_key": "x"}}
    assert found.lines[("proxy", "api_key")] == 2


@pytest.mark.parametrize("content", [b"proxy:\n  api_key: \xff\n", "proxy:\n  api_key: x\n".encode("utf-16")])
def test_what_is_not_utf8_is_said_so(tmp_path, content):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^c line [12]: this is not UTF-8 text$"):
        document.read(tmp_path / "c")


def test_a_folder_in_its_place_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match="it is a folder"):
        document.read_text(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_pipe_in_its_place_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "c")
    with pytest.raises(ConfigError, match="not a regular file"):
        document.read_text(tmp_path / "c")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said_so(tmp_path):
    (tmp_path / "c").touch(mode=0o000)
    with pytest.raises(ConfigError, match="permission denied"):
        document.read_text(tmp_path / "c")
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0


def test_some_other_big_file_is_refused(tmp_path):
    (tmp_path / "c").write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        document.read_text(tmp_path / "c")
