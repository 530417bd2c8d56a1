"""A word about limits that nobody holds."""

from codex_manager.accounts.limits import unheld
from codex_manager.config.paths import Paths


OFF = {"CODEX_MANAGER__METERING__ENABLED": "false"}


def test_a_limit_is_spoken_of_only_where_nothing_is_counted():
    paths = Paths.locate()
    assert unheld(paths, {}, {"daily_limit_usd": 5.0}) is None
    assert unheld(paths, OFF, {"daily_limit_usd": None, "notes": "x"}) is None
    note = unheld(paths, OFF, {"monthly_limit_usd": 5.0})
    assert note is not None
    assert note.is_warning


def test_a_broken_configuration_is_told_by_others():
    assert unheld(Paths.locate(), {"CODEX_MANAGER__METERING__ENABLED": "perhaps"}, {"daily_limit_usd": 5.0}) is None
