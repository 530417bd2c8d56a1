"""The ledger as commands read it: sums, single requests, what OpenAI said, and how the ledger does.

Law: reads only, with short questions, while a proxy writes; what it says is what is on disk, at most some 200 ms behind. A file that
was replaced meanwhile is followed.
"""

import datetime as dt
import sqlite3
import zoneinfo

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Self

from codex_manager.core.bindings import Binding
from codex_manager.core.owners import Owner
from codex_manager.core.persist import Mark
from codex_manager.core.record import Record
from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger.calendar import Calendar
from codex_manager.ledger.database import connect_reading, identity
from codex_manager.ledger.errors import mapped_errors
from codex_manager.ledger.queries import Domain, domains_in, snapshots_in
from codex_manager.ledger.remembered import bindings_in, marks_in, owner_in, owners_in, remembers
from codex_manager.ledger.rows import COLUMNS, from_nano, record_of
from codex_manager.ledger.sums import MEASURES
from codex_manager.ledger.totals import Totals, read, totals_of
from codex_manager.ledger.upkeep import zone_of


__all__ = ["Adjustment", "By", "FileHealth", "Reader", "SessionRow", "UsageRow"]

type By = Literal["account", "client", "model", "endpoint", "hour", "day", "month"]

NAMES: Final = {"account": "account_id", "client": "client", "model": "model", "endpoint": "endpoint"}
SPANS: Final = ("hour", "day", "month")
EVER: Final = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Sums of requests that have something in common."""

    key: tuple[str | int, ...]
    """What they have in common, in the order asked for: account id (empty: none), client, model (empty: none), endpoint, or
    the Unix time at which the hour, day or month began."""
    requests: int
    errors: int
    """Answered with an error, or not at all; clients that went away are none."""
    attempts: int
    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int
    characters: int
    images: int
    seconds: float
    usd: Decimal
    estimated: int
    """Requests whose usage is estimated."""
    estimated_usd: Decimal
    unpriced: int
    """Requests of models without a known price."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction of what counts against limits."""

    time: float
    span: str
    """`day` or `month`."""
    holder: tuple[str, str]
    """("account", its id) or ("client", its name)."""
    usd: Decimal
    """Below zero when it was taken off."""
    reason: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A process that wrote. Times in Unix seconds."""

    started: float
    seen: float
    ended: float | None
    killed: bool
    dropped: int
    """Requests of which no row could be kept."""
    interrupted: int
    """Requests that were on their way when it was killed, booked as estimates."""
    interrupted_usd: Decimal


@dataclass(frozen=True, slots=True)
class FileHealth:
    """How the file does."""

    path: Path
    bytes: int
    zone: str
    requests: int
    """Rows."""
    oldest: float | None
    """Unix time of the oldest row."""
    sessions: tuple[SessionRow, ...]
    """The last ones, newest first."""
    damaged: tuple[Path, ...]
    """Files that were moved aside."""


class Reader:
    """One connection, for one thread. Its state: the connection, and the file it belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger.

        Raises:
            LedgerMissingError: nothing was recorded yet.
            LedgerError: it cannot be read; the sentence says why.
        """
        reader = cls(path)
        reader._connected()
        return reader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Safe to call twice."""
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            connection.close()

    # Sums ------------------------------------------------------------------------------------------------------------

    def calendar(self) -> Calendar:
        """Hours, days and months as the file has them; UTC in a file nobody wrote to yet."""
        with mapped_errors(self.path):
            name = zone_of(self._connected())
        try:
            return Calendar(dt.UTC if name in {None, "UTC"} else zoneinfo.ZoneInfo(name or ""))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # of another machine
            return Calendar(dt.UTC)

    def usage(
        self,
        by: By | Sequence[By] = (),
        *,
        since: float | None = None,
        until: float | None = None,
        account_id: str | None = None,
        client: str | None = None,
        model: str | None = None,
        endpoint: str | None = None,
    ) -> list[UsageRow]:
        """Sums, sorted by their keys; without `by` one row, if there is anything.

        Args:
            by: what to keep apart; at most one of hour, day and month.
            since: from the hour that contains this moment.
            until: up to this moment, exclusive; an hour that has begun by then is counted whole.
            account_id: only this account; '' for requests that reached none.
            client: only this client.
            model: only this model; '' for requests that named none.
            endpoint: only this endpoint.
        """
        wanted = (by,) if isinstance(by, str) else tuple(by)
        calendar = self.calendar()
        low = 0 if since is None else calendar.at(since).hour
        high = EVER if until is None else until
        span = next((each for each in wanted if each in SPANS), None)
        source = _source(calendar, span, low, high)
        columns = [NAMES[each] for each in wanted if each in NAMES]
        where, values = ["span = ?", "start >= ?", "start < ?"], [source, low, high]
        filters = {"account_id": account_id, "client": client, "model": model, "endpoint": endpoint}
        for name, value in filters.items():
            if value is not None:
                where.append(f"{name} = ?")
                values.append(value)
        grouped = ["start", *columns] if span else columns
        group = f" GROUP BY {', '.join(grouped)}" if grouped else " HAVING count(*)"
        sums = ", ".join(f"sum({name})" for name in MEASURES)
        question = f"SELECT {', '.join([*grouped, sums])} FROM rollup WHERE {' AND '.join(where)}{group}"  # noqa: S608 - our own names
        rows = self._all(question, values)
        found: dict[tuple[str | int, ...], list[Any]] = {}
        for row in rows:
            names = dict(zip(grouped, row, strict=False))
            if span and source != span:
                names["start"] = getattr(calendar.at(names["start"]), span)
            key = tuple(names[NAMES.get(each, "start")] for each in wanted)
            numbers = row[len(grouped) :]
            mine = found.get(key)
            found[key] = list(numbers) if mine is None else [a + b for a, b in zip(mine, numbers, strict=True)]
        return [_usage_row(key, found[key]) for key in sorted(found)]

    def totals(self, now: float) -> Totals:
        """What was spent in the day and the month of this moment, as limits count it."""
        windows = self.calendar().at(now)
        with mapped_errors(self.path):
            return totals_of(windows, read(self._connected(), windows), through=0, kept=0)

    def adjustments(self, *, since: float = 0) -> list[Adjustment]:
        """Corrections by `usage reset` and after a damaged file, oldest first."""
        rows = self._all(
            "SELECT time, span, holder, key, nano, reason FROM adjustment WHERE time >= ? ORDER BY number", (since,)
        )
        return [Adjustment(row[0], row[1], (row[2], row[3]), from_nano(row[4]), row[5]) for row in rows]

    # Requests --------------------------------------------------------------------------------------------------------

    def request(self, request_id: str) -> Record | None:
        """The request with this id; the id may be cut short if it still fits one only."""
        exact = self._records("id = ?", (request_id,), 1)
        if exact:
            return exact[0]
        found = self._records("id >= ? AND id < ?", (request_id, request_id + "\U0010ffff"), 2) if request_id else []
        return found[0] if len({record.id for record in found}) == 1 else None

    def like(self, beginning: str, limit: int = 100) -> list[Record]:
        """The requests whose ids begin so, newest first; what was booked of their lost attempts is among them."""
        return self._records("id >= ? AND id < ?", (beginning, beginning + "\U0010ffff"), limit)

    def requests(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        account_id: str | None = None,
        client: str | None = None,
        model: str | None = None,
        endpoint: str | None = None,
        failed: bool | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """Single requests, newest first."""
        where, values = ["1"], list[object]()
        given = {
            "time >= ?": since, "time < ?": until, "account_id IS ?": account_id, "client = ?": client,
            "model = ?": model, "endpoint = ?": endpoint,
        }  # fmt: skip
        for condition, value in given.items():
            if value is not None:
                where.append(condition)
                values.append(value)
        if failed is not None:
            where.append("failure != ''" if failed else "failure = ''")
        return self._records(" AND ".join(where), values, limit)

    # What is remembered ----------------------------------------------------------------------------------------------

    def owner(self, name: str) -> Owner | None:
        """Who has the thing of OpenAI's with this id; None when nobody is known to."""
        with mapped_errors(self.path):
            return owner_in(self._connected(), name) if remembers(self._connected()) else None

    def owners(
        self, *, account_id: str | None = None, family: str | None = None, limit: int = 1000
    ) -> list[tuple[str, Owner]]:
        """Things by id, the last seen first; only those seen through this account, only of this family."""
        with mapped_errors(self.path):
            if not remembers(self._connected()):
                return []
            return list(owners_in(self._connected(), account_id=account_id, family=family, limit=limit))

    def marks(self) -> list[Mark]:
        """Rests, blocks, exclusions and bad keys as they were written last; also some that are over."""
        with mapped_errors(self.path):
            return marks_in(self._connected()) if remembers(self._connected()) else []

    def bindings(self) -> list[tuple[str, Binding]]:
        """Where conversations are at home, the last used first; times are Unix seconds."""
        with mapped_errors(self.path):
            return bindings_in(self._connected()) if remembers(self._connected()) else []

    # The rest --------------------------------------------------------------------------------------------------------

    def snapshots(self) -> dict[str, Snapshot]:
        """What OpenAI said last, by account id."""
        with mapped_errors(self.path):
            return snapshots_in(self._connected())

    def domains(self) -> dict[str, Domain]:
        """Organization and project, by account id."""
        with mapped_errors(self.path):
            return domains_in(self._connected())

    def labels(self) -> Mapping[str, str]:
        """The last known labels, by account id; also of accounts that are gone."""
        return dict(self._all("SELECT account_id, label FROM label"))

    def health(self) -> FileHealth:
        """Size, age, and the sessions that wrote."""
        ((count, oldest),) = self._all("SELECT count(*), min(time) FROM request")
        sessions = self._all(
            "SELECT started, seen, ended, killed, dropped, interrupted, interrupted_nano FROM session"
            " ORDER BY started DESC LIMIT 20"
        )
        sizes = [self.path.with_name(f"{self.path.name}{suffix}") for suffix in ("", "-wal")]
        moved = self.path.parent.glob(f"{self.path.name}.damaged-*")
        return FileHealth(
            self.path,
            sum(each.stat().st_size for each in sizes if each.exists()),
            self.calendar().name,
            count,
            oldest,
            tuple(_session_row(row) for row in sessions),
            tuple(sorted(each for each in moved if not each.name.endswith(("-wal", "-shm")))),
        )

    def _records(self, where: str, values: Sequence[object], limit: int) -> list[Record]:
        question = f"SELECT {', '.join(COLUMNS)} FROM request WHERE {where} ORDER BY time DESC, number DESC LIMIT ?"  # noqa: S608 - our own names
        return [record_of(row) for row in self._all(question, [*values, limit])]

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with mapped_errors(self.path):
            return self._connected().execute(sql, tuple(values)).fetchall()

    def _connected(self) -> sqlite3.Connection:
        """The connection, to the file that is at the path now."""
        there = identity(self.path)
        if self._connection is None or there != self._file:
            self.close()
            self._connection, self._file = connect_reading(self.path), there
        return self._connection


def _session_row(row: Sequence[Any]) -> SessionRow:
    started, seen, ended, killed, dropped, interrupted, nano = row
    return SessionRow(started, seen, ended, bool(killed), dropped, interrupted, from_nano(nano))


def _source(calendar: Calendar, span: str | None, low: float, high: float) -> str:
    """The coarsest sums that hold what is asked for."""
    if span == "hour":
        return "hour"
    at_low, at_high = calendar.at(low), calendar.at(high)
    if low in {0, at_low.month} and high in {EVER, at_high.month} and span != "day":
        return "month"
    return "day" if low in {0, at_low.day} and high in {EVER, at_high.day} else "hour"


def _usage_row(key: tuple[str | int, ...], numbers: Sequence[Any]) -> UsageRow:
    found = dict(zip(MEASURES, numbers, strict=True))
    usd, estimated_usd = from_nano(found.pop("nano")), from_nano(found.pop("estimated_nano"))
    return UsageRow(key=key, usd=usd, estimated_usd=estimated_usd, **found)
