"""Sealed records in the vault's table: put, get, list, drop, by kind and id. Knows no accounts, only payloads.

Law: the AAD of a record names format, vault, kind and id, so a record opens at its own place and at no other. Every
method runs inside a transaction of its caller.
"""

import sqlite3

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from codex_manager.vault import codec, envelope
from codex_manager.vault.codec import Payload
from codex_manager.vault.errors import VaultTamperedError
from codex_manager.vault.header import FORMAT, VERSION


__all__ = ["KINDS", "Kind", "Records", "reading"]

type Kind = Literal["account", "client_key", "setting"]

KINDS: Final[tuple[Kind, ...]] = ("account", "client_key", "setting")


class Records:
    """The records of one vault under one data key."""

    def __init__(self, connection: sqlite3.Connection, vault_id: str, dek: bytearray) -> None:
        self._connection = connection
        self._vault_id = vault_id
        self._dek = dek

    def ids(self, kind: Kind) -> list[str]:
        """Ids of a kind, in the order of the file, which says nothing."""
        return [row[0] for row in self._connection.execute("SELECT id FROM record WHERE kind = ?", (kind,))]

    def get(self, kind: Kind, record: str) -> Payload | None:
        """One record, or None when there is none.

        Raises:
            VaultTamperedError: it does not open.
        """
        row = self._connection.execute("SELECT sealed FROM record WHERE kind = ? AND id = ?", (kind, record)).fetchone()
        return None if row is None else self._opened(kind, record, row[0])

    def all(self, kind: Kind) -> list[Payload]:
        """Every record of a kind."""
        rows = self._connection.execute("SELECT id, sealed FROM record WHERE kind = ?", (kind,)).fetchall()
        return [self._opened(kind, record, sealed) for record, sealed in rows]

    def put(self, kind: Kind, record: str, payload: Payload) -> None:
        """Write a record over whatever is there."""
        sealed = envelope.seal(self._dek, codec.dump(payload), self._place(kind, record))
        self._connection.execute(
            "INSERT INTO record (kind, id, sealed) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET sealed = excluded.sealed",
            (kind, record, sealed),
        )

    def drop(self, kind: Kind, record: str) -> bool:
        """Delete a record, readable or not; whether there was one."""
        return self._connection.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record)).rowcount == 1

    def reseal(self, dek: bytearray) -> None:
        """Seal every record under another key; kinds of later versions, too.

        Raises:
            VaultTamperedError: one does not open.
        """
        for kind, record, sealed in self._connection.execute("SELECT kind, id, sealed FROM record").fetchall():
            with reading(kind, record):
                place = self._place(kind, record)
                again = envelope.seal(dek, envelope.open_sealed(self._dek, sealed, place), place)
            self._connection.execute("UPDATE record SET sealed = ? WHERE kind = ? AND id = ?", (again, kind, record))

    def _place(self, kind: str, record: str) -> bytes:
        return envelope.aad(FORMAT, str(VERSION), self._vault_id, kind, record)

    def _opened(self, kind: Kind, record: object, sealed: object) -> Payload:
        if not isinstance(record, str) or not isinstance(sealed, str):
            raise tampered(kind, str(record))
        with reading(kind, record):
            return codec.load(envelope.open_sealed(self._dek, sealed, self._place(kind, record)))


@contextmanager
def reading(kind: str, record: str) -> Iterator[None]:
    """What does not open or does not parse was not written by us."""
    try:
        yield
    except (envelope.SealBrokenError, ValueError, KeyError, TypeError, AttributeError):
        raise tampered(kind, record) from None


def tampered(kind: str, record: str) -> VaultTamperedError:
    """The error that names the row."""
    what = {"account": "account", "client_key": "client key"}.get(kind, kind)
    cure = (
        f"remove it with `codex-manager remove {record}` or restore a backup"
        if kind == "account"
        else "restore a backup"
    )
    return VaultTamperedError(
        f"the {what} record {record} was changed outside of codex-manager and does not open",
        hint=f"{cure} with `codex-manager vault restore`" if kind != "account" else cure,
        kind=kind,
        record=record,
    )
