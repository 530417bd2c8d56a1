"""Old rows go and sums stay; another zone makes other days of the same hours."""

import datetime as dt
import zoneinfo

from decimal import Decimal

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.samples import DAY, HOUR, NOON, WORK, Clock, record, select, sound, written
from tests.support import wait_for

from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger import Clerk, Ledger, Reader, Spent
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.database import Database
from codex_manager.ledger.upkeep import set_zone


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def test_requests_are_forgotten_after_their_time_and_their_sums_never(path):
    with Ledger.open(path, clock=Clock()) as ledger:
        for age in range(20):
            ledger.record(record(age, "1", time=NOON - age * DAY))
        ledger.record(record(99, "1", time=NOON - 15 * DAY, open=True, object_id="batch_1"))  # not settled yet
    with Ledger.open(path, retention_days=10, clock=Clock()):
        assert wait_for(lambda: select(path, "SELECT count(*) FROM request") == [(12,)])
    with Reader.open(path) as reader:
        assert reader.usage()[0].requests == 21
        assert len(reader.usage("day")) == 20
        assert reader.request(f"{99:032x}") is not None


def test_much_that_is_old_goes_in_small_portions(path):
    with Ledger.open(path, clock=Clock()) as ledger:
        for number in range(1100):
            ledger.record(record(number, time=NOON - 50 * DAY))
    with Ledger.open(path, retention_days=10, clock=Clock()) as ledger:
        assert wait_for(lambda: select(path, "SELECT count(*) FROM request") == [(600,)])
        ledger._writer._prune_at = 0  # instead of waiting for the next turn
        assert wait_for(lambda: select(path, "SELECT count(*) FROM request")[0][0] <= 100)


def test_the_last_word_of_openai_on_an_account_is_kept(path):
    with Ledger.open(path, clock=Clock()) as ledger:
        for age in (50, 40, 30):
            ledger.snapshot(
                Snapshot(account_id=WORK, account="work", taken_at=NOON - age * DAY, day_start=0, month_start=0)
            )
    with Ledger.open(path, retention_days=10, clock=Clock()):
        assert wait_for(lambda: select(path, "SELECT taken_at FROM snapshot") == [(NOON - 30 * DAY,)])


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]


@settings(max_examples=6, deadline=None)
@given(
    hours=st.lists(st.integers(0, 24 * 70), min_size=1, max_size=30),
    zones=st.lists(st.sampled_from(ZONES), min_size=2, max_size=3),
)
def test_days_and_months_of_another_zone_are_what_they_would_have_been(tmp_path_factory, hours, zones):
    """However often the zone is changed, the sums are those of a ledger that had the last zone from the start."""
    folder = tmp_path_factory.mktemp("zones")
    records = [record(n, "0.5", time=NOON + hour * HOUR + 60) for n, hour in enumerate(hours)]
    changed, plain = folder / "changed.db", folder / "plain.db"
    now = Clock(NOON + 35 * DAY)
    last = zone(zones[-1])
    with Ledger.open(changed, zone=zone(zones[0]), clock=now) as ledger:
        for one in records:
            ledger.record(one)
    for name in zones[1:]:
        database = Database(changed)
        with database.held():
            database.open()
            with database.write() as connection:
                set_zone(connection, Calendar(zone(name)))
            database.close()
    with Ledger.open(plain, zone=last, clock=now) as ledger:
        for one in records:
            ledger.record(one)
    for table in ("rollup", "spent"):
        question = f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6"
        assert select(changed, question) == select(plain, question)
    assert sound(changed)


def zone(name):
    return dt.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


def test_a_reset_follows_its_day_into_another_zone(path):
    clock = Clock(dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC).timestamp())
    with Ledger.open(path, clock=clock) as ledger:
        ledger.record(record(1, "3", time=clock.now))
    Clerk(path, clock=clock).reset(("account", WORK), Decimal(1), ("day",), "a mistake")
    with Ledger.open(path, zone=zone("Europe/Berlin"), clock=clock) as ledger:
        assert ledger.totals().of(("account", WORK)) == Spent(Decimal(2), Decimal(3))
        assert written(ledger)
    with Reader.open(path) as reader:
        assert reader.calendar().name == "Europe/Berlin"
