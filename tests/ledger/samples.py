"""Records, ledgers and looks into their files, for the tests of the ledger."""

import contextlib
import sqlite3

from decimal import Decimal
from typing import Any

from tests.support import wait_for

from codex_manager.core.record import Attempt, Record, Reservation
from codex_manager.core.usage import Usage


NOON = 1_795_003_200.0  # 2026-11-18 12:00:00 UTC, a Wednesday
HOUR, DAY = 3600.0, 86_400.0
WORK, HOME = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


class Clock:
    """Wall time, set by hand."""

    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


def record(number=1, /, usd="0.01", **fields):
    """An ordinary request that went well."""
    every: dict[str, Any] = {
        "id": f"{number:032x}", "time": NOON, "client": "default", "method": "POST", "endpoint": "responses",
        "model": "gpt-5", "account_id": WORK, "account": "work", "domain": "org-a", "status": 200,
        "attempts": (Attempt(WORK, "work", 0.0012, 0.5, 200, by="least_utilized"),), "strategy": "least_utilized",
        "duration_s": 1.5, "first_byte_s": 0.5, "usage": Usage(input=100, cached=40, output=20, reasoning=5),
        "cost": Decimal(usd),
    } | fields  # fmt: skip
    return Record(**every)


def reservation(name, /, usd="0.50", **fields):
    every: dict[str, Any] = {
        "id": name, "time": NOON, "account_id": WORK, "account": "work", "client": "default", "endpoint": "responses",
        "model": "gpt-5", "usd": Decimal(usd),
    } | fields  # fmt: skip
    return Reservation(**every)


def written(ledger, seconds=10.0):
    """Wait until all that was handed over is on disk."""
    return wait_for(lambda: ledger.totals().kept >= ledger._inbox._number and not ledger.health().waiting, seconds)


def select(path, sql, *values):
    """Rows of the file, as any tool would read them."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql, values).fetchall()


def sound(path):
    """Whether SQLite finds the file whole, and its sums those of its rows."""
    assert select(path, "PRAGMA integrity_check") == [("ok",)]
    rows = select(path, "SELECT count(*), coalesce(sum(nano), 0), coalesce(sum(input), 0) FROM request")
    for span in ("hour", "day", "month"):
        sums = "SELECT coalesce(sum(requests), 0), coalesce(sum(nano), 0), coalesce(sum(input), 0) FROM rollup WHERE span = ?"
        assert select(path, sums, span) == rows, span
    return True
