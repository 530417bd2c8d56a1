"""Between the event loop and the writer: numbers, bounds, and no exception into the loop."""

import datetime as dt
import threading

from tests.ledger.samples import record, reservation

from codex_manager.ledger import inbox as module
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.inbox import Inbox, Item


def new():
    return Inbox(Calendar(dt.UTC))


def test_records_are_numbered_and_what_is_taken_says_how_far_it_reaches():
    inbox = new()
    assert [inbox.put_record(record(n)) for n in range(3)] == [1, 2, 3]
    inbox.put(reservation("r"))
    inbox.put("r")
    taken = inbox.take()
    assert (len(taken.items), taken.through, taken.folded, taken.dropped) == (5, 3, None, 0)
    assert inbox.take().items == []
    assert inbox.put_record(record(4)) == 4


def test_the_first_thing_wakes_the_writer():
    inbox = new()
    assert not inbox.signal.is_set()
    inbox.put_record(record())
    assert inbox.signal.is_set()


def test_what_is_too_much_leaves_its_sums_and_is_counted(monkeypatch):
    monkeypatch.setattr(module, "MOST", 10)
    inbox = new()
    for number in range(25):
        assert inbox.put_record(record(number)) == number + 1
    inbox.put(reservation("r"))
    inbox.put_record(record(26, duration_s=None))  # so odd that even its sums cannot be kept
    taken = inbox.take()
    assert (len(taken.items), taken.through, taken.dropped) == (10, 26, 17)
    assert [row[6] for row in taken.folded.rollups()] == [15, 15, 15]


def test_threads_lose_nothing():
    inbox = new()
    numbers: list[int] = []
    taken: list[Item] = []

    def put():
        numbers.extend(inbox.put_record(record(1)) for _ in range(2000))

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += inbox.take().items
    for thread in threads:
        thread.join(10)
    taken += inbox.take().items
    assert len(taken) == 8000
    assert sorted(numbers) == list(range(1, 8001))
