"""What is read from the ledger's smaller tables, for its writer and for its readers alike."""

import sqlite3

from dataclasses import dataclass

from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger.operations import snapshot_of


__all__ = ["Domain", "domains_in", "snapshots_in"]


@dataclass(frozen=True, slots=True)
class Domain:
    """Whose an account is, as answers of OpenAI said."""

    organization: str | None
    project: str | None
    learned: float
    """Unix time."""


def domains_in(connection: sqlite3.Connection) -> dict[str, Domain]:
    """By account id."""
    rows = connection.execute("SELECT account_id, organization, project, learned FROM domain").fetchall()
    return {account_id: Domain(*rest) for account_id, *rest in rows}


def snapshots_in(connection: sqlite3.Connection) -> dict[str, Snapshot]:
    """The last one of each account, by account id."""
    rows = connection.execute(
        "SELECT today, month, hard_limit, account_id, max(taken_at), source, error, more FROM snapshot GROUP BY account_id"
    ).fetchall()
    return {row[3]: snapshot_of(row) for row in rows}
