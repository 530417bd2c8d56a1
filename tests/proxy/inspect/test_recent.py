"""The last requests by id: bounded, with their lost attempts, and those who listen told in order."""

import pytest

from codex_manager.core.record import Record
from codex_manager.proxy.bookkeeper import Bookkeeper
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.metrics import Metrics


def record(name, **fields):
    return Record(id=name, time=1.0, client="default", method="POST", endpoint="chat/completions", **fields)


def filled(limit, *names):
    recent = Recent(limit)
    for name in names:
        recent.record(record(name))
    return recent


def test_the_last_ones_are_known_and_older_ones_are_not():
    recent = filled(3, *"abcde")
    assert [each.id for each in recent.latest(10)] == ["e", "d", "c"]
    assert [each.id for each in recent.latest(2)] == ["e", "d"]
    assert recent.get("a") is None
    assert recent.story("a") is None
    assert len(recent) == 3


def test_a_story_has_the_attempts_that_came_to_nothing():
    recent = filled(2, "x")
    lost = record("r-1", detail={"attempt_of": "r"})
    recent.record(lost)
    recent.record(whole := record("r"))
    story = recent.story("r", {"id-1": "Work"})
    assert story is not None
    assert (story.record, story.lost, story.everyone) == (whole, (lost,), ("id-1",))
    assert story.label("id-1") == "Work"
    assert [each.id for each in recent.latest(5)] == ["r", "x"]
    recent.record(record("y"))
    recent.record(record("z"))
    assert recent.story("r") is None
    assert not recent._lost


def test_lost_attempts_of_requests_that_never_end_do_not_pile_up():
    recent = Recent(5)
    for number in range(50):
        recent.record(record(f"{number}-1", detail={"attempt_of": str(number)}))
    assert len(recent._lost) == 5


def test_the_answers_on_a_websocket_belong_together():
    recent = filled(10, "a.1", "b.1", "a.2", "ab.1", "c")
    assert [each.id for each in recent.answers("a")] == ["a.1", "a.2"]
    assert [each.id for each in recent.answers("c")] == ["c"]
    assert recent.answers("nobody") == ()


def test_listeners_are_told_until_they_leave_and_one_that_breaks_harms_nobody(caplog):
    recent = Recent(5)
    told: list[Record] = []

    def broken(_):
        raise ValueError("sk-secret")

    recent.listen(broken)
    leave = recent.listen(told.append)
    recent.record(record("a"))
    leave()
    leave()
    recent.record(record("b"))
    assert [each.id for each in told] == ["a"]
    assert "could not be told" in caplog.text
    assert "sk-secret" not in caplog.text


def test_the_same_callback_may_listen_twice():
    recent = Recent(5)
    told: list[Record] = []
    first, _second = recent.listen(told.append), recent.listen(told.append)
    first()
    recent.record(record("a"))
    assert len(told) == 1


@pytest.mark.parametrize(
    ("records", "name", "said"),
    [(False, "a", "metering.enabled"), (True, None, "not over yet"), (True, "abc", "codex-manager explain abc")],
)
def test_why_there_is_nothing_is_said(records, name, said):
    assert said in Recent(5, records=lambda: records).absence(name)


def test_booking_tells_who_looks_on_and_survives_them(caplog):
    book, recent = Bookkeeper(Metrics()), Recent(5)
    assert book.told is None
    book.record(record("before"))
    book.told = recent.record
    book.record(record("a"))
    assert [each.id for each in recent.latest(5)] == ["a"]

    def broken(_):
        raise ValueError

    book.told = broken
    book.record(record("b"))
    assert "a request was not counted" in caplog.text
