"""Who comes again gets what is new, in order, and is told what they missed."""

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.proxy.numbered import Numbered


@given(st.integers(1, 8), st.integers(0, 30), st.integers(0, 40), st.integers(1, 12))
def test_the_newest_after_a_number_in_order_and_how_many_are_missing(most, count, after, limit):
    row: Numbered[int] = Numbered(most)
    for number in range(1, count + 1):
        row.add(number)
    found = row.after(after, limit)
    known = after if after <= count else 0
    assert found.last == count
    assert [number for number, _ in found] == [item for _, item in found]
    assert list(found.items) == list(range(1, count + 1))[known:][-min(limit, most) :]
    assert found.missed + len(found.items) == count - known


def test_what_is_forgotten_keeps_its_numbers():
    row: Numbered[str] = Numbered(3)
    row.add("a")
    row.clear()
    assert row.after(0, 5).missed == 1
    row.add("b")
    assert list(row.after(1, 5)) == [(2, "b")]
