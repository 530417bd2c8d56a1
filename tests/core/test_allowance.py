"""One account's limits as a table: what counts, what is left, and how a shortage is told."""

from decimal import Decimal

import pytest

from codex_manager.core.allowance import MOST_FRESH, Allowance, Purse, Shortage, dollars
from codex_manager.core.window import Span


DAY = Span(0.0, 86_400.0)
MONTH = Span(0.0, 2_592_000.0)
USD = Decimal


def purse(limit="10"):
    return Purse(USD(limit), DAY)


def allowance(day=None, month=None):
    made = Allowance()
    if day is not None:
        made.purses["day"] = Purse(USD(day), DAY)
    if month is not None:
        made.purses["month"] = Purse(USD(month), MONTH)
    made.refresh()
    return made


def spend(made, usd, number=1):
    for each in made.purses.values():
        each.add(USD(usd), number)
    made.refresh()


# --- what counts ---


def test_the_ledgers_figure_takes_the_place_of_what_it_contains():
    p = purse()
    p.add(USD(1), 1)
    p.add(USD(2), 2)
    assert p.spent == 3
    p.load(USD("1.5"), through=1)
    assert p.spent == USD("3.5")
    p.load(USD("3.5"), through=2)
    assert p.spent == USD("3.5")
    assert not p.fresh


def test_what_the_ledger_already_has_is_not_counted_again():
    p = purse()
    p.load(USD(5), through=7)
    p.add(USD(1), 7)
    assert p.spent == 5


def test_amounts_nobody_takes_over_are_bounded_and_not_lost():
    p = purse("1e9")
    for number in range(1, 10 * MOST_FRESH):
        p.add(USD(1), number)
    assert len(p.fresh) <= MOST_FRESH
    assert p.spent == 10 * MOST_FRESH - 1
    p.load(USD(0), through=3)
    assert p.spent >= 10 * MOST_FRESH - 1 - 3


@pytest.mark.parametrize(
    ("own", "said", "counts"),
    [("5", "3", "5"), ("5", "5", "5"), ("5", "8", "8"), ("0", "8", "8"), ("5", "0", "5")],
)
@pytest.mark.parametrize("order", ["ledger first", "OpenAI first"])
def test_the_larger_figure_counts_and_what_follows_comes_on_top(own, said, counts, order):
    p = purse()
    acts = [lambda: p.load(USD(own), 1), lambda: p.report(USD(said))]
    for act in acts if order == "ledger first" else reversed(acts):
        act()
    assert p.spent == USD(counts)
    p.add(USD("0.5"), 2)
    assert p.spent == USD(counts) + USD("0.5")
    p.load(USD(own) + USD("0.5"), 2)
    assert p.spent == USD(counts) + USD("0.5")
    p.report(USD(said) + USD("0.5"))
    assert p.spent == USD(counts) + USD("0.5"), "OpenAI has seen it as well"


def test_a_reset_corrects_our_figure_and_not_openais():
    p = purse()
    p.load(USD(10), 1)
    p.load(USD(0), 1)
    assert p.spent == 0
    p.load(USD(10), 1)
    p.report(USD(6))
    p.load(USD(0), 1)
    assert p.spent == 6
    p.add(USD(1), 2)
    p.load(USD(1), 2)
    assert p.spent == 7


# --- what is left ---


def test_the_tightest_limit_decides():
    a = allowance(day="10", month="12")
    assert (a.left, a.used) == (10, 0.0)
    spend(a, "3")
    assert (a.left, a.used) == (7, 0.3)
    a.purses["month"].load(USD(11), 1)
    a.refresh()
    assert a.left == 1
    assert a.used == pytest.approx(11 / 12)


@pytest.mark.parametrize(
    ("spent", "held", "need", "short"),
    [
        ("0", "0", "10", False),
        ("0", "0", "10.000000001", True),
        ("9", "0.5", "0.5", False),
        ("9", "0.5", "0.500000001", True),
        ("10", "0", "0.000000001", True),
        ("10", "0", "0", True),
        ("0", "10", "0", True),
        ("9.999999999", "0", "0", False),
        ("12", "0", "0", True),
    ],
)
def test_a_request_is_admitted_only_if_it_stays_within_the_limit(spent, held, need, short):
    a = allowance(day="10")
    spend(a, spent)
    a.hold(USD(held))
    found = a.shortage(USD(need), 0.0)
    assert (found is not None) is short
    if found is not None:
        assert (found.window, found.spent, found.reserved, found.limit, found.need) == ("day", *map(USD, (spent, held, "10", need)))  # fmt: skip


