"""Who wrote the ledger: one session for each process that did, its beginning, its clean end or the lack of one.

Law: whether a session lives is asked of its lock, never of a process id. What a session that was killed had reserved is booked
as spent, once, by whoever opens the ledger next: the request may have been served, and money is never forgotten.
"""

import contextlib
import sqlite3
import uuid

from dataclasses import dataclass
from pathlib import Path

from codex_manager.core.record import Record, Reservation
from codex_manager.ledger.batch import Batch
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.lock import Lock, take
from codex_manager.ledger.rows import Scribe, from_nano
from codex_manager.ledger.sums import Names


__all__ = ["INTERRUPTED", "Recovered", "Session", "interrupted", "recover"]

INTERRUPTED = "interrupted"
"""The failure of a record that was made of a reservation."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found of sessions that were killed."""

    killed: int = 0
    booked: int = 0
    """Requests that were on their way, booked as estimates."""
    nano: int = 0


class Session:
    """One process' time with a ledger."""

    def __init__(self, path: Path, lock: Lock, session_id: str) -> None:
        self.id = session_id
        self._path = path
        self._lock = lock

    @classmethod
    def begin(cls, ledger: Path) -> "Session":
        """A new one, alive from now on for all who look.

        Raises:
            OSError: its lock file cannot be made.
        """
        session_id = uuid.uuid4().hex
        path = _lock_file(ledger, session_id)
        lock = take(path)
        assert lock is not None, "nobody else knows the name"
        return cls(path, lock, session_id)

    def enter(self, connection: sqlite3.Connection, now: float) -> None:
        """Write it down; what it wrote before, in a file that is there no more, is not asked for."""
        connection.execute(
            "INSERT INTO session (id, started, seen) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (self.id, now, now)
        )

    def wrote(self, connection: sqlite3.Connection, now: float, *, through: int, dropped: int) -> None:
        """Note with a batch, in its transaction, how far it reaches."""
        connection.execute(
            "UPDATE session SET seen = ?, through = ?, dropped = ? WHERE id = ?", (now, through, dropped, self.id)
        )

    def through(self, connection: sqlite3.Connection) -> int:
        """How far what is on disk reaches."""
        found = connection.execute("SELECT through FROM session WHERE id = ?", (self.id,)).fetchone()
        return found[0] if found else 0

    def end(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute("UPDATE session SET ended = ?, seen = ? WHERE id = ?", (now, now, self.id))

    def leave(self) -> None:
        """Let go of the lock, and of its file."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._lock.release()


def recover(connection: sqlite3.Connection, ledger: Path, calendar: Calendar, names: Names, own: str) -> Recovered:
    """Book what sessions that live no more had reserved, in a transaction of the caller, under the lock."""
    dead = [
        session
        for (session,) in connection.execute("SELECT id FROM session WHERE ended IS NULL AND NOT killed").fetchall()
        if session != own and not _lives(ledger, session)
    ]
    booked = nano = 0
    for session in dead:
        batch = Batch(calendar, names, Scribe())
        count = amount = 0
        for row in connection.execute(
            "SELECT id, time, account_id, account, client, endpoint, model, nano FROM reservation WHERE session = ?",
            (session,),
        ).fetchall():
            batch.add(
                interrupted(
                    Reservation(
                        id=row[0],
                        time=row[1],
                        account_id=row[2],
                        account=row[3],
                        client=row[4],
                        endpoint=row[5],
                        model=row[6],
                        usd=from_nano(row[7]),
                    )
                )
            )
            count, amount = count + 1, amount + row[7]
        batch.apply(connection, session, {})
        connection.execute("DELETE FROM reservation WHERE session = ?", (session,))
        connection.execute(
            "UPDATE session SET killed = 1, interrupted = ?, interrupted_nano = ? WHERE id = ?",
            (count, amount, session),
        )
        booked, nano = booked + count, nano + amount
    return Recovered(len(dead), booked, nano)


def interrupted(reservation: Reservation) -> Record:
    """The record of a request of which only the reservation is known."""
    return Record(
        id=reservation.id,
        time=reservation.time,
        client=reservation.client,
        method="",
        endpoint=reservation.endpoint,
        model=reservation.model,
        account_id=reservation.account_id,
        account=reservation.account,
        failure=INTERRUPTED,
        cost=reservation.usd,
        estimated=True,
    )


def _lock_file(ledger: Path, session_id: str) -> Path:
    return ledger.with_name(f"{ledger.name}.{session_id}.live")


def _lives(ledger: Path, session_id: str) -> bool:
    """Whether its process does; the lock file of one that does not is taken away."""
    path = _lock_file(ledger, session_id)
    if not path.exists():
        return False
    try:
        lock = take(path)
    except OSError:
        return True  # it cannot be asked now; the next opening asks again
    if lock is None:
        return True
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    lock.release()
    return False
