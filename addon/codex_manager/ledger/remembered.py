"""What a proxy remembers beside the money: rests and blocks (`mark`), who has what (`owner`), where conversations are at home (`binding`).

Plain operations for the writer, queries for readers, and the bounds. Law: each thing has one row, the last word counts, and
whatever is too old or too much goes, the longest unused first. All times are Unix seconds. An id of OpenAI's and a digest
are all that is kept of a request.
"""

import sqlite3

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Final

from codex_manager.core.bindings import IDLE_S, Binding
from codex_manager.core.bindings import MOST as MOST_BINDINGS
from codex_manager.core.owners import Change, Owner
from codex_manager.core.persist import Mark
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.rows import clean, json_of
from codex_manager.ledger.statements import Insert


__all__ = [
    "MOST_OWNERS",
    "OWNER_DAYS",
    "BindingsKept",
    "MarkKey",
    "MarksKept",
    "OwnersKept",
    "bindings_in",
    "forget_old",
    "key_of",
    "marks_in",
    "owner_in",
    "owners_in",
    "remembers",
]

OWNER_DAYS: Final = 400
"""OpenAI keeps files and batches without end, but what nobody has named for a year is found by asking (404)."""
MOST_OWNERS: Final = 1_000_000
CHUNK: Final = 2000  # rows a transaction, so that nobody waits for the lock
DAY_S: Final = 86_400.0

type MarkKey = tuple[str, str, str]

MARKS: Final = Insert(
    "mark",
    ("kind", "key", "detail", "until", "left_s", "level", "edition"),
    "ON CONFLICT DO UPDATE SET until = excluded.until, left_s = excluded.left_s, level = excluded.level,"
    " edition = excluded.edition",
)
OWNERS: Final = Insert(
    "owner",
    ("id", "domain", "account_id", "family", "strong", "seen"),
    "ON CONFLICT DO UPDATE SET domain = excluded.domain, account_id = excluded.account_id, family = excluded.family,"
    " strong = excluded.strong, seen = excluded.seen",
)
BINDINGS: Final = Insert(
    "binding",
    ("session", "home", "organization", "bound", "seen", "detour", "turns", "away"),
    "ON CONFLICT DO UPDATE SET home = excluded.home, organization = excluded.organization, bound = excluded.bound,"
    " seen = excluded.seen, detour = excluded.detour, turns = excluded.turns, away = excluded.away",
)


def key_of(mark: Mark) -> MarkKey:
    """What a mark is about; there is one row for it."""
    return mark.kind, mark.key, mark.detail


@dataclass(frozen=True, slots=True)
class MarksKept:
    """Marks that are new or have changed, and those that are over."""

    marks: Sequence[Mark]
    over: Sequence[Mark] = ()
    """As they were written; one that somebody else has put off meanwhile stays."""

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> None:  # noqa: ARG002 - the port's signature
        MARKS.write(
            connection,
            [
                (clean(m.kind), clean(m.key), clean(m.detail), m.until, m.left_s, m.level, clean(m.edition))
                for m in self.marks
            ],
        )
        for mark in self.over:
            connection.execute(
                "DELETE FROM mark WHERE (kind, key, detail) = (?, ?, ?) AND until <= ?",
                (*map(clean, key_of(mark)), mark.until),
            )


@dataclass(frozen=True, slots=True)
class OwnersKept:
    """Things that were seen, moved or deleted. Takes its values when it is made; what comes later does not change them."""

    rows: Sequence[tuple[object, ...]]
    gone: Sequence[str] = ()

    @classmethod
    def of(cls, changes: Sequence[Change]) -> "OwnersKept":
        rows = [
            (clean(c.id), clean(o.domain), clean(o.account_id), clean(o.family), o.strong, o.seen)
            for c in changes
            if (o := c.owner) is not None
        ]
        return cls(rows, [clean(change.id) for change in changes if change.owner is None])

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> None:  # noqa: ARG002 - the port's signature
        if self.gone:
            connection.execute("DELETE FROM owner WHERE id IN (SELECT value FROM json_each(?))", (json_of(self.gone),))
        OWNERS.write(connection, self.rows)