def test_a_limit_of_nothing_admits_nothing():
    a = allowance(day="0")
    assert a.used == 1.0
    assert a.shortage(USD(0), 0.0) is not None
    assert list(a.warnings(0.8)) == [("day", 1.0)]


def test_of_two_limits_in_the_way_the_one_that_turns_last_is_named():
    a = allowance(day="1", month="5")
    spend(a, "2")
    found = a.shortage(USD(1), 100.0)
    assert found is not None
    assert (found.window, found.turns_at, found.until) == ("day", DAY.end, DAY.end - 100.0)
    spend(a, "3", 2)
    found = a.shortage(USD(1), 100.0)
    assert found is not None
    assert (found.window, found.turns_at) == ("month", MONTH.end)


def test_the_same_question_has_the_same_answer_until_something_changes():
    a = allowance(day="1")
    spend(a, "2")
    first = a.shortage(USD(1), 0.0)
    assert a.shortage(USD(1), 0.0) is first
    assert a.shortage(USD(2), 0.0) != first
    assert a.shortage(USD(1), 5.0) != first
    spend(a, "1", 2)
    assert a.shortage(USD(1), 0.0) != first


# --- words ---


@pytest.mark.parametrize(
    ("spent", "reserved", "need", "window", "detail"),
    [
        ("20.03", "0.5", "0.1", "day", "daily limit of $20.00 reached, $20.03 spent, counts anew from 2026-11-02 00:00 UTC"),
        ("20", "0", "0", "month", "monthly limit of $20.00 reached, $20.00 spent, counts anew from 2026-11-02 00:00 UTC"),
        ("19.5", "0", "0.8", "day", "this request may cost $0.80, more than is left of its daily limit of $20.00, $19.50 spent, counts anew from 2026-11-02 00:00 UTC"),
        ("1", "19", "0.8", "provider", "this request may cost $0.80, more than is left of its monthly limit at OpenAI of $20.00, $1.00 spent and $19.00 set aside for requests on their way, counts anew from 2026-11-02 00:00 UTC"),
        ("1", "19", "0", "day", "nothing is left of its daily limit of $20.00, $1.00 spent and $19.00 set aside for requests on their way, counts anew from 2026-11-02 00:00 UTC"),
    ],
)  # fmt: skip
def test_a_shortage_is_a_sentence_with_amounts_and_the_time(spent, reserved, need, window, detail):
    shortage = Shortage(window, 1.0, 1793577600.0, USD(spent), USD(reserved), USD(20), USD(need))
    assert shortage.detail == detail
    assert shortage.is_reached == (USD(spent) >= 20)
    assert shortage.fits_never_now == (USD(spent) == USD("19.5"))


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0.00"), ("20", "$20.00"), ("20.0312", "$20.0312"), ("0.5", "$0.50"), ("0.0123456", "$0.0123"),
        ("0.00000001", "less than $0.0001"), ("1234567.891", "$1234567.891"), ("1E+3", "$1000.00"),
    ],
)  # fmt: skip
def test_amounts_are_written_as_people_write_them(usd, text):
    assert dollars(USD(usd)) == text


def test_it_tells_its_story():
    a = allowance(day="10")
    spend(a, "2.5")
    a.hold(USD("0.25"))
    assert repr(a) == "<Allowance day $2.50/$10.00, $0.25 set aside>"
    assert repr(Allowance()) == "<Allowance without limits, $0.00 set aside>"


def test_a_warning_comes_once_and_again_after_a_change():
    a = allowance(day="10")
    spend(a, "7.99")
    assert list(a.warnings(0.8)) == []
    spend(a, "0.01", 2)
    assert list(a.warnings(0.8)) == [("day", 0.8)]
    spend(a, "5", 3)
    assert list(a.warnings(0.8)) == []
    a.purses["day"].limit = USD(100)
    assert list(a.warnings(0.8)) == []
    a.purses["day"].limit = USD(14)
    assert list(a.warnings(0.8)) == [("day", pytest.approx(13 / 14))]
