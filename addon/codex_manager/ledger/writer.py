"""The one thread that writes the ledger: it takes what the event loop handed over and puts it on disk, batch by batch.

Laws: what came is on disk within LINGER_S and the time of one write; a file that cannot be written (missing, full, locked, read-only,
damaged) is warned of once, tried again with growing pauses, and stops nobody: meanwhile what came waits in a bounded
batch, and the totals contain it. The thread ends by `close` only.
"""

import contextlib
import logging
import threading
import time

from collections.abc import Callable
from pathlib import Path
from typing import Final

from codex_manager.core.errors import type_and_place
from codex_manager.core.record import Record, Reservation
from codex_manager.core.snapshot import Snapshot
from codex_manager.ledger.batch import Batch
from codex_manager.ledger.calendar import Calendar, Windows
from codex_manager.ledger.database import Database, connect_reading, identity, move_aside
from codex_manager.ledger.errors import LedgerDamagedError, LedgerError, mapped_errors
from codex_manager.ledger.health import Health, Opening
from codex_manager.ledger.inbox import Inbox
from codex_manager.ledger.queries import Domain, domains_in, snapshots_in
from codex_manager.ledger.rows import Scribe, from_nano
from codex_manager.ledger.sessions import Recovered, Session, interrupted, recover
from codex_manager.ledger.sums import Names
from codex_manager.ledger.totals import Nanos, Totals, read, totals_of
from codex_manager.ledger.upkeep import carry_over, prune, salvage, set_zone


__all__ = ["LINGER_S", "Writer"]

log = logging.getLogger(__name__)

LINGER_S: Final = 0.1  # with the write itself less than the 200 ms that a kill may cost
LOOK_S: Final = 1.0  # how soon a `usage reset` of another process counts
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
PRUNE_S: Final = 600.0
CARRIED: Final = "carried over from a file that was damaged or taken away"


