"""What a ledger needs now and then: old rows go, sums follow the user's time zone, a damaged file is replaced.

Law: sums are kept for ever, and they never change because single requests are forgotten. Hours are the finest sums, so days and months
of another zone are made of them: exact for zones that differ by whole hours, and off by less than an hour at the edges of days for others.
"""

import contextlib
import sqlite3

from pathlib import Path
from typing import Final

from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.database import connect_unchecked
from codex_manager.ledger.operations import adjust
from codex_manager.ledger.remembered import forget_old
from codex_manager.ledger.sums import MEASURES
from codex_manager.ledger.totals import Nanos, read


__all__ = ["carry_over", "prune", "salvage", "set_zone", "zone_of"]

CHUNK: Final = 500  # rows a transaction, so that nobody waits for the lock
DAY_S: Final = 86_400
PATIENCE_DAYS: Final = 35  # longest an estimate waits for its real figure: batches take a day, some things longer


def prune(connection: sqlite3.Connection, now: float, retention_days: int) -> int:
    """Take out some of what is older; in a transaction of the caller. Returns how many rows, to go on while there are any."""
    cut = now - retention_days * DAY_S
    older = cut - PATIENCE_DAYS * DAY_S
    gone = connection.execute(
        "DELETE FROM request WHERE number IN"
        " (SELECT number FROM request WHERE time < ? AND (NOT open OR time < ?) ORDER BY time LIMIT ?)",
        (cut, older, CHUNK),
    ).rowcount
    gone += connection.execute(
        "DELETE FROM snapshot WHERE (account_id, taken_at) IN (SELECT account_id, taken_at FROM snapshot AS old WHERE taken_at < ?"
        " AND EXISTS (SELECT 1 FROM snapshot AS new WHERE new.account_id = old.account_id AND new.taken_at > old.taken_at) LIMIT ?)",
        (cut, CHUNK),
    ).rowcount
    connection.execute("DELETE FROM object WHERE time < ?", (older,))
    connection.execute("DELETE FROM session WHERE seen < ? AND (killed OR ended IS NOT NULL)", (older,))
    return gone + forget_old(connection, now)


def zone_of(connection: sqlite3.Connection) -> str | None:
    """Name of the zone whose days and months are in the file; None in a new one."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'zone'").fetchone()
    return found[0] if found else None


def set_zone(connection: sqlite3.Connection, calendar: Calendar) -> bool:
    """Make days and months those of this zone; in a transaction of the caller. Returns whether anything had to be done."""
    before = zone_of(connection)
    if before == calendar.name:
        return False
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('zone', ?)", (calendar.name,))
    if before is None:
        return False
    connection.execute("CREATE TEMP TABLE turn (hour INTEGER PRIMARY KEY, day INTEGER, month INTEGER)")
    hours = connection.execute("SELECT DISTINCT start FROM rollup WHERE span = 'hour'").fetchall()
    found = [(hour, calendar.at(hour).day, calendar.at(hour).month) for (hour,) in hours]
    connection.executemany("INSERT INTO turn VALUES (?, ?, ?)", found)
    connection.execute("DELETE FROM rollup WHERE span IN ('day', 'month')")
    connection.execute("DELETE FROM spent")
    names = "account_id, client, model, endpoint"
    for span in ("day", "month"):
        connection.execute(
            f"INSERT INTO rollup (span, start, {names}, {','.join(MEASURES)})"  # noqa: S608 - our own names
            f" SELECT '{span}', turn.{span}, {names}, {','.join(f'sum({name})' for name in MEASURES)}"
            f" FROM rollup JOIN turn ON turn.hour = start WHERE span = 'hour' GROUP BY turn.{span}, {names}"
        )
        for holder, column in (("account", "account_id"), ("client", "client")):
            connection.execute(
                f"INSERT INTO spent (span, start, holder, key, nano) SELECT span, start, '{holder}', {column}, sum(nano)"  # noqa: S608 - our own names
                f" FROM rollup WHERE span = '{span}' AND {column} != '' GROUP BY start, {column}"
            )
    connection.execute("DROP TABLE turn")
    for time, span, holder, key, nano in connection.execute(
        "SELECT time, span, holder, key, nano FROM adjustment"
    ).fetchall():
        windows = calendar.at(time)
        start = windows.day if span == "day" else windows.month
        connection.execute(
            "INSERT INTO spent (span, start, holder, key, nano, adjusted) VALUES (?, ?, ?, ?, 0, ?)"
            " ON CONFLICT DO UPDATE SET adjusted = adjusted + excluded.adjusted",
            (span, start, holder, key, nano),
        )
    return True


def salvage(damaged: Path, calendar: Calendar, now: float) -> Nanos:
    """What can still be read in a damaged file of what was spent in the current windows."""
    # whatever is wrong with it, it is worth a look and no more
    with (
        contextlib.suppress(sqlite3.Error, ValueError, TypeError),
        contextlib.closing(connect_unchecked(damaged)) as connection,
    ):
        return read(connection, calendar.at(now))
    return {}


def carry_over(connection: sqlite3.Connection, calendar: Calendar, now: float, spent: Nanos, reason: str) -> None:
    """Let what was spent before count in a new file; in a transaction of the caller."""
    windows = calendar.at(now)
    for holder, (day, month) in spent.items():
        adjust(connection, now, "day", windows.day, holder, day, reason)
        adjust(connection, now, "month", windows.month, holder, month, reason)
