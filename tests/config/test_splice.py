import hypothesis
import pytest
import yaml

from hypothesis import strategies as st

from codex_manager.config.errors import ConfigError
from codex_manager.config.splice import as_yaml, drop, put


FILE = """\
# my settings
proxy:
    # where to listen
    bind_addr:   127.0.0.1:8080   # local

    # extra
# How to route
routing:
    strategy: "priority"
    allowed_hosts:
    - a   # x
    # end
# tail
"""


@pytest.mark.parametrize(
    ("section", "key", "value", "old", "new"),
    [
        ("proxy", "bind_addr", "[::1]:80", "127.0.0.1:8080 ", '"[::1]:80" '),
        ("proxy", "api_key", "abc", "# local\n", "# local\n    api_key: abc\n"),
        ("routing", "strategy", "sticky", '"priority"', "sticky"),
        ("routing", "allowed_hosts", ["b", "c d"], "\n    - a   # x", ' [b, "c d"]   # x'),
        ("routing", "pace", True, "- a   # x\n", "- a   # x\n    pace: true\n"),
        ("ui", "theme", "dark", "# tail\n", "# tail\nui:\n  theme: dark\n"),
    ],
)
def test_nothing_but_the_value_changes(section, key, value, old, new):
    assert put(FILE, "c", section, key, value) == FILE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", "proxy:\n  api_key: x\n"),
        ("# c", "# c\nproxy:\n  api_key: x\n"),
        ("---\n", "---\nproxy:\n  api_key: x\n"),
        ("{}", "{proxy: {api_key: x}}"),
        ("{ui: {}} # c\n", "{ui: {}, proxy: {api_key: x}} # c\n"),
        ("proxy:\n", "proxy:\n  api_key: x\n"),
        ("proxy: # c\nui:\n", "proxy: # c\n  api_key: x\nui:\n"),
        ("proxy: ~\n", "proxy: {api_key: x}\n"),
        ("proxy: {}\n", "proxy: {api_key: x}\n"),
        ("proxy: {a: 1, }\n", "proxy: {a: 1, api_key: x, }\n"),
        ("proxy: {a: 1} # c\n", "proxy: {a: 1, api_key: x} # c\n"),
        ("proxy:\n  api_key:\n", "proxy:\n  api_key: x\n"),
        ("proxy:\n  api_key: '' # c\n", "proxy:\n  api_key: x # c\n"),
        ("proxy:\n  'api_key': \"y\"\n", "proxy:\n  'api_key': x\n"),
        ("proxy:\n  a: >-\n   long\n\nui:\n", "proxy:\n  a: >-\n   long\n\n  api_key: x\nui:\n"),
        ("proxy:\r\n  a: 1\r\nui:\r\n", "proxy:\r\n  a: 1\r\n  api_key: x\r\nui:\r\n"),
        (
            "proxy:\n  # the key\n  #   api_key: y\n  # more\nui:\n",
            "proxy:\n  # the key\n  #   api_key: y\n  api_key: x\n  # more\nui:\n",
        ),
        ("proxy:\n  a: 1", "proxy:\n  a: 1\n  api_key: x"),
    ],
)
def test_a_new_value_finds_its_place(text, after):
    assert put(text, "c", "proxy", "api_key", "x") == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("proxy:\n  api_key: x # c\n  b: 1\n", "proxy:\n  b: 1\n"),
        ("proxy:\n  # about\n  api_key: x\nui:\n", "proxy:\n  # about\nui:\n"),
        ("proxy:\r\n  api_key: x\r\nui:\r\n", "proxy:\r\nui:\r\n"),
        ("proxy: {api_key: x}\n", "proxy: {}\n"),
        ("proxy: {api_key: x, b: 1}\n", "proxy: {b: 1}\n"),
        ("proxy: {b: 1, api_key: x}\n", "proxy: {b: 1}\n"),
        ("proxy:\n  api_key:\n  - a\n  - b # c\n  b: 1\n", "proxy:\n  b: 1\n"),
        ("ui: {}\n", "ui: {}\n"),
        ("proxy:\n", "proxy:\n"),
    ],
)
def test_a_value_goes_without_trace(text, after):
    assert drop(text, "c", "proxy", "api_key") == after


@pytest.mark.parametrize(
    "text", ["a: 1\n...\n", "proxy: 5\n", "- a\n", "proxy: [\n", "proxy:\n  api_key: |\n    x\n  b: 1\n"]
)
def test_what_cannot_be_cut_safely_is_left_to_its_owner(text):
    with pytest.raises(ConfigError) as caught:
        put(text, "c", "proxy", "api_key", "x")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), (True, "true"), (False, "false"), (7, "7"), (0.5, "0.5"), ([], "[]"), (["a", "b c"], '[a, "b c"]'), ("plain", "plain"),
        ("off", '"off"'), ("null", '"null"'), ("123", '"123"'), ("1:30", '"1:30"'), ("", '""'), ("a: b", '"a: b"'), ("a #b", '"a #b"'),
        ("https://x.example:1/v1", "https://x.example:1/v1"), ("sk-abc", "sk-abc"), ("2026-01-01", '"2026-01-01"'),
        ("é", '"é"'), ("\n", '"\\n"'), ("a:", '"a:"'), ("~", '"~"'),
    ],
)  # fmt: skip
def test_a_value_is_written_so_that_it_is_read_back(value, text):
    assert as_yaml(value) == text
    assert yaml.safe_load(text) == value


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(value=st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=20))
def test_any_text_survives(value):
    text = put(FILE, "c", "proxy", "bind_addr", value)
    assert yaml.safe_load(text)["proxy"]["bind_addr"] == value
    assert put(text, "c", "proxy", "bind_addr", "127.0.0.1:8080") == FILE
