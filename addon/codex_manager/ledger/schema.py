"""The tables of the ledger, and the steps from one version of them to the next.

Law: a step, once released, is never changed; a new one is added at the end, and `user_version` counts the steps taken. Money is
an integer of billionths of a US dollar (nano); times are Unix seconds; a window is named by its first second. A secret or a
word of a request has no column to be in.
"""

import sqlite3

from collections.abc import Callable
from typing import Final


__all__ = ["APPLICATION_ID", "STEPS", "VERSION", "migrate"]

APPLICATION_ID: Final = 0x636D6C67  # "cmlg": what file(1) and we tell our files by

_FIRST: Final = (
    """CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID""",
    # One row a request. `more` holds what few answers use, `attempts` and `detail` what `explain` tells, as JSON.
    """CREATE TABLE request (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL, time REAL NOT NULL, client TEXT NOT NULL, method TEXT NOT NULL, endpoint TEXT NOT NULL,
        model TEXT, account_id TEXT, account TEXT, domain TEXT, status INTEGER NOT NULL, failure TEXT NOT NULL,
        streamed INTEGER NOT NULL, websocket INTEGER NOT NULL, strategy TEXT NOT NULL, session TEXT,
        duration_s REAL NOT NULL, first_byte_s REAL,
        input INTEGER, cached INTEGER, cache_write INTEGER, output INTEGER, reasoning INTEGER, more TEXT,
        nano INTEGER NOT NULL, estimated INTEGER NOT NULL, priced INTEGER NOT NULL,
        object_id TEXT, open INTEGER NOT NULL, attempts TEXT, detail TEXT
    )""",
    "CREATE INDEX request_id ON request (id)",
    "CREATE INDEX request_time ON request (time)",
    # Sums by hour, day and month. `span` is one of those words; '' stands for "no account" and "no model".
    """CREATE TABLE rollup (
        span TEXT NOT NULL, start INTEGER NOT NULL,
        account_id TEXT NOT NULL, client TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
        requests INTEGER NOT NULL, errors INTEGER NOT NULL, attempts INTEGER NOT NULL,
        input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL,
        reasoning INTEGER NOT NULL, characters INTEGER NOT NULL, images INTEGER NOT NULL, seconds REAL NOT NULL,
        nano INTEGER NOT NULL, estimated INTEGER NOT NULL, estimated_nano INTEGER NOT NULL, unpriced INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        PRIMARY KEY (span, start, account_id, client, model, endpoint)
    ) WITHOUT ROWID""",
    # What limits are held against: small, so that it can be read after every batch. `holder` is 'account' or 'client'.
    """CREATE TABLE spent (
        span TEXT NOT NULL, start INTEGER NOT NULL, holder TEXT NOT NULL, key TEXT NOT NULL,
        nano INTEGER NOT NULL, adjusted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (span, start, holder, key)
    ) WITHOUT ROWID""",
    # Why `adjusted` is what it is.
    """CREATE TABLE adjustment (
        number INTEGER PRIMARY KEY, time REAL NOT NULL, span TEXT NOT NULL, holder TEXT NOT NULL, key TEXT NOT NULL,
        nano INTEGER NOT NULL, reason TEXT NOT NULL
    )""",
    # Money of requests that are on their way, by the session that carries them.
    """CREATE TABLE reservation (
        id TEXT NOT NULL, session TEXT NOT NULL, time REAL NOT NULL, account_id TEXT NOT NULL, account TEXT NOT NULL,
        client TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT, nano INTEGER NOT NULL, PRIMARY KEY (session, id)
    ) WITHOUT ROWID""",
    # One row a process that wrote; `ended` is NULL while it lives and after it was killed.
    """CREATE TABLE session (
        id TEXT PRIMARY KEY, started REAL NOT NULL, seen REAL NOT NULL, ended REAL, killed INTEGER NOT NULL DEFAULT 0,
        through INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
        interrupted INTEGER NOT NULL DEFAULT 0, interrupted_nano INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    # Things whose usage comes later, such as responses in the background.
    """CREATE TABLE object (
        id TEXT PRIMARY KEY, request_id TEXT NOT NULL, time REAL NOT NULL, settled REAL
    ) WITHOUT ROWID""",
    """CREATE TABLE snapshot (
        account_id TEXT NOT NULL, taken_at REAL NOT NULL, today INTEGER, month INTEGER, hard_limit INTEGER,
        source TEXT NOT NULL, error TEXT NOT NULL, more TEXT NOT NULL, PRIMARY KEY (account_id, taken_at)
    ) WITHOUT ROWID""",
    """CREATE TABLE domain (
        account_id TEXT PRIMARY KEY, organization TEXT, project TEXT, learned REAL NOT NULL
    ) WITHOUT ROWID""",
    # The last known label of an account, for reports about accounts that are gone.
    "CREATE TABLE label (account_id TEXT PRIMARY KEY, label TEXT NOT NULL) WITHOUT ROWID",
)


# What is remembered beside the money (codex_manager.ledger.remembered).
_SECOND: Final = (
    """CREATE TABLE mark (
        kind TEXT NOT NULL, key TEXT NOT NULL, detail TEXT NOT NULL, until REAL NOT NULL, left_s REAL NOT NULL,
        level INTEGER NOT NULL, edition TEXT NOT NULL, PRIMARY KEY (kind, key, detail)
    ) WITHOUT ROWID""",
    # Who has what of OpenAI's things; `id` may be the digest of encrypted reasoning.
    """CREATE TABLE owner (
        id TEXT PRIMARY KEY, domain TEXT NOT NULL, account_id TEXT NOT NULL, family TEXT NOT NULL,
        strong INTEGER NOT NULL, seen REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX owner_seen ON owner (seen)",
    # `session` is a digest; `away` is 0 while the conversation is at home.
    """CREATE TABLE binding (
        session TEXT PRIMARY KEY, home TEXT NOT NULL, organization TEXT NOT NULL, bound REAL NOT NULL, seen REAL NOT NULL,
        detour TEXT, turns INTEGER NOT NULL, away REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX binding_seen ON binding (seen)",
)


def _first(connection: sqlite3.Connection) -> None:
    for statement in _FIRST:
        connection.execute(statement)


def _second(connection: sqlite3.Connection) -> None:
    for statement in _SECOND:
        connection.execute(statement)


STEPS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_first, _second)
VERSION: Final = len(STEPS)


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing; inside a transaction of the caller, so all or none."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in STEPS[version:]:
        step(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")