class Writer:
    """Its state: the connection, the batch that is not written yet, what the file said last, how often writing failed in a row."""

    def __init__(
        self,
        path: Path,
        inbox: Inbox,
        *,
        calendar: Calendar,
        retention_days: int,
        clock: Callable[[], float],
        on_batch: Callable[[Totals], None] | None,
    ) -> None:
        self.path = path
        self.on_batch = on_batch
        self.retention_days = retention_days
        self.opening = Opening()
        self.ready = threading.Event()
        """Set once the file was opened, or could not be."""
        self._inbox = inbox
        self._clock = clock
        self._calendar = calendar
        self._wanted: Calendar | None = None
        self._database = Database(path)
        self._session: Session | None = None
        self._names = Names()
        self._scribe = Scribe()
        self._batch = Batch(calendar, self._names, self._scribe)
        self._open: dict[str, Reservation] = {}  # on disk
        self._labels: dict[str, str] = {}
        self._windows: Windows = calendar.at(clock())
        self._nanos: Nanos = {}
        self._version = -1
        self._known = False  # whether _nanos was ever read
        self._kept = self._through = self._written = self._dropped = 0
        self._last_written: float | None = None
        self._failures = 0
        self._problem = ""
        self._retry_at = 0.0
        self._prune_at = 0.0
        self._closing = threading.Event()
        self._deadline = float("inf")
        self.totals = totals_of(self._windows, {}, through=0, kept=0)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def configure(self, calendar: Calendar, retention_days: int) -> None:
        """Take over other settings; any thread."""
        self.retention_days = retention_days
        self._wanted = calendar
        self._inbox.signal.set()

    def health(self) -> Health:
        """How it does; any thread."""
        return Health(
            not self._problem,
            self._problem,
            self._written,
            self._dropped + self._batch.dropped,
            len(self._batch.rows) + len(self._inbox),
            self._last_written,
        )

    def close(self, timeout: float) -> bool:
        """Write what is left and end; False when it could not be written in that time."""
        self._deadline = time.monotonic() + timeout
        self._database.patience_s = min(self._database.patience_s, timeout)
        self._closing.set()
        self._inbox.signal.set()
        self._thread.join(timeout + 1)
        return not self._thread.is_alive() and not self._batch

    # The thread ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._attempt()
        self.ready.set()
        while not self._closing.is_set():
            self._inbox.signal.wait(LOOK_S)
            self._inbox.signal.clear()
            if len(self._inbox):
                self._closing.wait(LINGER_S)  # what comes meanwhile is written with it
            self._turn()
        while True:
            self._turn()
            if not self._batch or time.monotonic() >= self._deadline:
                break
            time.sleep(0.02)
        self._end()

    def _turn(self) -> None:
        new = self._take()
        if self._wanted is not None:
            self._calendar, self._wanted = self._wanted, None
            self._inbox.calendar = self._batch.sums.calendar = self._calendar
            self._database.abandon()  # opening it again makes days and months those of the zone
        if self._failures and time.monotonic() < self._retry_at and not self._closing.is_set():
            if new:
                self._publish()
        else:
            self._attempt()

    def _take(self) -> bool:
        taken = self._inbox.take()
        batch, opened = self._batch, self._batch.opened
        for item in taken.items:
            if isinstance(item, Record):
                batch.add(item)
                # it lets go of the reservations of its attempts: they have its id, with `-` and a number behind it if not the first
                if opened.pop(item.id, None) is None:
                    self._release(item.id)
                if len(item.attempts or ()) > 1:
                    start = f"{item.id}-"
                    for one in [one for one in (*opened, *self._open) if one.startswith(start)]:
                        self._release(one)
            elif isinstance(item, Reservation):
                opened[item.id] = item
            elif isinstance(item, str):
                self._release(item)
            else:
                batch.operate(item)
        if taken.folded is not None or taken.dropped:
            batch.fold(taken.folded, taken.dropped)
        self._through = taken.through
        return bool(taken.items or taken.dropped)

    def _release(self, reservation_id: str) -> None:
        """Let go of a reservation; one that is not on disk yet will never be."""
        if self._batch.opened.pop(reservation_id, None) is None and self._open.pop(reservation_id, None) is not None:
            self._batch.closed.add(reservation_id)

    def _attempt(self) -> None:
        """Write what is there, or look what others wrote. Never raises."""
        seen = identity(self.path)
        try:
            try:
                self._write()
            except LedgerDamagedError as error:
                self._replace(error, seen)
                self._write()
        except LedgerError as error:
            self._failed(str(error), error.hint)
        except Exception as error:  # noqa: BLE001 - the thread lives on, whatever it is
            self._failed(f"the ledger {self.path} cannot be written: {type_and_place(error)}", None)
        else:
            if self._failures:
                log.warning("the ledger is written again; %d requests are missing in it", self._dropped)
            self._failures, self._problem = 0, ""

    def _write(self) -> None:
        current = self._database.is_current()
        if current and not self._batch and time.monotonic() < self._prune_at:
            self._look()
            return
        with self._database.held():
            if not current or not self._database.is_current():
                self._connect()
            if self._batch:
                self._commit()
            else:
                self._look()
            if time.monotonic() >= self._prune_at:
                self._prune()

    def _commit(self) -> None:
        now, batch = self._clock(), self._batch
        assert self._session is not None
        windows = self._calendar.at(now)
        with self._database.write() as connection:
            dropped = self._dropped + batch.dropped + batch.apply(connection, self._session.id, self._labels)
            self._session.wrote(connection, now, through=self._through, dropped=dropped)
            nanos = read(connection, windows)
        self._windows, self._nanos, self._known = windows, nanos, True
        self._kept, self._dropped, self._last_written = self._through, dropped, now
        self._written += len(batch.rows)
        self._labels.update(batch.labels)
        self._open |= batch.opened
        self._batch = Batch(self._calendar, self._names, self._scribe)
        self._publish()

    def _look(self) -> None:
        """Read what counts anew when another process wrote, or another day began."""
        windows = self._calendar.at(self._clock())
        with mapped_errors(self.path):
            (version,) = self._database.connection.execute("PRAGMA data_version").fetchone()
            same_day = (windows.day, windows.month) == (self._windows.day, self._windows.month)
            if version == self._version and same_day:
                return
            self._nanos = read(self._database.connection, windows)
        self._windows, self._version, self._known = windows, version, True
        self._publish()

    def _publish(self) -> None:
        windows = self._calendar.at(self._clock())
        nanos = self._nanos
        if windows.month != self._windows.month:
            nanos = {}
        elif windows.day != self._windows.day:
            nanos = {holder: (0, month) for holder, (_, month) in nanos.items()}
        self.totals = totals = totals_of(windows, nanos, self._batch.sums, through=self._through, kept=self._kept)
        if self.on_batch is not None:
            try:
                self.on_batch(totals)
            except Exception as error:  # noqa: BLE001 - such as a loop that is closed already
                log.debug("totals were not taken: %s", type_and_place(error))

    # The file --------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Open the file, under the lock, and bring it up to date."""
        self._database.abandon()
        made = self._database.open()
        now = self._clock()
        try:
            with mapped_errors(self.path):
                session = self._session or Session.begin(self.path)
            self._session = session
            with self._database.write() as connection:
                session.enter(connection, now)
                set_zone(connection, self._calendar)
                if made and self._known:
                    carry_over(connection, self._calendar, now, self._still(now), CARRIED)
                found = recover(connection, self.path, self._calendar, self._names, session.id)
                domains, snapshots = domains_in(connection), snapshots_in(connection)
        except BaseException:
            self._database.abandon()
            raise
        # what is open has to be in this file, whichever it was in before
        self._batch.opened, self._batch.closed, self._open = self._open | self._batch.opened, set(), {}
        self._labels.clear()
        self._version = -1
        self._tell(made=made, found=found, domains=domains, snapshots=snapshots)

    def _still(self, now: float) -> Nanos:
        """What the last file said, in windows that have not ended."""
        windows = self._calendar.at(now)
        if windows.month != self._windows.month:
            return {}
        same_day = windows.day == self._windows.day
        return {holder: (day if same_day else 0, month) for holder, (day, month) in self._nanos.items()}

    def _tell(
        self, *, made: bool, found: Recovered, domains: dict[str, Domain], snapshots: dict[str, Snapshot]
    ) -> None:
        usd = from_nano(found.nano)
        if not self.ready.is_set():
            damaged = self.opening.damaged
            self.opening = Opening(made, found.killed, found.booked, usd, damaged, domains, snapshots)
        elif made and not self._failures:
            log.warning("the ledger %s was taken away, so a new one was begun; limits go on counting", self.path)
        if found.killed:
            log.warning(
                "the last session was killed: up to 200 ms of requests may be missing in the ledger;"
                " %d that were on their way are booked as estimates, $%.2f together",
                found.booked,
                usd,
            )

    def _replace(self, error: LedgerDamagedError, seen: tuple[int, int] | None) -> None:
        """Keep a damaged file under another name, and begin a new one in which what was spent still counts."""
        self._database.abandon()
        with self._database.held():
            if identity(self.path) != seen:
                return  # another process was faster
            target = move_aside(self.path)
        now = self._clock()
        before = self._still(now) if self._known else salvage(target, self._calendar, now)
        log.warning(
            "%s; it is kept as %s and a new one was begun. %s", error, target.name,
            "What was spent so far still counts" if before else "What was spent before counts no more",
        )  # fmt: skip
        if not self.ready.is_set():
            self.opening = Opening(damaged=target)
        self._windows, self._nanos, self._known = self._calendar.at(now), before, True

    def _prune(self) -> None:
        with self._database.write() as connection:
            gone = prune(connection, self._clock(), self.retention_days)
        self._prune_at = time.monotonic() + (LOOK_S if gone else PRUNE_S)

    def _failed(self, problem: str, hint: str | None) -> None:
        self._database.abandon()
        pause = min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), LONGEST_PAUSE_S)
        self._failures += 1
        self._retry_at = time.monotonic() + pause
        if problem != self._problem:
            log.warning(
                "%s; requests are served all the same, and counted in memory until it can be written%s",
                problem, f" ({hint})" if hint else "",
            )  # fmt: skip
        self._problem = problem
        if not self._known:
            self._peek()
        self._publish()

    def _peek(self) -> None:
        """What cannot be written can often be read: limits do not begin anew because a disk is full when a proxy starts."""
        windows = self._calendar.at(self._clock())
        with (
            contextlib.suppress(LedgerError),
            contextlib.closing(connect_reading(self.path)) as connection,
            mapped_errors(self.path),
        ):
            self._nanos = read(connection, windows)
            self._windows, self._known = windows, True
            if not self.ready.is_set():
                self.opening = Opening(domains=domains_in(connection), snapshots=snapshots_in(connection))

    def _end(self) -> None:
        """The session's clean end; what is still reserved has no record to come, so it is booked as it is."""
        for reservation in (self._open | self._batch.opened).values():
            self._batch.add(interrupted(reservation))
            self._release(reservation.id)
        if self._batch:
            self._attempt()
        if self._batch:
            log.warning("%d requests could not be written to the ledger", len(self._batch.rows) + self._dropped)
        session = self._session
        if session is None:
            return
        with contextlib.suppress(Exception), self._database.held():
            if self._database.is_open:
                with self._database.write() as connection:
                    session.end(connection, self._clock())
                self._database.close()
        self._database.abandon()
        session.leave()
