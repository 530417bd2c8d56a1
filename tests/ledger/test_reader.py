"""What commands see: sums by anything, single requests, and nothing that disturbs the writer."""

from decimal import Decimal

import pytest

from tests.ledger.samples import DAY, HOME, HOUR, NOON, WORK, Clock, record, written

from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger, LedgerMissingError, Reader, Spent


MIDNIGHT = int(NOON - 12 * HOUR)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("reader") / "ledger.db"
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(0x10, "1"))
        ledger.record(record(0x11, "2", time=NOON + HOUR, account_id=HOME, account="home", model="gpt-4o", client="ci"))
        ledger.record(record(0x12, "4", time=NOON - DAY, estimated=True, usage=Usage(input=7, estimated=True)))
        ledger.record(record(0x13, "8", time=NOON - 20 * DAY, endpoint="embeddings"))
        refused = {"status": 429, "failure": "insufficient_quota", "usage": None, "model": None, "attempts": ()}
        ledger.record(record(0x20, "0", account_id=None, account=None, **refused))
    return path


@pytest.fixture
def reader(path):
    with Reader.open(path) as reader:
        yield reader


def usd(rows):
    return {row.key: row.usd for row in rows}


def test_all_of_it_in_one_row(reader):
    (row,) = reader.usage()
    assert row.key == ()
    assert (row.requests, row.errors, row.attempts, row.input, row.usd) == (5, 1, 4, 307, Decimal(15))
    assert (row.estimated, row.estimated_usd) == (1, Decimal(4))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("account", {("",): 0, (WORK,): 13, (HOME,): 2}),
        ("client", {("default",): 13, ("ci",): 2}),
        ("model", {("",): 0, ("gpt-5",): 13, ("gpt-4o",): 2}),
        ("endpoint", {("responses",): 7, ("embeddings",): 8}),
        ("hour", {(NOON - 20 * DAY,): 8, (NOON - DAY,): 4, (NOON,): 1, (NOON + HOUR,): 2}),
        ("day", {(MIDNIGHT - 20 * DAY,): 8, (MIDNIGHT - DAY,): 4, (MIDNIGHT,): 3}),
        ("month", {(MIDNIGHT - 48 * DAY,): 8, (MIDNIGHT - 17 * DAY,): 7}),
        (("day", "account"), {(MIDNIGHT - 20 * DAY, WORK): 8, (MIDNIGHT - DAY, WORK): 4, (MIDNIGHT, ""): 0, (MIDNIGHT, HOME): 2, (MIDNIGHT, WORK): 1}),
        (("model", "client"), {("", "default"): 0, ("gpt-5", "default"): 13, ("gpt-4o", "ci"): 2}),
    ],
)  # fmt: skip
def test_by_anything(reader, by, expected):
    rows = reader.usage(by)
    assert usd(rows) == expected
    assert [row.key for row in rows] == sorted(expected)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (MIDNIGHT, None, 3), (MIDNIGHT - DAY, MIDNIGHT, 4), (None, MIDNIGHT, 12), (NOON + HOUR, None, 2), (NOON, NOON + HOUR, 1),
        (NOON + 60, NOON + 120, 1),  # the hour that contains it
        (MIDNIGHT - 17 * DAY, None, 7), (None, MIDNIGHT - 17 * DAY, 8), (MIDNIGHT + 5 * DAY, None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", ["account", "hour", "day", "month", ()])
def test_from_when_until_when(reader, since, until, expected, by):
    """The same money, whichever sums it is read from."""
    rows = reader.usage(by, since=since, until=until)
    assert sum(row.usd for row in rows) == (expected or 0)
    assert bool(rows) == (expected is not None)


def test_of_one_account_client_model_or_endpoint(reader):
    assert usd(reader.usage("client", account_id=HOME)) == {("ci",): 2}
    assert usd(reader.usage("day", model="gpt-5", client="default", since=MIDNIGHT)) == {(MIDNIGHT,): 1}
    assert reader.usage("day", endpoint="embeddings", since=MIDNIGHT) == []
    assert reader.usage(account_id="")[0].requests == 1


def test_what_limits_count(reader):
    assert reader.totals(NOON).of(("account", WORK)) == Spent(Decimal(1), Decimal(5))
    assert reader.totals(NOON + 40 * DAY).spent == {}


def test_single_requests_newest_first(reader):
    assert [int(one.id, 16) for one in reader.requests()] == [0x11, 0x20, 0x10, 0x12, 0x13]
    assert [int(one.id, 16) for one in reader.requests(limit=2)] == [0x11, 0x20]
    assert [int(one.id, 16) for one in reader.requests(account_id=WORK, since=NOON - DAY, until=NOON + 1)] == [
        0x10,
        0x12,
    ]
    assert [int(one.id, 16) for one in reader.requests(failed=True)] == [0x20]
    assert [int(one.id, 16) for one in reader.requests(client="ci", model="gpt-4o", failed=False)] == [0x11]


def test_one_request_by_its_id_or_enough_of_it(reader):
    full = f"{0x20:032x}"
    assert reader.request(full).failure == "insufficient_quota"
    assert reader.request(full[:31]) == reader.request(full)
    assert reader.request(f"{0x10:032x}"[:31]) is None  # fits several
    assert reader.request("nothing") is None
    assert reader.request("") is None
    assert reader.request("%") is None


def test_labels_of_accounts_that_may_be_gone(reader):
    assert reader.labels() == {WORK: "work", HOME: "home"}


def test_how_the_file_does(reader, path):
    health = reader.health()
    assert (health.path, health.zone, health.requests, health.oldest) == (path, "UTC", 5, NOON - 20 * DAY)
    assert health.bytes >= 4096
    assert [(one.killed, one.dropped, one.ended) for one in health.sessions] == [(False, 0, NOON)]
    assert health.damaged == ()


def test_before_the_first_proxy_ran_there_is_nothing(tmp_path):
    with pytest.raises(LedgerMissingError):
        Reader.open(tmp_path / "ledger.db")


def test_a_ledger_in_which_nothing_happened_yet_is_empty(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.open(path), Reader.open(path) as reader:
        assert reader.usage("account") == []
        assert reader.requests() == []
        assert reader.health().oldest is None
        assert [reader.snapshots(), reader.domains(), reader.labels()] == [{}, {}, {}]


def test_it_sees_what_a_running_proxy_wrote_and_follows_a_file_that_was_replaced(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.open(path, clock=Clock()) as ledger, Reader.open(path) as reader:
        ledger.record(record(1, "1"))
        assert written(ledger)
        assert reader.usage()[0].requests == 1
        ledger.close()
        path.unlink()
        with Ledger.open(path, clock=Clock()):
            assert reader.usage() == []


def test_ids_by_their_beginning(reader):
    ids = [record.id for record in reader.like("0" * 30 + "1")]
    assert ids == [f"{number:032x}" for number in (0x11, 0x10, 0x12, 0x13)]
    assert [record.id for record in reader.like("0" * 30, limit=1)] == [f"{0x11:032x}"]
    assert reader.like("x") == []
