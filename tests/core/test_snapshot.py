"""A figure of OpenAI's counts in the window it belongs to, and a drift is told from noise."""

import datetime as dt

from decimal import Decimal

import pytest

from codex_manager.core.snapshot import DRIFT_AT, Snapshot, drift, utc_windows


NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC).timestamp()
HOUR = 3600


def snapshot(**fields):
    day, month = utc_windows(NOON)
    return Snapshot(account_id="a", account="A", taken_at=NOON, day_start=day, month_start=month, **fields)


def test_days_and_months_of_openai_begin_at_midnight_utc():
    assert utc_windows(NOON) == (NOON - 12 * HOUR, dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp())
    assert utc_windows(0) == (0, 0)


@pytest.mark.parametrize(
    ("shift", "counts"), [(0, True), (-1, True), (-11, True), (5, False), (24, False)],
    ids=["UTC", "Berlin", "Auckland", "New York", "yesterday's figure, new day"],
)  # fmt: skip
def test_a_figure_counts_in_a_window_of_ours_only_when_none_of_it_lies_before(shift, counts):
    said = snapshot(today=Decimal(3), month=Decimal(30))
    assert said.spent_in_day(said.day_start + shift * HOUR) == (Decimal(3) if counts else None)
    assert said.spent_in_month(said.month_start + shift * HOUR) == (Decimal(30) if counts else None)


def test_a_limit_alone_is_something_about_money():
    assert snapshot(hard_limit=Decimal(0)).ok
    assert snapshot(today=Decimal(0)).ok
    assert not snapshot(requests_today=3).ok


@pytest.mark.parametrize(
    ("provider", "own", "share"),
    [
        ("10", "10", 0.0), ("11", "10", 1 / 11), ("12", "10", 1 / 6), ("8", "10", -0.2), ("0", "10", -1.0), ("10", "0", 1.0),
        ("0.009", "0", 0.0), ("0", "0", 0.0), ("-1", "1", -2.0),
    ],
)  # fmt: skip
def test_drift_is_a_share_of_the_larger(provider, own, share):
    found = drift(Decimal(provider), Decimal(own))
    assert found is not None
    assert found == pytest.approx(share)
    assert (abs(found) > DRIFT_AT) == (abs(share) > DRIFT_AT)


def test_what_is_not_known_does_not_drift():
    assert drift(None, Decimal(1)) is None
    assert drift(Decimal(1), None) is None
