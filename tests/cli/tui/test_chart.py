"""Columns are as high as their amounts, and fit."""

import pytest

from codex_manager_cli.tui.chart import columns_chart


def drawn(bars, width=40, height=6, write=str):
    return columns_chart(bars, width, height, write).plain.splitlines()


def test_what_is_above_nothing_is_never_drawn_as_nothing():
    lines = drawn([("a", 100_000.0), ("b", 0.0001), ("c", 0.0)], write=lambda amount: f"{amount:.0f}")
    assert "█" in lines[0]
    assert lines[-2].count("▁") == 8
    assert lines[-1].split() == ["a", "b", "c"]


@pytest.mark.parametrize("width", [20, 40, 78, 158])
@pytest.mark.parametrize("number", [1, 12, 24, 30])
def test_it_is_as_wide_and_high_as_it_may_be(width, number):
    lines = drawn([(f"{hour:02}", hour * 1.5) for hour in range(number)], width, 8, lambda amount: f"${amount:.2f}")
    assert len(lines) == 8
    assert max(map(len, lines)) <= width


def test_labels_that_would_touch_are_left_out():
    labels = drawn([(f"{day}", 1.0) for day in range(1, 31)], 40, 5, lambda _: "1")[-1].split()
    assert labels
    assert set(labels) <= {str(day) for day in range(1, 31)}


def test_nothing_at_all_is_a_chart_too():
    assert drawn([], write=lambda amount: f"{amount:.0f}")[0].strip() == "0"
