"""What belongs to a request; nothing that the record does not hold."""

from decimal import Decimal

import pytest

from tests.core.telling.recorded import HOME, OLD, WORK, record

from codex_manager.core.telling.reasons import Out
from codex_manager.core.telling.story import Story, saved


def test_a_label_is_that_of_the_time_then_that_of_now_then_the_start_of_the_id():
    story = Story(record(), labels={OLD: "old", WORK: "renamed since"})
    assert [story.label(each) for each in (WORK, HOME, OLD, "45678901-x")] == ["work", "home", "old", "(45678901)"]


def test_rows_of_another_shape_are_left_out():
    assert Story(record()).out([[WORK, "rate", "", 1.0], ["x"], []]) == [Out(WORK, "rate", "", 1.0)]


@pytest.mark.parametrize(
    ("said", "usd"),
    [("0.0045", Decimal("0.0045")), (0.5, Decimal("0.5")), ("much", None), ("NaN", None), ("-1", None), (None, None)],
)
def test_what_was_saved_is_money_or_unknown(said, usd):
    assert saved(record(detail={"saved": said})) == usd
    assert saved(record()) is None
