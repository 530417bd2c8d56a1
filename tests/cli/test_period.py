"""What a person types after --since and --until, as a table; hours that come twice, and nonsense."""

import datetime as dt

from zoneinfo import ZoneInfo

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager_cli.period import Period, PeriodError, period


UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 21, 13, 22, 7, tzinfo=UTC)  # a Saturday


def at(text, zone=UTC):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("today", None, "2026-11-21", "2026-11-21 14:00"),
        ("yesterday", None, "2026-11-20", "2026-11-21 14:00"),
        ("yesterday", "yesterday", "2026-11-20", "2026-11-21"),
        ("Yesterday", "NOW", "2026-11-20", "2026-11-21 14:00"),
        ("2026-11-01", "2026-11-01", "2026-11-01", "2026-11-02"),
        ("2026-11-01", "2026-11-20", "2026-11-01", "2026-11-21"),
        ("2026-10", "2026-10", "2026-10-01", "2026-11-01"),
        ("2025-12", "2025-12", "2025-12-01", "2026-01-01"),
        ("last month", "last month", "2026-10-01", "2026-11-01"),
        ("this month", "today", "2026-11-01", "2026-11-22"),
        ("7d", None, "2026-11-15", "2026-11-21 14:00"),
        ("7 days ago", None, "2026-11-15", "2026-11-21 14:00"),
        ("1w", "1d", "2026-11-15", "2026-11-21"),
        ("14d", "7d", "2026-11-08", "2026-11-15"),
        ("1h", None, "2026-11-21 13:00", "2026-11-21 14:00"),
        ("24h", None, "2026-11-20 14:00", "2026-11-21 14:00"),
        ("2026-11-20 14:30", "2026-11-20T15:30", "2026-11-20 14:00", "2026-11-20 16:00"),
        ("2026-11-20 14:00", "2026-11-20 15:00", "2026-11-20 14:00", "2026-11-20 15:00"),
        ("2026-11-20T14:00+01:00", "2026-11-20T14:00Z", "2026-11-20 13:00", "2026-11-20 14:00"),
        ("all", None, "1970-01-01", "2026-11-21 14:00"),
        (None, "yesterday", "2026-11-01", "2026-11-21"),
        (None, "2026-10-15", "2026-10-01", "2026-10-16"),
        (None, None, "2026-11-01", "2026-11-21 14:00"),
    ],
)
def test_words_for_a_period(since, until, begin, end):
    assert period(since, until, now=NOW, default="month") == Period(at(begin), at(end))


def test_the_default_may_be_a_day_or_everything():
    assert period(None, None, now=NOW, default="day").since == at("2026-11-21")
    assert period(None, None, now=NOW, default="all").since == 0


def test_days_begin_where_the_user_lives():
    now = NOW.astimezone(BERLIN)
    assert period("today", "today", now=now, default="month") == Period(
        at("2026-11-21", BERLIN), at("2026-11-22", BERLIN)
    )
    march = period("2026-03-29", "2026-03-29", now=now, default="month")
    assert march.until - march.since == 23 * 3600


def test_the_hour_that_comes_twice_is_two_hours():
    now = dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0)
    found = period("1h", None, now=now, default="month")
    assert (found.since, found.until) == (now.timestamp() - 1800, now.timestamp() + 1800)
    later = period("1h", None, now=now.replace(fold=1), default="month")
    assert later.since == found.until


@pytest.mark.parametrize(
    "text",
    ["", " ", "tomorrow?", "2026-13", "2026-11-31", "0000-01-01", "999999d", "0d", "-1d", "7", "d", "1e3d", "٧d", "2026-11-01T25:00",
     "2026-11-01 ", "\x00", "x" * 10_000, "2026-11-01;drop table", "9999-12-31", "9999-12", "sk-proj-0123456789abcdefghij", "'; --", "\u202e7d"],
)  # fmt: skip
def test_nonsense_is_one_short_sentence(text):
    if text.strip() == "2026-11-01":
        assert period(text, None, now=NOW, default="month").since == at("2026-11-01")
        return
    with pytest.raises(PeriodError) as caught:
        period(text, None, now=NOW, default="month")
    said = str(caught.value)
    assert said.startswith("--since '")
    assert "2026-11-01" in said
    assert said.isprintable()
    assert len(said) < 200
    assert "0123456789abcdef" not in said


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("today", "yesterday", "--since today is not before --until yesterday"),
        ("2026-11-22", None, "--since 2026-11-22 is not before now"),
        ("2026-11-20 15:00", "2026-11-20 15:00", "--since 2026-11-20 15:00 is not before --until 2026-11-20 15:00"),
    ],
)
def test_a_period_with_nothing_in_it_is_refused(since, until, said):
    with pytest.raises(PeriodError, match=said):
        period(since, until, now=NOW, default="month")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.text(alphabet="0123456789-: Ttdwhz+", max_size=20))
def test_no_text_gets_past_as_something_else_than_a_period_or_a_sentence(since, until):
    try:
        found = period(since, until, now=NOW, default="month")
    except PeriodError:
        return
    assert found.since < found.until
