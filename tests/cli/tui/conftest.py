"""The page's own clock stands still, so that screens can be compared."""

import time
import types

import pytest

from tests.cli.tui.stage import NOW


set_zone = getattr(time, "tzset", lambda: None)


@pytest.fixture
def still(monkeypatch):
    """It is `NOW` for the views, in UTC."""
    from codex_manager_cli.tui.views import accounts, live, routing

    clock = types.SimpleNamespace(time=lambda: NOW, monotonic=lambda: 1000.0)
    for view in (accounts, live, routing):
        monkeypatch.setattr(view, "time", clock)
    monkeypatch.setenv("TZ", "UTC")
    set_zone()
    yield
    monkeypatch.undo()
    set_zone()
