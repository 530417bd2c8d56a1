"""Processes that were killed: what they had reserved is booked, once, and only if they are gone."""

import logging
import subprocess
import sys

from decimal import Decimal

import pytest

from tests.ledger.samples import WORK, Clock, record, reservation, select, sound
from tests.support import wait_for

from codex_manager.ledger import Ledger, Reader


PROGRAM = """
import sys, time
from pathlib import Path
from tests.ledger.samples import Clock, record, reservation
from codex_manager.ledger import Ledger

ledger = Ledger.open(Path(sys.argv[1]), clock=Clock())
ledger.record(record(1, "1"))
ledger.reserved(reservation("a", "0.70"))
ledger.reserved(reservation("b", "0.30", client="ci"))
while ledger.health().waiting or not ledger.totals().kept:
    time.sleep(0.01)
time.sleep(0.2)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def other(path):
    """A process that has written one request and reserved for two."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        yield process
        process.kill()


def test_what_a_killed_process_had_reserved_is_booked_as_an_estimate_once(path, other, caplog):
    other.kill()
    other.wait(10)
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        opening = ledger.opening
        assert (opening.killed, opening.interrupted, opening.interrupted_usd) == (1, 2, Decimal(1))
        assert ledger.totals().of(("account", WORK)).day == 2
        assert ledger.totals().of(("client", "ci")).day == Decimal("0.30")
    assert "the last session was killed" in caplog.text
    assert "2 that were on their way are booked as estimates, $1.00 together" in caplog.text
    with Ledger.open(path, clock=Clock()) as ledger:
        assert ledger.opening.killed == 0
        assert ledger.totals().of(("account", WORK)).day == 2
    with Reader.open(path) as reader:
        booked = {one.id: one for one in reader.requests(failed=True)}
        assert set(booked) == {"a", "b"}
        assert booked["a"].estimated
        assert (booked["a"].failure, booked["a"].cost, booked["a"].status) == ("interrupted", Decimal("0.7"), 0)
        killed = [session for session in reader.health().sessions if session.killed]
        assert [(one.ended, one.interrupted, one.interrupted_usd) for one in killed] == [(None, 2, Decimal(1))]
    assert sound(path)
    assert not list(path.parent.glob("*.live"))


def test_a_process_that_lives_keeps_its_reservations(path, other):
    with Ledger.open(path, clock=Clock()) as ledger:
        assert (ledger.opening.killed, ledger.opening.interrupted) == (0, 0)
        assert ledger.totals().of(("account", WORK)).day == 1
    assert select(path, "SELECT id FROM reservation ORDER BY id") == [("a",), ("b",)]


def test_a_session_leaves_nothing_beside_the_ledger(path):
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record())
        assert len(list(path.parent.glob("*.live"))) == 1
    assert sorted(each.name for each in path.parent.iterdir()) == ["ledger.db", "ledger.db.lock"]


def test_reservations_survive_in_a_new_file_when_the_old_one_is_taken_away(path):
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.reserved(reservation("a"))
        assert wait_for(lambda: select(path, "SELECT id FROM reservation") == [("a",)])
        for each in path.parent.glob("ledger.db*"):
            if not each.name.endswith((".live", ".lock")):
                each.unlink()
        ledger.record(record(1))
        assert wait_for(lambda: path.exists() and select(path, "SELECT id FROM reservation") == [("a",)])
        ledger.released("a")
    assert select(path, "SELECT id FROM reservation") == []
