"""The file: how it is made, who may write it, what is refused."""

import contextlib
import hashlib
import os
import sqlite3
import stat

import pytest

from codex_manager.ledger.database import Database, connect_reading, lock_of, move_aside
from codex_manager.ledger.errors import (
    LedgerBusyError,
    LedgerDamagedError,
    LedgerError,
    LedgerForeignError,
    LedgerMissingError,
    LedgerTooNewError,
    LedgerUnreadableError,
)
from codex_manager.ledger.schema import STEPS, VERSION


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def made(path):
    database = Database(path)
    with database.held():
        assert database.open()
        database.close()
    return path


def test_a_new_file_is_the_owners_alone_and_so_is_all_beside_it(path):
    previous = os.umask(0)
    try:
        database = Database(path)
        with database.held():
            database.open()
            with database.write() as connection:
                connection.execute("INSERT INTO meta VALUES ('a', 'b')")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
            database.close()
    finally:
        os.umask(previous)
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)


def test_it_is_wal_and_says_whose_it_is(path):
    made(path)
    assert path.read_bytes()[68:72] == b"cmlg"
    with contextlib.closing(connect_reading(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_file_at_the_path_has_its_tables_already(path, monkeypatch):
    """A crash while it is made leaves nothing at the path, and the next opening begins anew."""
    import codex_manager.ledger.database as module

    def crash(connection):
        connection.execute("CREATE TABLE half (a)")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "migrate", crash)
    database = Database(path)
    with database.held(), pytest.raises(KeyboardInterrupt):
        database.open()
    assert not path.exists()
    monkeypatch.undo()
    made(path)


def test_steps_that_were_released_are_never_changed():
    """A ledger made by any version must end up with the same tables. Add a step; do not edit one."""
    made = []
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for step in STEPS:
            step(connection)
            text = "\n".join(row[0] or "" for row in connection.execute("SELECT sql FROM sqlite_master ORDER BY name"))
            made.append(hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16])
    assert made == ["b099b25b87f65872", "907b15524f0a9193"]
    assert len(STEPS) == VERSION


def test_an_older_file_is_brought_up_to_date(path, monkeypatch):
    made(path)
    steps = (*STEPS, lambda connection: connection.execute("CREATE TABLE later (a)"))
    monkeypatch.setattr("codex_manager.ledger.schema.STEPS", steps)
    monkeypatch.setattr("codex_manager.ledger.schema.VERSION", len(steps))
    monkeypatch.setattr("codex_manager.ledger.database.VERSION", len(steps))
    database = Database(path)
    with database.held():
        assert not database.open()
        assert database.connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
        database.close()


def test_there_is_nothing_to_read_before_the_first_proxy_ran(path):
    with pytest.raises(LedgerMissingError, match="there is no ledger"):
        connect_reading(path)
    assert not path.exists()


def test_a_reader_cannot_write(path):
    made(path)
    with contextlib.closing(connect_reading(path)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("INSERT INTO meta VALUES ('a', 'b')")


def foreign(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (a)")


def too_new(path):
    made(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def with_a_trigger(path):
    made(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON request BEGIN DELETE FROM request; END")


def without_tables(path):
    made(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE request")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (foreign, LedgerForeignError),
        (too_new, LedgerTooNewError),
        (with_a_trigger, LedgerDamagedError),
        (without_tables, LedgerDamagedError),
        (lambda path: path.write_bytes(b""), LedgerDamagedError),
        (
            lambda path: path.write_bytes(b"no database at all, but long enough to be looked at" * 100),
            LedgerDamagedError,
        ),
        (lambda path: path.mkdir(), LedgerError),
    ],
)
def test_what_is_no_ledger_is_named_and_not_touched(path, make, error):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    database = Database(path)
    with database.held(), pytest.raises(error) as caught:
        database.open()
    assert not database.is_open
    assert str(path) in str(caught.value)
    with pytest.raises(error):
        connect_reading(path)
    if before is not None:
        assert path.read_bytes() == before


def test_who_holds_the_lock_too_long_is_named_and_not_waited_for(path):
    lock = lock_of(path)
    database = Database(path, patience_s=0.02)
    with pytest.raises(LedgerBusyError, match="kept locked"), database.held():
        pass
    lock.release()


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(LedgerUnreadableError, match="no such file"), Database(tmp_path / "no" / "ledger.db").held():
        pass


def test_a_damaged_file_is_moved_aside_with_its_wal(path):
    database = Database(path)
    with database.held():
        database.open()
        with database.write() as connection:
            connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        database.abandon()
        first = move_aside(path)
        path.write_bytes(b"another")
        second = move_aside(path)
    assert not path.exists()
    assert first.name.startswith("ledger.db.damaged-")
    assert first != second
    with contextlib.closing(connect_reading(first)) as connection:
        assert connection.execute("SELECT * FROM meta").fetchall() == [("a", "b")]


def test_a_file_that_was_taken_away_is_noticed(path):
    database = Database(path)
    with database.held():
        database.open()
        assert database.is_current()
        path.rename(path.with_name("elsewhere"))
        assert not database.is_current()
        database.abandon()
        assert database.open()
        assert database.is_current()
        database.close()
