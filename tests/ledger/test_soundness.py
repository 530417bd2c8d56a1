"""Which SQLite has the WAL-reset bug, and what is said of a file that is damaged."""

import sqlite3

from contextlib import closing, suppress

import pytest

from codex_manager.ledger import Ledger, LedgerError, LedgerMissingError
from codex_manager.ledger.soundness import damage, has_wal_reset_bug


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 45, 0), True),
        ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False),
    ],
)  # fmt: skip
def test_versions_with_the_bug(version, affected):
    assert has_wal_reset_bug(version) == affected


def test_a_file_is_sound_until_a_page_of_it_is_not(tmp_path):
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerMissingError):
        damage(path)
    Ledger.open(path).close()
    assert damage(path) == ()
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    data[size * 2 : size * 3] = b"\xff" * size
    path.write_bytes(data)
    with suppress(LedgerError):  # so damaged that SQLite gives up
        assert damage(path) != ()
