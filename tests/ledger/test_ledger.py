"""The book of a running proxy: what is handed over is on disk, once, and the totals say so."""

import datetime as dt
import threading
import zoneinfo

from decimal import Decimal

import pytest

from tests.ledger.samples import DAY, HOME, HOUR, NOON, WORK, Clock, record, reservation, select, sound, written
from tests.support import wait_for

from codex_manager.core.pricing import Cost
from codex_manager.core.snapshot import Snapshot
from codex_manager.core.usage import Usage
from codex_manager.engine.book import Book
from codex_manager.ledger import Clerk, Domain, Ledger, Reader, Spent, Totals


ACCOUNT = ("account", WORK)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def opened(path, **options):
    return Ledger.open(path, **{"clock": Clock()} | options)


def test_it_is_a_book(path):
    with opened(path) as ledger:
        book: Book = ledger
        assert book.record(record()) == 1


def test_what_is_recorded_is_on_disk_when_it_is_closed(path):
    with opened(path) as ledger:
        assert [ledger.record(record(n)) for n in range(1, 151)] == list(range(1, 151))
    assert select(path, "SELECT count(*) FROM request") == [(150,)]
    assert select(path, "SELECT through, ended IS NOT NULL FROM session") == [(150, 1)]
    assert sound(path)


def test_totals_say_what_was_spent_and_how_far_they_reach(path):
    told: list[Totals] = []
    with opened(path, on_batch=told.append) as ledger:
        assert ledger.totals().of(ACCOUNT) == Spent(Decimal(0), Decimal(0))
        ledger.record(record(1, "1.25"))
        last = ledger.record(record(2, "0.75", client="ci"))
        assert written(ledger)
        totals = told[-1]
        assert totals is ledger.totals()
        assert (totals.through, totals.kept) == (last, last)
        assert totals.spent == {
            ACCOUNT: Spent(Decimal(2), Decimal(2)),
            ("client", "default"): Spent(Decimal("1.25"), Decimal("1.25")),
            ("client", "ci"): Spent(Decimal("0.75"), Decimal("0.75")),
        }


def test_a_restart_knows_what_was_spent_before_it_serves(path):
    with opened(path) as ledger:
        ledger.record(record(1, "3"))
    with opened(path) as ledger:
        assert ledger.totals().of(ACCOUNT).day == 3
        assert ledger.totals().through == 0  # of this process


def test_a_new_day_and_a_new_month_begin_with_nothing(path):
    with opened(path) as ledger:
        ledger.record(record(1, "3"))
        assert written(ledger)
        assert ledger.totals(NOON + DAY).of(ACCOUNT) == Spent(Decimal(0), Decimal(3))
        assert ledger.totals(NOON + 30 * DAY).spent == {}


def test_a_turn_of_the_day_is_told_without_traffic(path):
    clock = Clock()
    told: list[Totals] = []
    with opened(path, clock=clock, on_batch=told.append) as ledger:
        ledger.record(record(1, "3"))
        assert written(ledger)
        clock.now += DAY
        assert wait_for(lambda: told[-1].of(ACCOUNT) == Spent(Decimal(0), Decimal(3)))


def test_a_request_counts_in_the_window_in_which_it_came(path):
    """A stream that runs past midnight is yesterday's."""
    clock = Clock(NOON + 12 * HOUR + 1)
    with opened(path, clock=clock) as ledger:
        ledger.record(record(1, "3", time=NOON + 12 * HOUR - 60))
        assert written(ledger)
        assert ledger.totals().of(ACCOUNT) == Spent(Decimal(0), Decimal(3))


def test_days_begin_where_the_user_lives(path):
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    clock = Clock(dt.datetime(2026, 11, 19, 0, 30, tzinfo=berlin).timestamp())  # in UTC it is the day before
    with opened(path, clock=clock, zone=berlin) as ledger:
        ledger.record(record(1, "3", time=clock.now - 3600))
        ledger.record(record(2, "1", time=clock.now))
        assert written(ledger)
        assert ledger.totals().of(ACCOUNT) == Spent(Decimal(1), Decimal(4))


def test_nobody_who_listens_badly_harms_the_ledger(path):
    def listener(totals):
        raise RuntimeError("the loop is closed")

    with opened(path, on_batch=listener) as ledger:
        ledger.record(record())
        assert written(ledger)
        assert ledger.health().ok


def test_closing_twice_and_recording_afterwards_is_harmless(path):
    ledger = opened(path)
    assert ledger.close()
    assert ledger.close()
    ledger.record(record())
    ledger.released("r")
    assert select(path, "SELECT count(*) FROM request") == [(0,)]


