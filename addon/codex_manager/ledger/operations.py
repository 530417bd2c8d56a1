"""What is written besides records: settlements of estimates, resets, snapshots of what OpenAI says, learned domains.

Each is a plain value that knows how to write itself inside a transaction of the caller; the writer takes any of them, so that
later tables need no change of it. Law: what can be written twice (a retry, a second poll) counts once.
"""

import json
import sqlite3

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Literal, Protocol

from codex_manager.core.pricing import Cost
from codex_manager.core.record import Record
from codex_manager.core.snapshot import Snapshot
from codex_manager.core.usage import Usage
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.rows import COLUMNS, Scribe, clean, from_nano, json_of, record_of, to_nano, within
from codex_manager.ledger.sums import Sums
from codex_manager.ledger.totals import Holder


__all__ = ["Changed", "DomainLearned", "Operation", "Reset", "Settlement", "SnapshotTaken", "Span", "snapshot_of"]

type Span = Literal["day", "month"]


OPEN: Final = (
    f"SELECT number, {', '.join(f'request.{column}' for column in COLUMNS)} FROM object"  # noqa: S608 - our own names
    " JOIN request ON request.id = object.request_id AND request.open AND request.object_id = object.id"
    " WHERE object.id = ? AND object.settled IS NULL ORDER BY number DESC LIMIT 1"
)


class Operation(Protocol):
    """Something to write, once the records before it are written."""

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> object: ...


@dataclass(frozen=True, slots=True)
class Settlement:
    """The real figures of something that was booked as an estimate."""

    time: float
    object_id: str
    usage: Usage
    cost: Cost

    def apply(self, connection: sqlite3.Connection, sums: Sums) -> bool:
        """Put them in the estimate's place and what changes into the sums; False when there is none that is open."""
        object_id = clean(self.object_id)
        found = connection.execute(OPEN, (object_id,)).fetchone()
        if found is None:
            return False
        record: Record = record_of(found[1:])
        usage, nano, priced = within(self.usage), to_nano(self.cost.usd), self.cost.known
        sums.settle(record, usage, nano, old_nano=to_nano(record.cost), priced=priced)
        connection.execute("UPDATE object SET settled = ? WHERE id = ?", (self.time, object_id))
        used = (usage.input, usage.cached, usage.cache_write, usage.output, usage.reasoning, Scribe().more(usage))
        connection.execute(
            "UPDATE request SET open = 0, estimated = ?, priced = ?, nano = ?, input = ?, cached = ?, cache_write = ?,"
            " output = ?, reasoning = ?, more = ? WHERE number = ?",
            (usage.estimated, priced, nano, *used, found[0]),
        )
        return True


@dataclass(frozen=True, slots=True)
class Changed:
    """What a reset did to one window."""

    span: Span
    start: int
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Reset:
    """Take an amount off what counts against limits; what was recorded stays as it is."""

    time: float
    holder: Holder
    amount: Decimal | None
    """US dollars; None for all of it. Never takes off more than there is."""
    spans: Sequence[Span]
    reason: str

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> list[Changed]:
        windows = calendar.at(self.time)
        changed = []
        for span in self.spans:
            start = windows.day if span == "day" else windows.month
            found = connection.execute(
                "SELECT nano + adjusted FROM spent WHERE (span, start, holder, key) = (?, ?, ?, ?)",
                (span, start, *self.holder),
            ).fetchone()
            before = max(found[0], 0) if found else 0
            taken = before if self.amount is None else min(to_nano(self.amount), before)
            adjust(connection, self.time, span, start, self.holder, -taken, self.reason)
            changed.append(Changed(span, start, from_nano(before), from_nano(before - taken)))
        return changed


def adjust(
    connection: sqlite3.Connection, time: float, span: str, start: int, holder: Holder, nano: int, reason: str
) -> None:
    """Change what counts in one window, and write down why."""
    if not nano:
        return
    connection.execute(
        "INSERT INTO adjustment (time, span, holder, key, nano, reason) VALUES (?, ?, ?, ?, ?, ?)",
        (time, span, *holder, nano, clean(reason)),
    )
    connection.execute(
        "INSERT INTO spent (span, start, holder, key, nano, adjusted) VALUES (?, ?, ?, ?, 0, ?)"
        " ON CONFLICT DO UPDATE SET adjusted = adjusted + excluded.adjusted",
        (span, start, *holder, nano),
    )


MONEY: Final = ("today", "month", "hard_limit")
PLAIN: Final = ("account_id", "taken_at", "source", "error")


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """What OpenAI said."""

    snapshot: Snapshot

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> None:  # noqa: ARG002 - the port's signature
        fields = asdict(self.snapshot)
        money = [None if (usd := fields.pop(name)) is None else to_nano(usd) for name in MONEY]
        account_id, taken_at, source, error = (fields.pop(name) for name in PLAIN)
        connection.execute(
            "INSERT OR REPLACE INTO snapshot (today, month, hard_limit, account_id, taken_at, source, error, more)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*money, clean(account_id), taken_at, clean(source), clean(error), json_of(fields)),
        )


def snapshot_of(row: Sequence[Any]) -> Snapshot:
    """The snapshot again, from a row in the order (today, month, hard_limit, account_id, taken_at, source, error, more)."""
    fields: dict[str, Any] = {
        name: None if nano is None else from_nano(nano) for name, nano in zip(MONEY, row[:3], strict=True)
    }
    known = Snapshot.__dataclass_fields__  # a later version may have written more
    fields |= {name: value for name, value in json.loads(row[7]).items() if name in known}
    return Snapshot(**fields | dict(zip(PLAIN, row[3:7], strict=True)))


@dataclass(frozen=True, slots=True)
class DomainLearned:
    """Whose an account is, as answers of OpenAI said."""

    time: float
    account_id: str
    organization: str | None
    project: str | None

    def apply(self, connection: sqlite3.Connection, calendar: Calendar) -> None:  # noqa: ARG002 - the port's signature
        connection.execute(
            "INSERT OR REPLACE INTO domain (account_id, organization, project, learned) VALUES (?, ?, ?, ?)",
            (
                clean(self.account_id), self.organization and clean(self.organization),
                self.project and clean(self.project), self.time,
            ),
        )  # fmt: skip
