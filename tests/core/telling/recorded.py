"""A request that moved from one account to another, as a record; two suites tell it."""

import datetime as dt

from decimal import Decimal

from codex_manager.core.record import Attempt, Record
from codex_manager.core.usage import Usage


WORK, HOME, OLD = (f"{digit * 8}-0000-4000-8000-00000000000a" for digit in "123")
NOON = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC).timestamp()
ID = "ab" * 16


def record(name=ID, /, **fields):
    attempts = (
        Attempt(WORK, "work", 0.001, 0.21, 429, "rate", "rate_limit_exceeded", "least_utilized", ((OLD, "disabled", "", None),)),
        Attempt(HOME, "home", 0.212, 0.84, 200, by="only", out=((WORK, "rate", "", NOON + 12.5), (OLD, "disabled", "", None))),
    )  # fmt: skip
    return Record(
        **{
            "id": name, "time": NOON, "client": "default", "method": "POST", "endpoint": "responses", "model": "gpt-5",
            "account_id": HOME, "account": "home", "domain": "org-h/-", "status": 200, "streamed": True, "attempts": attempts,
            "strategy": "least_utilized", "duration_s": 4.2, "first_byte_s": 1.05, "cost": Decimal("0.0123"),
            "usage": Usage(input=1234, cached=1000, output=56, reasoning=20), **fields,
        }
    )  # fmt: skip
