"""Writes of commands: at once, with errors, beside a running proxy."""

import datetime as dt
import zoneinfo

from decimal import Decimal

import pytest

from tests.ledger.samples import NOON, WORK, Clock, record, sound

from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger import Changed, Clerk, Domain, Ledger, LedgerBusyError, LedgerError, Reader, Spent
from codex_manager.ledger import clerk as module
from codex_manager.ledger.database import Database, lock_of


ACCOUNT = ("account", WORK)
MIDNIGHT, FIRST = int(NOON - 12 * 3600), int(NOON - 12 * 3600 - 17 * 86400)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(1, "3"))
    return path


def test_a_reset_says_what_it_changed_and_leaves_what_was_recorded(path):
    clerk = Clerk(path, clock=Clock())
    assert clerk.reset(ACCOUNT, Decimal("1.25"), ("day", "month"), "counted twice") == [
        Changed("day", MIDNIGHT, Decimal(3), Decimal("1.75")),
        Changed("month", FIRST, Decimal(3), Decimal("1.75")),
    ]
    assert clerk.reset(ACCOUNT, None, ("day",), "") == [Changed("day", MIDNIGHT, Decimal("1.75"), Decimal(0))]
    with Reader.open(path) as reader:
        assert reader.totals(NOON).of(ACCOUNT) == Spent(Decimal(0), Decimal("1.75"))
        assert [(one.span, one.holder, one.usd, one.reason) for one in reader.adjustments()] == [
            ("day", ACCOUNT, Decimal("-1.25"), "counted twice"),
            ("month", ACCOUNT, Decimal("-1.25"), "counted twice"),
            ("day", ACCOUNT, Decimal("-1.75"), ""),
        ]
        assert reader.usage()[0].usd == 3
    assert sound(path)


@pytest.mark.parametrize("amount", [Decimal(100), None])
def test_no_more_is_taken_off_than_there_is(path, amount):
    assert Clerk(path, clock=Clock()).reset(ACCOUNT, amount, ("day",), "")[0].after == 0


def test_a_reset_of_somebody_who_spent_nothing_changes_nothing(path):
    clerk = Clerk(path, clock=Clock())
    assert clerk.reset(("client", "ci"), None, ("day",), "") == [Changed("day", MIDNIGHT, Decimal(0), Decimal(0))]
    with Reader.open(path) as reader:
        assert reader.adjustments() == []


def test_after_a_reset_money_counts_from_there(path):
    Clerk(path, clock=Clock()).reset(ACCOUNT, None, ("day",), "")
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(2, "2"))
    with Reader.open(path) as reader:
        assert reader.totals(NOON).of(ACCOUNT) == Spent(Decimal(2), Decimal(5))


def test_what_openai_said_is_kept_without_a_proxy_ever_having_run(tmp_path):
    path = tmp_path / "ledger.db"
    said = Snapshot(
        account_id=WORK, account="work", taken_at=NOON, day_start=0, month_start=0, today=Decimal(2), error="why"
    )
    clerk = Clerk.open(path)
    clerk.snapshot(said)
    clerk.snapshot(said)
    clerk.learn_domain(WORK, "org-a", None)
    with Reader.open(path) as reader:
        assert reader.snapshots() == {WORK: said}
        found = reader.domains()[WORK]
        assert found == Domain("org-a", None, found.learned)


def test_it_writes_while_a_proxy_does(path):
    with Ledger.open(path, clock=Clock()) as ledger:
        clerk = Clerk(path, clock=Clock())
        for number in range(20):
            ledger.record(record(number, "1"))
            clerk.learn_domain(WORK, f"org-{number}", None)
    with Reader.open(path) as reader:
        assert reader.domains()[WORK].organization == "org-19"
        assert reader.usage()[0].requests == 21
    assert sound(path)


def test_the_zone_of_a_ledger_is_not_changed_by_a_command(path):
    Clerk(path, zone=zoneinfo.ZoneInfo("Asia/Tokyo"), clock=Clock()).reset(ACCOUNT, None, ("day",), "")
    with Reader.open(path) as reader:
        assert reader.calendar().name == "UTC"
        assert reader.totals(NOON).of(ACCOUNT).day == 0


def test_a_new_ledger_gets_the_zone_of_the_command(tmp_path):
    clerk = Clerk(tmp_path / "ledger.db", zone=zoneinfo.ZoneInfo("Asia/Tokyo"))
    clerk.learn_domain(WORK, None, None)
    with Reader.open(tmp_path / "ledger.db") as reader:
        assert reader.calendar().name == "Asia/Tokyo"


def test_a_ledger_that_is_kept_locked_is_an_error_and_changes_nothing(path, monkeypatch):
    monkeypatch.setattr(module, "Database", lambda path: Database(path, patience_s=0.05))
    lock = lock_of(path)
    with pytest.raises(LedgerBusyError):
        Clerk(path, clock=Clock()).reset(ACCOUNT, None, ("day",), "")
    lock.release()
    with Reader.open(path) as reader:
        assert reader.totals(NOON).of(ACCOUNT).day == 3


def test_a_damaged_ledger_is_an_error_and_not_touched(path):
    path.write_bytes(b"x" * 5000)
    with pytest.raises(LedgerError, match="damaged"):
        Clerk(path, clock=Clock()).learn_domain(WORK, None, None)
    assert path.read_bytes() == b"x" * 5000


def test_a_zone_that_this_machine_does_not_know_is_kept(path):
    database = Database(path)
    with database.held():
        database.open()
        with database.write() as connection:
            connection.execute("UPDATE meta SET value = 'Mars/Olympus' WHERE name = 'zone'")
        database.close()
    clerk = Clerk(path, clock=Clock())
    assert clerk.reset(ACCOUNT, None, ("day",), "")[0].start == dt.datetime(2026, 11, 18, tzinfo=dt.UTC).timestamp()
