"""A base URL that leads back to the listener is recognised, whatever it is called there."""

import socket

import pytest

from codex_manager.proxy.own_address import leads_to


LOOPBACK = frozenset({("127.0.0.1", 8080)})
BOTH = frozenset({("127.0.0.1", 8080), ("::1", 8080)})
EVERYWHERE = frozenset({("0.0.0.0", 8080)})


@pytest.mark.parametrize(
    ("url", "bound", "expected"),
    [
        ("http://127.0.0.1:8080", LOOPBACK, True),
        ("http://localhost:8080", LOOPBACK, True),
        ("http://LOCALHOST:8080/v1", LOOPBACK, True),
        ("http://0.0.0.0:8080", LOOPBACK, True),
        ("http://[::ffff:127.0.0.1]:8080", LOOPBACK, True),
        ("http://[::ffff:7f00:1]:8080", LOOPBACK, True),
        ("http://[::ffff:0.0.0.0]:8080", LOOPBACK, True),
        ("http://[::ffff:127.0.0.1]:8081", LOOPBACK, False),
        ("http://127.0.0.1:8081", LOOPBACK, False),
        ("http://127.0.0.2:8080", LOOPBACK, False),
        ("http://[::1]:8080", LOOPBACK, False),
        ("http://[::1]:8080", BOTH, True),
        ("http://127.0.0.2:8080", EVERYWHERE, True),
        ("https://localhost:8080", EVERYWHERE, True),
        ("https://api.openai.com", LOOPBACK, False),
        ("https://192.0.2.7:8080", EVERYWHERE, False),
        ("https://does-not-exist.invalid:8080", LOOPBACK, False),
        ("http://127.0.0.1:8080", frozenset(), False),
    ],
)
def test_a_loop_is_recognised_by_address_not_by_name(url, bound, expected):
    assert leads_to(url, bound) is expected


def test_names_are_looked_up_only_for_a_port_of_ours(monkeypatch):
    """So the usual https upstream costs no lookup at start or reload."""
    asked = []

    def look_up(*name, **_):
        asked.append(name)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert not leads_to("https://api.openai.com", LOOPBACK)
    assert asked == []


def test_a_name_that_resolves_here_is_ours(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    assert leads_to("https://rebind.example:8080", LOOPBACK)
