"""Columns line up on a terminal, whatever the letters are."""

from codex_manager.core.telling.columns import columns, right


def test_a_column_is_as_wide_as_its_widest_cell_on_a_terminal():
    assert columns([("a", "b", "c"), ("größe", "🚀", "x"), ("e\u0301", "中文", "")]).splitlines() == [
        "a      b     c",
        "größe  🚀    x",
        "e\u0301      中文  ",
    ]


def test_numbers_are_flush_right():
    assert right([("name", "n", "x"), ("a", "123", "y")], first=1, last=2) == [("name", "  n", "x"), ("a", "123", "y")]