# Reservations --------------------------------------------------------------------------------------------------------


def test_what_begins_and_ends_within_one_batch_writes_no_reservation(path):
    with opened(path) as ledger:
        ledger.reserved(reservation("a"))
        ledger.record(record(id="a"))
        ledger.reserved(reservation("b"))
        ledger.released("b")
        assert written(ledger)
        # a row that was inserted and deleted again would have changed the count of all rows of the table
        assert select(path, "SELECT count(*) FROM reservation") == [(0,)]


def test_a_reservation_is_on_disk_while_its_request_runs(path):
    with opened(path) as ledger:
        ledger.reserved(reservation("a", "0.70"))
        ledger.reserved(reservation("a-2", "0.30"))
        ledger.reserved(reservation("b"))
        assert wait_for(lambda: select(path, "SELECT count(*) FROM reservation") == [(3,)])
        ledger.released("b")
        ledger.record(record(id="a", attempts=record().attempts * 2))
        assert wait_for(lambda: select(path, "SELECT count(*) FROM reservation") == [(0,)])


def test_a_record_lets_go_of_its_own_reservations_only(path):
    with opened(path) as ledger:
        for name in ("a", "a-2", "ab", "a.1", "b"):
            ledger.reserved(reservation(name))
        ledger.record(record(id="a", attempts=record().attempts * 2))
        assert wait_for(lambda: select(path, "SELECT id FROM reservation ORDER BY id") == [("a.1",), ("ab",), ("b",)])
        for name in ("ab", "a.1", "b"):
            ledger.released(name)


def test_what_is_still_reserved_at_a_clean_end_is_booked(path):
    with opened(path) as ledger:
        ledger.reserved(reservation("a", "0.70"))
    assert select(path, "SELECT id, failure, estimated, nano FROM request") == [("a", "interrupted", 1, 700_000_000)]
    assert select(path, "SELECT count(*) FROM reservation") == [(0,)]
    assert sound(path)


# Settled later -------------------------------------------------------------------------------------------------------


def test_an_open_record_is_settled_once(path):
    with opened(path) as ledger:
        ledger.record(
            record(1, "0.50", open=True, object_id="resp_1", estimated=True, usage=Usage(input=100, estimated=True))
        )
        assert written(ledger)
        ledger.settle_object("resp_1", Usage(input=10, output=90, tier="flex"), Cost(Decimal("0.02"), known=False))
        ledger.settle_object("resp_1", Usage(input=99), Cost(Decimal(9)))
        ledger.settle_object("resp_unknown", Usage(input=99), Cost(Decimal(9)))
        assert wait_for(lambda: ledger.totals().of(ACCOUNT).day == Decimal("0.02"))
    with Reader.open(path) as reader:
        (settled,) = reader.requests()
        assert settled.usage == Usage(input=10, output=90, tier="flex")
        assert (settled.cost, settled.open, settled.estimated, settled.priced) == (Decimal("0.02"), False, False, False)
        (sums,) = reader.usage()
        assert (sums.requests, sums.estimated, sums.unpriced, sums.usd) == (1, 0, 1, Decimal("0.02"))
    assert sound(path)


def test_it_is_settled_in_the_same_batch_and_after_a_restart_too(path):
    with opened(path) as ledger:
        ledger.record(record(1, "0.50", open=True, object_id="resp_1"))
        ledger.settle_object("resp_1", Usage(input=10), Cost(Decimal("0.01")))
        ledger.record(record(2, "0.50", open=True, object_id="batch_1"))
    with opened(path) as ledger:
        ledger.settle_object("batch_1", Usage(input=20), Cost(Decimal("0.02")))
        ledger.settle_object("resp_1", Usage(input=10), Cost(Decimal(7)))
    assert select(path, "SELECT nano FROM request ORDER BY number") == [(10_000_000,), (20_000_000,)]
    assert sound(path)


def test_a_settlement_belongs_to_the_day_of_its_request(path):
    clock = Clock()
    with opened(path, clock=clock) as ledger:
        ledger.record(record(1, "0.50", open=True, object_id="batch_1"))
        assert written(ledger)
        clock.now += DAY
        ledger.settle_object("batch_1", Usage(input=20), Cost(Decimal("0.02")))
        assert wait_for(lambda: ledger.totals().of(ACCOUNT) == Spent(Decimal(0), Decimal("0.02")))


