"""An isolated home for every test: nothing of the developer's own vault, keys or proxies reaches a test."""

import os

import keyring
import keyring.backends.fail
import pytest


SESSION_VARIABLES = (
    "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CAM_MASTER_KEY",
    "DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND",
)  # fmt: skip


def pytest_report_header() -> str:
    """Name the SQLite version: 3.7.0 to 3.51.2 have the WAL-reset bug (docs/security.md)."""
    import sqlite3

    return f"sqlite {sqlite3.sqlite_version}"


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory, monkeypatch):
    """HOME and CODEX_MANAGER_HOME in a temporary folder; no variable of the session leaks in."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name in SESSION_VARIABLES or name.startswith(("OPENAI_", "CODEX_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("CODEX_MANAGER_HOME", str(home / "codex-manager"))
    keyring.set_keyring(keyring.backends.fail.Keyring())  # not the developer's, and none that a test file defines
    return home / "codex-manager"


@pytest.fixture
def free_port():
    """A port of this machine that refuses connections."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
