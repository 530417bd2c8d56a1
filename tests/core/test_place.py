"""Where an account is reached is judged from its settings alone."""

import pytest

from codex_manager.core.account import Account
from codex_manager.core.place import place_of
from codex_manager.core.secret import Secret


OURS = frozenset({("127.0.0.1", 8080)})


def place(base_url=None, key="sk-key"):
    return place_of(Account(id="a", label="a", api_key=Secret(key), base_url=base_url), "https://api.openai.com", OURS)


@pytest.mark.parametrize(
    ("base_url", "origin", "prefix"),
    [
        (None, "https://api.openai.com:443", ""),
        ("https://EU.example/v1/", "https://eu.example:443", ""),
        ("http://[::1]:9000/openai/v1", "http://[::1]:9000", "/openai"),
        ("http://localhost:8081", "http://localhost:8081", ""),
    ],
)
def test_places(base_url, origin, prefix):
    assert (place(base_url).origin, place(base_url).prefix, place(base_url).unusable) == (origin, prefix, None)


@pytest.mark.parametrize(
    ("base_url", "key", "why"),
    [
        (None, "", "key"), (None, "sk key", "key"), (None, "sk-\n", "key"), ("ftp://x", "k", "not one"), ("https://[", "k", "not one"),
        ("https://x:port", "k", "not one"), ("http://localhost:8080/v1", "k", "this proxy itself"),
        ("http://[::1]:8080", "k", "this proxy itself"),
    ],
)  # fmt: skip
def test_what_can_never_be_sent_to_says_why(base_url, key, why):
    assert why in place(base_url, key).unusable
