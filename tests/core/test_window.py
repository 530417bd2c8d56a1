"""Days and months follow each other without gap or overlap, whatever clocks do, and are those of the ledger."""

import datetime as dt
import math
import random

from zoneinfo import ZoneInfo

import pytest

from codex_manager.core.window import day_of, moment, month_of
from codex_manager.ledger.calendar import Calendar


def unix(text):
    return dt.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("zone", "at", "start", "end"),
    [
        ("UTC", "2026-11-01T00:00Z", "2026-11-01T00:00Z", "2026-11-02T00:00Z"),
        ("UTC", "2026-11-01T23:59:59.999Z", "2026-11-01T00:00Z", "2026-11-02T00:00Z"),
        ("Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),  # 23 hours
        ("Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # 25 hours
        ("America/New_York", "2026-07-01T03:59Z", "2026-06-30T04:00Z", "2026-07-01T04:00Z"),
        ("Asia/Kathmandu", "2026-07-01T12:00Z", "2026-06-30T18:15Z", "2026-07-01T18:15Z"),
        ("America/Sao_Paulo", "2018-11-04T12:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),  # begins at 01:00
        ("America/Havana", "2026-11-01T04:30Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),  # 00:30 comes twice
        ("America/Havana", "2026-11-01T05:30Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("Pacific/Apia", "2011-12-30T09:00Z", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),  # the 30th was left out
        ("Pacific/Apia", "2011-12-30T11:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),
    ],
)  # fmt: skip
def test_a_day_is_that_of_the_zone(zone, at, start, end):
    span = day_of(unix(at), ZoneInfo(zone))
    assert (span.start, span.end) == (unix(start), unix(end))


@pytest.mark.parametrize(
    ("zone", "at", "start", "end"),
    [
        ("UTC", "2026-01-31T12:00Z", "2026-01-01T00:00Z", "2026-02-01T00:00Z"),
        ("UTC", "2028-02-29T12:00Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
        ("Europe/Berlin", "2026-12-31T23:30Z", "2026-12-31T23:00Z", "2027-01-31T23:00Z"),
        ("America/New_York", "2026-11-01T03:00Z", "2026-10-01T04:00Z", "2026-11-01T04:00Z"),
    ],
)
def test_a_month_is_that_of_the_zone(zone, at, start, end):
    span = month_of(unix(at), ZoneInfo(zone))
    assert (span.start, span.end) == (unix(start), unix(end))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia"])
def test_windows_follow_each_other_and_are_those_of_the_ledger(zone):
    rng, tz = random.Random(zone), ZoneInfo(zone)
    calendar = Calendar(tz)
    for _ in range(200):
        wall = rng.uniform(1e9, 2e9)
        day, month, known = day_of(wall, tz), month_of(wall, tz), calendar.at(wall)
        assert wall in day
        assert wall in month
        assert day.start >= month.start
        assert day.end <= month.end
        assert (day.start, month.start) == (known.day, known.month)
        assert day_of(day.end, tz).start == day.end
        assert day_of(day.start - 1, tz).end == day.start
        assert month_of(month.end, tz).start == month.end


@pytest.mark.parametrize("wall", [math.nan, math.inf, -math.inf, -1e12, 0.0, 1e15])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_a_clock_out_of_all_bounds_gets_a_window(wall, zone):
    day, month = day_of(wall, ZoneInfo(zone)), month_of(wall, ZoneInfo(zone))
    assert day.start < day.end
    assert month.start <= day.start
    assert moment(wall).endswith(" UTC")


def test_a_time_is_told_to_the_minute_and_never_too_early():
    assert moment(unix("2026-11-02T00:00Z")) == "2026-11-02 00:00 UTC"
    assert moment(unix("2026-11-02T00:00:01Z")) == "2026-11-02 00:01 UTC"