@dataclass(frozen=True, slots=True)
class BindingsKept:
    """Conversations that are new, have moved or were used. Times of these bindings are Unix seconds."""

    rows: Sequence[tuple[object, ...]]

    @classmethod
    def of(cls, bindings: Sequence[tuple[str, Binding]]) -> "BindingsKept":
        return cls(
            [(session, b.home, b.organization, b.bound, b.seen, b.detour, b.turns, b.away) for session, b in bindings]
        )

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> None:  # noqa: ARG002 - the port's signature
        BINDINGS.write(connection, self.rows)


# Questions -----------------------------------------------------------------------------------------------------------


def remembers(connection: sqlite3.Connection) -> bool:
    """Whether the file has these tables: one that only an older version has written to has not."""
    return (
        connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'owner'").fetchone() is not None
    )


def marks_in(connection: sqlite3.Connection) -> list[Mark]:
    """All of them, also those that are over."""
    rows = connection.execute(
        "SELECT kind, key, detail, until, left_s, level, edition FROM mark ORDER BY kind, key, detail"
    )
    return [Mark(*row) for row in rows.fetchall()]


def owner_in(connection: sqlite3.Connection, name: str) -> Owner | None:
    """Who has this."""
    row = connection.execute(
        "SELECT domain, account_id, family, strong, seen FROM owner WHERE id = ?", (clean(name),)
    ).fetchone()
    return None if row is None else Owner(row[0], row[1], row[2], bool(row[3]), row[4])


def owners_in(
    connection: sqlite3.Connection, *, limit: int, account_id: str | None = None, family: str | None = None
) -> Iterator[tuple[str, Owner]]:
    """What is known, the last seen first."""
    where, values = ["1"], list[object]()
    for column, value in (("account_id", account_id), ("family", family)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    question = f"SELECT id, domain, account_id, family, strong, seen FROM owner WHERE {' AND '.join(where)} ORDER BY seen DESC LIMIT ?"  # noqa: S608 - our own names
    for name, domain, through, kind, strong, seen in connection.execute(question, (*values, limit)):
        # the same few texts would be kept 100,000 times over
        yield name, Owner(intern(domain), intern(through), intern(kind), bool(strong), seen)


def bindings_in(connection: sqlite3.Connection, *, limit: int = MOST_BINDINGS) -> list[tuple[str, Binding]]:
    """Conversations, the last used first; their times are Unix seconds."""
    rows = connection.execute(
        "SELECT session, home, organization, bound, seen, detour, turns, away FROM binding ORDER BY seen DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [(session, Binding(*row)) for session, *row in rows]


# Bounds --------------------------------------------------------------------------------------------------------------


def forget_old(connection: sqlite3.Connection, now: float) -> int:
    """Take out some of what is too old or too much, in a transaction of the caller; how many rows, to go on while there are any."""
    gone = connection.execute("DELETE FROM mark WHERE until < ?", (now - DAY_S,)).rowcount
    gone += _cut(connection, "binding", "session", now - 2 * IDLE_S, MOST_BINDINGS)
    return gone + _cut(connection, "owner", "id", now - OWNER_DAYS * DAY_S, MOST_OWNERS)


def _cut(connection: sqlite3.Connection, table: str, key: str, oldest: float, most: int) -> int:
    """Rows last seen before `oldest`, and the oldest of those beyond `most`."""
    delete = f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE seen < ? ORDER BY seen LIMIT ?)"  # noqa: S608 - our own names
    gone = connection.execute(delete, (oldest, CHUNK)).rowcount
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    if count > most:
        gone += connection.execute(delete, (float("inf"), min(count - most, CHUNK))).rowcount
    return gone
