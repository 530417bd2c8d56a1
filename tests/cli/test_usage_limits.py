"""Where everyone stands: the larger figure counts, drift is told, and the month's end is foreseen."""

import datetime as dt

from decimal import Decimal

import pytest

from codex_manager_cli.usage_limits import (
    DAY,
    Comparison,
    Standing,
    comparison_data,
    comparison_table,
    forecast,
    standing_data,
    standing_table,
)


NOW = dt.datetime(2026, 11, 21, 13, 22, tzinfo=dt.UTC)
MIDNIGHT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def standing(own, limit, provider=None, **fields):
    return Standing(
        **{"kind": "account", "name": "Work", "window": "day", "turns": MIDNIGHT, **fields},
        own=Decimal(own), limit=Decimal(limit), provider=None if provider is None else Decimal(provider),
    )  # fmt: skip


def test_a_limit_counts_the_larger_figure_and_says_how_near_it_is():
    standings = [
        standing("5", "20"),
        standing("5", "20", provider="17", kind="client", name="ci"),
        standing("20", "20", provider="3", window="month"),
        standing("1", "100", source="provider", window="month"),
    ]
    assert standing_table(standings, now=NOW, warn_at=0.8).splitlines() == [
        "LIMIT OF   WINDOW             SPENT    LIMIT   USED  STATE    TURNS",
        "Work       day                $5.00   $20.00   25 %  ok       2026-11-22 00:00 UTC, in 10 h 38 m",
        "client ci  day               $17.00   $20.00   85 %  near     2026-11-22 00:00 UTC, in 10 h 38 m",
        "Work       month             $20.00   $20.00  100 %  reached  2026-11-22 00:00 UTC, in 10 h 38 m",
        "Work       month (OpenAI's)   $1.00  $100.00    1 %  ok       2026-11-22 00:00 UTC, in 10 h 38 m",
    ]
    data = standing_data(standings[1])
    assert (data["spent_usd"], data["own_usd"], data["provider_usd"], data["share"]) == (17.0, 5.0, 17.0, 0.85)
    assert data["turns_at"] == "2026-11-22T00:00:00+00:00"


def test_drift_beyond_a_tenth_is_told():
    def pair(own, provider):
        return Comparison(account="Work", window="month", own=Decimal(own), provider=Decimal(provider),
                          taken_at=NOW - dt.timedelta(minutes=5), source="costs")  # fmt: skip

    shown = comparison_table([pair("10", "10.50"), pair("1.47", "830")], now=NOW).splitlines()
    assert shown[1].split() == ["Work", "month", "$10.00", "$10.50", "+5", "%", "ok", "costs,", "5", "m", "ago"]
    assert shown[2].split() == ["Work", "month", "$1.47", "$830.00", "+100", "%", "drifts", "costs,", "5", "m", "ago"]
    assert [comparison_data(each)["drifts"] for each in (pair("10", "10.50"), pair("830", "1.47"))] == [False, True]


@pytest.mark.parametrize(
    ("month", "week", "age", "left", "expected"),
    [
        ("100", "70", 30, 10, "200"),  # ten a day
        ("10", "10", 0.01, 29, "300"),  # the first hour: no more than ten a day are foreseen
        ("20", "20", 2, 1, "30"),
        ("0", "70", 400, 30, "300"),  # the first of the month, at last week's pace
        ("50", "0", 90, 5, "50"),
        ("50", "70", 90, -1, "50"),
    ],
)
def test_the_months_end_is_foreseen_at_the_pace_of_the_last_week(month, week, age, left, expected):
    foreseen = forecast(Decimal(month), Decimal(week), age_s=age * DAY, left_s=left * DAY)
    assert round(foreseen, 6) == Decimal(expected)
