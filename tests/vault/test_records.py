"""A record opens at its own place and nowhere else."""

import base64
import contextlib
import sqlite3

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, envelope
from codex_manager.vault.database import TABLES
from codex_manager.vault.errors import VaultTamperedError
from codex_manager.vault.records import KINDS, Records


PAYLOAD = {"label": "Work", "api_key": "sk-x"}


@pytest.fixture
def connection():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for table in TABLES:
            connection.execute(table)
        yield connection


def test_put_get_drop(connection):
    records = Records(connection, "v", envelope.new_key())
    assert records.get("account", "a") is None
    records.put("account", "a", {})
    records.put("account", "a", PAYLOAD)
    assert records.get("account", "a") == PAYLOAD
    assert records.ids("account") == ["a"]
    assert records.all("account") == [PAYLOAD]
    assert records.drop("account", "a")
    assert not records.drop("account", "a")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("record", ["a", "b"])
@pytest.mark.parametrize("vault", ["v", "w"])
def test_a_moved_record_does_not_open(connection, kind, other, record, vault):
    """Swapped between accounts, kinds or vaults it is refused; at its own place it opens."""
    key = envelope.new_key()
    Records(connection, "v", key).put(kind, "a", PAYLOAD)
    connection.execute("UPDATE record SET kind = ?, id = ?", (other, record))
    moved = Records(connection, vault, key)
    if (other, record, vault) == (kind, "a", "v"):
        assert moved.get(other, record) == PAYLOAD
    else:
        with pytest.raises(VaultTamperedError) as caught:
            moved.get(other, record)
        assert (caught.value.kind, caught.value.record) == (other, record)


def test_every_flipped_bit_of_a_stored_record_is_named(connection):
    """The error says which row it is."""
    records = Records(connection, "v", envelope.new_key())
    records.put("account", "a", PAYLOAD)
    raw = base64.b64decode(connection.execute("SELECT sealed FROM record").fetchone()[0])
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        connection.execute("UPDATE record SET sealed = ?", (base64.b64encode(flipped).decode(),))
        with pytest.raises(VaultTamperedError, match="the account record a was changed outside"):
            records.get("account", "a")


@pytest.mark.parametrize("value", [b"bytes", 1, "", "AAAA", None.__class__.__name__])
def test_a_value_that_was_never_sealed_is_refused(connection, value):
    records = Records(connection, "v", envelope.new_key())
    records.put("account", "a", PAYLOAD)
    connection.execute("UPDATE record SET sealed = ?", (value,))
    with pytest.raises(VaultTamperedError):
        records.all("account")


def test_resealing_moves_everything_to_the_new_key(connection):
    """Records of kinds that this version does not know, too."""
    old, new = envelope.new_key(), envelope.new_key()
    records = Records(connection, "v", old)
    records.put("account", "a", PAYLOAD)
    records.put("kind of later", "b", {"x": 1})  # type: ignore[arg-type]
    records.reseal(new)
    assert Records(connection, "v", new).get("account", "a") == PAYLOAD
    assert Records(connection, "v", new).get("kind of later", "b") == {"x": 1}  # type: ignore[arg-type]
    with pytest.raises(VaultTamperedError):
        records.get("account", "a")


def test_records_swapped_between_two_vaults_are_refused(filled, tmp_path):
    """Even when both vaults have the same master key."""
    with Vault.create(tmp_path / "other.db", Secret("a master key for tests only"), profile=CHEAPEST) as other:
        with filled._database.read():
            rows = filled._database.connection.execute("SELECT kind, id, sealed FROM record").fetchall()
        with other._database.write():
            other._database.connection.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
        with pytest.raises(VaultTamperedError):
            other.accounts()


def test_a_tampered_account_can_be_removed_by_its_id(filled):
    """The error says how to go on; the others are there again after it."""
    work = filled.account("work")
    with filled._database.write():
        filled._database.connection.execute("UPDATE record SET sealed = 'AAAA' WHERE id = ?", (work.id,))
    with pytest.raises(VaultTamperedError) as caught:
        filled.accounts()
    assert f"codex-manager remove {work.id}" in str(caught.value.hint)
    filled.remove(work.id)
    assert [account.label for account in filled.accounts()] == ["Personal", "Client"]
