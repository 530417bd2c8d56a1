"""Any number of rows in few steps, and a bad row does not take the good ones with it."""

import contextlib
import sqlite3

import pytest

from codex_manager.ledger.statements import Insert


@pytest.fixture
def connection():
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)")
        yield connection


INSERT = Insert("t", ("a", "b"))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 15, 16, 63, 64, 65, 200])
def test_all_rows_are_written_in_their_order(connection, count):
    rows = [(number, f"text {number}") for number in range(count)]
    assert INSERT.write(connection, rows) == 0
    assert connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall() == rows


def test_two_hundred_rows_take_few_steps(connection):
    """Each step lets go of the interpreter lock, and beside a busy loop gets it back milliseconds later."""
    steps: list[str] = []
    connection.set_trace_callback(steps.append)
    INSERT.write(connection, [(number, "x") for number in range(200)])
    assert len(steps) <= 6


@pytest.mark.parametrize("bad", [(1, None), (5, "again"), (2**70, "big"), (7, "\ud800"), (8, object()), ("text", "x")])
def test_a_row_that_cannot_be_written_is_counted_and_the_others_are_there(connection, bad):
    rows = [(number, "x") for number in range(100, 150)]
    connection.execute("INSERT INTO t VALUES (5, 'first')")
    assert INSERT.write(connection, [*rows[:20], bad, *rows[20:]]) == 1
    assert connection.execute("SELECT count(*) FROM t WHERE a >= 100").fetchone() == (50,)


def test_what_comes_after_the_values_is_said_once_for_all(connection):
    upsert = Insert("t", ("a", "b"), "ON CONFLICT DO UPDATE SET b = b || excluded.b")
    upsert.write(connection, [(1, "a"), (2, "b")])
    upsert.write(connection, [(1, "c"), (3, "d")])
    assert connection.execute("SELECT a, b FROM t").fetchall() == [(1, "ac"), (2, "b"), (3, "d")]
