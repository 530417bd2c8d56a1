"""Windows in any zone: they contain their moment, and begin where people say they do."""

import datetime as dt
import math
import zoneinfo

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.ledger.calendar import Calendar


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
]


def zone(name):
    return dt.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


def at(name, year, month, day=1, hour=0, minute=0, second=0):
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=zone(name)).timestamp()


@pytest.mark.parametrize(
    ("name", "moment", "hour", "day", "month"),
    [
        ("UTC", (2026, 11, 18, 12, 34, 56), (2026, 11, 18, 12), (2026, 11, 18), (2026, 11, 1)),
        ("UTC", (2026, 1, 1), (2026, 1, 1), (2026, 1, 1), (2026, 1, 1)),
        ("UTC", (2025, 12, 31, 23, 59, 59), (2025, 12, 31, 23), (2025, 12, 31), (2025, 12, 1)),
        ("UTC", (2028, 2, 29, 0, 0, 1), (2028, 2, 29), (2028, 2, 29), (2028, 2, 1)),
        ("Europe/Berlin", (2026, 7, 1, 0, 30), (2026, 7, 1), (2026, 7, 1), (2026, 7, 1)),
        ("Europe/Berlin", (2026, 10, 31, 12), (2026, 10, 31, 12), (2026, 10, 31), (2026, 10, 1)),  # the month began in summer time
        ("Asia/Kolkata", (2026, 11, 18, 0, 10), (2026, 11, 18), (2026, 11, 18), (2026, 11, 1)),  # hours begin at :30 UTC
    ],
)  # fmt: skip
def test_windows_begin_where_the_user_says(name, moment, hour, day, month):
    windows = Calendar(zone(name)).at(at(name, *moment))
    expected = [at(name, *one) for one in (hour, day, month)]
    assert [windows.hour, windows.day, windows.month] == expected


def test_a_day_on_which_midnight_does_not_exist_begins_at_its_first_second():
    """Havana puts the clock from 0:00 to 1:00 on 2026-03-08."""
    after = at("America/Havana", 2026, 3, 8, 1, 0, 30)
    windows = Calendar(zone("America/Havana")).at(after)
    assert windows.day == after - 30


def test_both_hours_of_a_clock_put_back_are_hours_of_their_own():
    berlin = Calendar(zone("Europe/Berlin"))
    first = at("Europe/Berlin", 2026, 10, 25, 2, 30)
    one, other = berlin.at(first), berlin.at(first + 3600)
    assert other.hour - one.hour == 3600
    assert one.day == other.day


@given(moment=st.integers(0, 4_000_000_000), name=st.sampled_from(ZONES), before=st.integers(-7200, 7200))
def test_a_moments_windows_contain_it_whatever_was_asked_before(moment, name, before):
    calendar = Calendar(zone(name))
    calendar.at(max(0, moment + before))
    windows = calendar.at(moment)
    assert windows == Calendar(zone(name)).at(moment)
    assert windows.hour <= moment < windows.hour + 3600
    assert windows.month <= windows.day <= moment < windows.day + 26 * 3600
    local = dt.datetime.fromtimestamp(moment, zone(name))
    assert dt.datetime.fromtimestamp(windows.day, zone(name)).date() == local.date()
    assert dt.datetime.fromtimestamp(windows.month, zone(name)).date() == local.date().replace(day=1)


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_a_moment_out_of_all_bounds_is_the_nearest_within(moment):
    calendar = Calendar(zone("America/New_York"))
    assert calendar.at(moment) in {calendar.at(0), calendar.at(250_000_000_000)}


def test_the_zone_has_a_name_to_be_written_down():
    assert Calendar(dt.UTC).name == "UTC"
    assert Calendar(zone("Europe/Berlin")).name == "Europe/Berlin"
