"""Bars are in proportion, and what is more than nothing shows."""

from codex_manager_cli.bars import bars, can_draw


def test_bars_are_in_proportion_and_end_in_their_amounts():
    drawn = bars([("mon", 2.0, "$2"), ("tue", 1.0, "$1"), ("wed", 0.0, "$0"), ("thursday", 0.001, "$0.001")], cells=8)
    assert drawn.splitlines() == [
        "mon       $2      ████████",
        "tue       $1      ████",
        "wed",
        "thursday  $0.001  ▏",
    ]


def test_eighths_make_it_fine_and_hashes_do_where_they_cannot():
    rows = [("a", 16.0, "16"), ("b", 9.0, "9")]
    assert bars(rows, cells=2).splitlines()[1] == "b  9   █▏"
    assert bars(rows, cells=4, plain=True).splitlines() == ["a  16  ####", "b  9   ##"]


def test_nothing_is_drawn_of_nothing():
    assert bars([]) == ""
    assert bars([("a", 0.0, "0")]) == ""


def test_who_can_carry_blocks():
    assert can_draw("utf-8")
    assert not can_draw("ascii")
    assert not can_draw("no-such-encoding")
    assert not can_draw(None)
