"""What the charts show: the last day from memory, the last thirty days from the ledger's own sums.

Knows the ledger's reader and the timeline. Law: the loop never waits for the disk: what is read is read in a thread when somebody looks,
at most once a minute, and shown when it is there; a request counts once, whether it was heard of or read.
"""

import asyncio
import logging
import time

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codex_manager.core.errors import CodexManagerError, type_and_place
from codex_manager.core.record import Record
from codex_manager.core.timeline import DAY_S, Series, Sum, Timeline
from codex_manager.core.window import day_of
from codex_manager.ledger import LedgerMissingError, Reader
from codex_manager.proxy.inspect.recent import Recent


__all__ = ["RANGES", "History", "Range"]

log = logging.getLogger(__name__)

DAYS: Final = 30
OLD_S: Final = 60.0
MOST_ROWS: Final = 10_000
"""Requests of before our start that are read again: 0.5 s of a thread."""


@dataclass(frozen=True, slots=True)
class Range:
    """A span of time that can be looked at."""

    span_s: int
    step_s: int
    """Of the chart."""
    row_s: int
    """Of the table."""


RANGES: Final = {
    "1h": Range(3600, 60, 300),
    "24h": Range(DAY_S, 900, 3600),
    "30d": Range(DAYS * DAY_S, DAY_S, DAY_S),
}


class History:
    """Mutable state: the timeline, and what was read of the days."""

    def __init__(self, recent: Recent, ledger_file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = ledger_file
        self._clock = clock
        self._began = clock()
        self._timeline = Timeline()
        self._days: Series | None = None
        self._read_at = -OLD_S
        self._is_read = False
        """What was before our start is in the timeline."""
        self._reading: asyncio.Task[None] | None = None
        self.known_from: float | None = None
        """Unix time before which requests were too many to be read again; None where nothing is missing."""
        recent.listen(self._heard)

    def _heard(self, record: Record) -> None:
        self._timeline.add(record, self._clock())

    def series(self, name: str, *, rows: bool = False) -> Series | None:
        """A range of `RANGES` in steps of its chart or of its table; None while it is not there yet."""
        span = RANGES[name]
        if name == "30d":
            return self._days
        return self._timeline.series(self._clock(), span.span_s, span.row_s if rows else span.step_s)

    def freshen(self, name: str, *, then: Callable[[], None] = lambda: None) -> None:
        """Somebody looks: read what has to be read, in the background; `then` is called when something new is there."""
        is_due = time.monotonic() - self._read_at >= OLD_S if name == "30d" else not self._is_read
        if is_due and (self._reading is None or self._reading.done()):
            self._reading = asyncio.get_running_loop().create_task(self._freshen(name, then), name="read history")

    async def _freshen(self, name: str, then: Callable[[], None]) -> None:
        try:
            if name == "30d":
                self._read_at = time.monotonic()
                self._days = await asyncio.to_thread(self._read_days)
            else:
                self._is_read = True
                self._timeline.extend(await asyncio.to_thread(self._read_day), self._clock())
        except CodexManagerError as error:
            log.warning("the charts lack what is in the ledger: %s", error)
        except Exception as error:  # noqa: BLE001 - a chart is nobody's reason to fail
            log.error("the charts lack what is in the ledger: %s", type_and_place(error))  # noqa: TRY400 - as everywhere
        then()

    def _read_day(self) -> list[Record]:
        """What was before our start, of the last day. Blocks."""
        try:
            with Reader.open(self._file) as reader:
                rows = reader.requests(since=self._clock() - DAY_S, until=self._began, limit=MOST_ROWS)
        except LedgerMissingError:
            return []
        if len(rows) == MOST_ROWS:
            self.known_from = rows[-1].time
        return rows

    def _read_days(self) -> Series | None:
        """The last thirty days, today included. Blocks."""
        now = self._clock()
        try:
            with Reader.open(self._file) as reader:
                zone = reader.calendar().zone
                starts = [int(day_of(now, zone).start)]
                while len(starts) < DAYS:
                    starts.append(int(day_of(starts[-1] - 1, zone).start))
                starts.reverse()
                rows = {row.key[0]: row for row in reader.usage("day", since=starts[0])}
        except LedgerMissingError:
            return None
        sums = []
        for start in starts:
            row = rows.get(start)
            mine = Sum()
            if row is not None:
                further = max(row.attempts - row.requests, 0)
                mine = Sum(row.requests, further, row.errors, 0, float(row.usd))
            sums.append(mine)
        return Series(tuple(starts), DAY_S, tuple(sums))
