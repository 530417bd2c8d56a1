"""Published vectors: vaults as data, each with the one outcome that opening it must have.

The files are committed; `make_vectors.py` wrote them. A version of codex-manager that fails here no longer opens what an
earlier one wrote, or opens what it must refuse.
"""

import contextlib
import json
import sqlite3

from pathlib import Path

import pytest

from tests.vault.make_vectors import shown

from codex_manager.core.secret import Secret
from codex_manager.vault import Vault
from codex_manager.vault.errors import (
    VaultHeaderRefusedError,
    VaultLockedError,
    VaultTamperedError,
    VaultTooNewError,
    WrongKeyError,
)


FILES = sorted((Path(__file__).parent / "vectors").glob("*.json"))
VECTORS = [vector for file in FILES for vector in json.loads(file.read_text(encoding="utf-8"))]
ERRORS = {
    "wrong_key": WrongKeyError,
    "tampered": VaultTamperedError,
    "header_refused": VaultHeaderRefusedError,
    "too_new": VaultTooNewError,
    "locked": VaultLockedError,
}
# The format, written down a second time: this is what another program would have to make.
SCHEMA = """
    CREATE TABLE header (id INTEGER PRIMARY KEY, json TEXT NOT NULL, generation INTEGER NOT NULL, locked_at TEXT);
    CREATE TABLE record (kind TEXT NOT NULL, id TEXT NOT NULL, sealed TEXT NOT NULL, PRIMARY KEY (kind, id));
"""


@pytest.fixture
def built(tmp_path):
    """A file from a vector, made without our code."""

    def build(vault):
        path = tmp_path / "vault.db"
        path.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version = {vault['user_version']}")
            connection.execute("INSERT INTO header VALUES (1, ?, 1, ?)", (vault["header"], vault["locked_at"]))
            rows = [(row["kind"], row["id"], row["sealed"]) for row in vault["records"]]
            connection.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
        return path

    return build


def test_the_vectors_cover_every_outcome():
    assert {file.stem for file in FILES} == {*ERRORS, "success"}
    assert all(vector["outcome"] in {*ERRORS, "success"} for vector in VECTORS)
    assert len(VECTORS) >= 40
    assert sum(vector["outcome"] == "header_refused" for vector in VECTORS) >= 12


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['outcome']}: {vector['name']}")
def test_a_vector_has_its_outcome(built, vector):
    path = built(vector["vault"])
    before, key = path.read_bytes(), Secret(vector["master_key"])
    outcome = vector["outcome"]
    if outcome == "success":
        with Vault.open(path, key) as vault:
            assert [shown(account) for account in vault.accounts()] == vector["accounts"]
            assert [client.name for client in vault.client_keys()] == vector["client_keys"]
            assert vault.pinned_account() == vector["pinned"]
            assert vault.verify().problems == ()
    elif outcome == "tampered":
        with Vault.open(path, key) as vault:
            with pytest.raises(VaultTamperedError) as caught:
                (vault.accounts(), vault.client_keys())
            assert vector["record"] in str(caught.value)
            assert any(vector["record"] in problem for problem in vault.verify().problems)
    else:
        with pytest.raises(ERRORS[outcome]):
            Vault.open(path, key)
    assert path.read_bytes() == before
