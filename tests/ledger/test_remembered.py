"""What outlives a proxy beside the money: marks, owners, bindings; written, changed, forgotten, bounded."""

import contextlib
import sqlite3

from dataclasses import replace

import pytest

from tests.ledger.samples import DAY, HOME, HOUR, NOON, WORK, Clock, select
from tests.support import wait_for

from codex_manager.core.bindings import Binding
from codex_manager.core.owners import Change, Owner
from codex_manager.core.persist import Mark
from codex_manager.ledger import BindingsKept, Ledger, MarksKept, OwnersKept, Reader, remembered
from codex_manager.ledger.database import Database
from codex_manager.ledger.remembered import OWNER_DAYS, forget_old
from codex_manager.ledger.schema import STEPS


REST = Mark("scope", "org/proj", "=gpt-5", NOON + 60, 60.0, 2)
KEY = Mark("auth", WORK, "invalid_api_key", NOON + 900, 900.0, 0, "2026-11-18T00:00:00Z")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def kept(path, *operations):
    with Ledger.open(path, clock=Clock()) as ledger:
        for operation in operations:
            ledger.write(operation)
        assert wait_for(lambda: not ledger.health().waiting and not len(ledger._inbox))


def owner(seen=NOON, *, account=WORK, domain="org/proj", family="files", strong=True):
    return Owner(domain, account, family, strong, seen)


def owned(**owners):
    return OwnersKept.of([Change(name.replace("_", "-"), who) for name, who in owners.items()])


def test_marks_come_change_and_go(path):
    kept(path, MarksKept([REST, KEY]))
    with Reader.open(path) as reader:
        assert reader.marks() == [KEY, REST]
        later = replace(REST, until=NOON + 300, left_s=240.0, level=3)
        kept(path, MarksKept([later], [KEY]))
        assert reader.marks() == [later]
        kept(path, MarksKept([], [REST]))
        assert reader.marks() == [later], "another process has put it off since"


def test_owners_come_move_and_go(path):
    kept(
        path, owned(file_1=owner(), file_2=owner(NOON + 1), vs_1=owner(NOON + 2, account=HOME, family="vector_stores"))
    )
    kept(path, owned(file_1=owner(NOON + 3, domain="org/other", strong=False), file_2=None))
    with Reader.open(path) as reader:
        assert reader.owner("file-1") == owner(NOON + 3, domain="org/other", strong=False)
        assert reader.owner("file-2") is reader.owner("file") is None
        assert [name for name, _ in reader.owners()] == ["file-1", "vs-1"]
        assert [name for name, _ in reader.owners(account_id=HOME)] == ["vs-1"]
        assert [name for name, _ in reader.owners(family="files", account_id=WORK)] == ["file-1"]
        assert [name for name, _ in reader.owners(limit=1)] == ["file-1"]


def test_what_is_handed_over_does_not_change_afterwards(path):
    who = owner()
    change = OwnersKept.of([Change("file-1", who)])
    who.domain = "elsewhere"
    kept(path, change)
    with Reader.open(path) as reader:
        assert reader.owner("file-1") == owner()


def test_bindings_come_and_move(path):
    first = Binding(WORK, "org", NOON, NOON)
    away = Binding(HOME, "org-b", NOON, NOON + 5, detour=WORK, turns=2, away=NOON + 1)
    kept(path, BindingsKept.of([("s1", first), ("s2", first)]), BindingsKept.of([("s1", away)]))
    with Reader.open(path) as reader:
        assert reader.bindings() == [("s1", away), ("s2", first)]


def test_odd_rows_do_not_keep_others_away(path):
    kept(path, owned(file_1=owner(seen=None), file_2=owner(), file_3=owner(domain="\udc80" * 5)), MarksKept([REST]))
    with Reader.open(path) as reader:
        assert {name for name, _ in reader.owners()} == {"file-2", "file-3"}
        assert reader.marks() == [REST]


def test_a_file_of_before_has_none_and_gets_them_with_the_next_proxy(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        STEPS[0](connection)
        connection.execute("PRAGMA application_id = 0x636D6C67")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    with Reader.open(path) as reader:
        assert (reader.owner("file-1"), reader.owners(), reader.marks(), reader.bindings()) == (None, [], [], [])
        kept(path, owned(file_1=owner()))
        assert reader.owner("file-1") == owner()


def test_what_is_too_old_or_too_much_goes(path, monkeypatch):
    monkeypatch.setattr(remembered, "MOST_OWNERS", 40)
    monkeypatch.setattr(remembered, "MOST_BINDINGS", 3)
    monkeypatch.setattr(remembered, "CHUNK", 10)
    young = {f"file_{n}": owner(NOON - n) for n in range(45)}
    old = {f"old_{n}": owner(NOON - OWNER_DAYS * DAY - 1) for n in range(25)}
    homes = [(f"s{n}", Binding(WORK, "org", NOON, NOON - n)) for n in range(5)]
    homes += [("late", Binding(WORK, "org", NOON - 3 * HOUR, NOON - 3 * HOUR))]
    marks = [REST, replace(KEY, until=NOON - 2 * DAY)]
    kept(path, owned(**young, **old), BindingsKept.of(homes), MarksKept(marks))
    database = Database(path)
    with database.held():
        database.open()
        while True:
            with database.write() as connection:
                if not forget_old(connection, NOON):
                    break
        database.close()
    with Reader.open(path) as reader:
        assert [name for name, _ in reader.owners()] == [f"file-{n}" for n in range(40)]
        assert [session for session, _ in reader.bindings()] == ["s0", "s1", "s2"]
        assert reader.marks() == [REST]


def test_looking_for_an_owner_uses_an_index(path):
    kept(path, owned(file_1=owner()))
    for question in ("SELECT * FROM owner WHERE id = 'a'", "SELECT * FROM owner ORDER BY seen DESC LIMIT 5"):
        ((*_, plan),) = select(path, f"EXPLAIN QUERY PLAN {question}")
        assert "USING" in plan