# What else is kept ---------------------------------------------------------------------------------------------------


def test_domains_and_snapshots_are_known_at_the_next_start(path):
    first = Snapshot(account_id=WORK, account="work", taken_at=NOON, day_start=0, month_start=0, today=Decimal("1.5"))
    last = Snapshot(
        account_id=WORK, account="work", taken_at=NOON + 300, day_start=1, month_start=2, month=Decimal("7.25"),
        hard_limit=Decimal(100), source="costs", organization_wide=True, requests_today=5, error="some of it is missing",
    )  # fmt: skip
    with opened(path) as ledger:
        ledger.snapshot(first)
        ledger.snapshot(last)
        ledger.learn_domain(WORK, "org-old", None)
        ledger.learn_domain(WORK, "org-a", "proj_1")
        ledger.learn_domain(HOME, None, None)
    with opened(path) as ledger:
        assert ledger.opening.domains == {WORK: Domain("org-a", "proj_1", NOON), HOME: Domain(None, None, NOON)}
        assert ledger.opening.snapshots == {WORK: last}


def test_a_reset_of_a_running_ledger_counts_at_once(path):
    with opened(path) as ledger:
        ledger.record(record(1, "3"))
        ledger.reset(ACCOUNT, Decimal(1), ("day",), "a mistake")
        assert wait_for(lambda: ledger.totals().of(ACCOUNT) == Spent(Decimal(2), Decimal(3)))


def test_a_reset_by_another_process_counts_within_seconds(path):
    with opened(path) as ledger:
        ledger.record(record(1, "3"))
        assert written(ledger)
        Clerk(path, clock=Clock()).reset(ACCOUNT, None, ("day", "month"), "a mistake")
        assert wait_for(lambda: ledger.totals().of(ACCOUNT) == Spent(Decimal(0), Decimal(0)))


def test_two_processes_count_each_others_money(path):
    """A proxy and a mitmdump on one ledger."""
    with opened(path) as one, opened(path) as other:
        one.record(record(1, "1"))
        other.record(record(2, "2"))
        assert wait_for(lambda: one.totals().of(ACCOUNT).day == other.totals().of(ACCOUNT).day == 3)
    assert sound(path)


def test_other_settings_are_taken_over_while_it_runs(path):
    clock = Clock(dt.datetime(2026, 11, 18, 23, 30, tzinfo=dt.UTC).timestamp())
    with opened(path, clock=clock) as ledger:
        ledger.record(record(1, "3", time=clock.now - 2 * HOUR))
        assert written(ledger)
        ledger.configure(retention_days=7, zone=zoneinfo.ZoneInfo("Europe/Berlin"))  # half past midnight there
        assert wait_for(lambda: ledger.totals().of(ACCOUNT) == Spent(Decimal(0), Decimal(3)))
        ledger.record(record(2, "1", time=clock.now))
        assert wait_for(lambda: ledger.totals().of(ACCOUNT) == Spent(Decimal(1), Decimal(4)))
    assert sound(path)


def test_a_thing_that_cannot_be_written_does_not_keep_others_from_it(path):
    class Odd:
        def apply(self, connection, calendar):
            raise ZeroDivisionError

    with opened(path) as ledger:
        ledger.write(Odd())
        ledger.record(record(1, time="yesterday"))
        ledger.record(record(2, status=None))
        ledger.record(record(3))
        ledger.settle_object("x", None, None)
        assert written(ledger)
        assert wait_for(lambda: ledger.health().written)
        assert ledger.health().ok
        assert ledger.health().dropped >= 2
    assert select(path, "SELECT id FROM request WHERE status = 200") == [(f"{3:032x}",)]


def test_the_loop_is_not_held_up_by_a_writer_that_hangs(path, monkeypatch):
    """The disk hangs; the loop's side goes on, bounded, and nothing of the money is lost when it comes back."""
    monkeypatch.setattr("codex_manager.ledger.inbox.MOST", 50)
    gate = threading.Event()

    class Hangs:
        def apply(self, connection, calendar):
            gate.wait(20)

    with opened(path) as ledger:
        ledger.write(Hangs())
        assert wait_for(lambda: not len(ledger._inbox))
        for number in range(200):
            ledger.record(record(number, "1"))
        gate.set()
        assert wait_for(lambda: ledger.totals().of(ACCOUNT).day == 200)
        assert ledger.health().dropped == 150
    assert select(path, "SELECT dropped FROM session") == [(150,)]
    assert select(path, "SELECT count(*) FROM request") == [(50,)]
