"""Who has spent how much of what they may: the limits of accounts and clients, held while requests are carried.

    set_limits, learn     what is allowed: by the user's settings, by OpenAI
    at                    turns the windows; before each decision
    room, share           asked by the decision
    spent                 asked by people
    reserve, then settle or release      one request; in the same breath as the decision
    load                  the ledger's figures take the place of ours

Law: whatever comes in whatever order, spent + set aside + need ≤ limit when a request is admitted; a hold is ended once;
nothing is forgotten between its settlement and the ledger's word that it has it. Whoever has no limit is not in the
tables and costs nothing.

Pure: time is handed in. Until the ledger's first word nothing counts as spent, so load it before the first request.
"""

import datetime as dt
import math

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from codex_manager.core.allowance import Allowance, Purse, Shortage, dollars
from codex_manager.core.pricing import ZERO
from codex_manager.core.snapshot import Snapshot
from codex_manager.core.window import Span, Window, bounded, day_of, month_of


__all__ = ["Hold", "Key", "Shortage", "Spending", "dollars"]

type Key = tuple[str, str]
"""("account", its id) or ("client", its name)."""
type Figures = Mapping[Key, tuple[Decimal, Decimal]]
"""Spent in the day, spent in the month."""

CLOCK_SLIP_S: Final = 3600.0
"""A clock set back by less than this is a clock being corrected: the window that has begun stays."""
OFFSET_SLIP_S: Final = 0.5


@dataclass(slots=True, eq=False)
class Hold:
    """Money set aside for one request. Belongs to the Spending that gave it; end it with `settle` or `release`."""

    usd: Decimal
    wall: float
    allowances: list[Allowance]
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class _Told:
    """What OpenAI said of an account, and what our other accounts in its project had spent then."""

    snapshot: Snapshot
    day_beside: Decimal
    month_beside: Decimal


class Spending:
    """See the module's docstring."""

    def __init__(self, zone: dt.tzinfo = dt.UTC, warn_at: float = 0.8) -> None:
        self.warn_at = warn_at
        """Share of a limit from which on `warnings` tells of it."""
        self.accounts: dict[str, Allowance] = {}
        """By account id; only those with a limit. The decision looks here."""
        self._clients: dict[str, Allowance] = {}
        self._zone = zone
        self._wall = 0.0
        self.offset = 0.0
        """Wall clock − monotonic, for telling when windows turn."""
        self._spans: dict[Window, Span] = dict.fromkeys(("day", "month", "provider"), Span(0.0, 0.0))
        self._start, self._end = math.inf, -math.inf
        """Between these all spans stay what they are."""
        # What the ledger last said, for limits that are set later; what OpenAI last said of an account.
        self._figures: Figures = {}
        self._starts = (math.nan, math.nan)
        self._through = 0
        self._told: dict[str, _Told] = {}

    # --- what is allowed ---

    @property
    def zone(self) -> dt.tzinfo:
        """Where days and months begin."""
        return self._zone

    @zone.setter
    def zone(self, zone: dt.tzinfo) -> None:
        if zone != self._zone:
            self._zone = zone
            self._turn(self._wall)

    def set_limits(self, key: Key, daily: Decimal | None, monthly: Decimal | None) -> None:
        """Hold an account or a client to these from now on; None is no limit."""
        self._limit(key, {"day": daily, "month": monthly})

    def learn(self, snapshot: Snapshot, beside: Iterable[str] = ()) -> None:
        """What OpenAI says of an account. What it does not say leaves what it said before.

        Its figures are those of a project: what our other accounts in it (`beside`, their ids) spent is taken off before they
        count for this one. Against OpenAI's own limit all of it counts. The figures of a whole organization, which others
        spend from as well, count against that limit only.
        """
        key, before = ("account", snapshot.account_id), self._told.get(snapshot.account_id)
        if not snapshot.ok or (before is not None and before.snapshot.taken_at > snapshot.taken_at):
            return
        others = [self._figures[other] for name in beside if (other := ("account", name)) in self._figures]
        day, month = (sum((figures[at] for figures in others), ZERO) for at in (0, 1))
        told = self._told[snapshot.account_id] = _Told(snapshot, day, month)
        if snapshot.hard_limit is not None or not snapshot.error:
            positive = snapshot.hard_limit is not None and snapshot.hard_limit > ZERO
            self._limit(key, {"provider": snapshot.hard_limit if positive else None})
        allowance = self._table(key).get(key[1])
        if allowance is not None:
            for window, purse in allowance.purses.items():
                self._report(told, window, purse)
            allowance.refresh()

    def retain(self, account_ids: Iterable[str]) -> None:
        """Forget what OpenAI said of accounts that are not among these, and their limits."""
        for gone in (self.accounts.keys() | self._told.keys()) - set(account_ids):
            self.accounts.pop(gone, None)
            self._told.pop(gone, None)

    def clear(self) -> None:
        """Hold nobody to anything: usage is not counted any more. What the ledger said last is kept for when it is again."""
        self.accounts.clear()
        self._clients.clear()
        self._told.clear()

    def _limit(self, key: Key, limits: Mapping[Window, Decimal | None]) -> None:
        table, name = self._table(key), key[1]
        allowance = table.get(name)
        if allowance is None:
            if all(limit is None for limit in limits.values()):
                return
            allowance = table[name] = Allowance()
        for window, limit in limits.items():
            purse = allowance.purses.get(window)
            if limit is None:
                allowance.purses.pop(window, None)
            elif purse is not None:
                purse.limit = limit
            else:
                purse = allowance.purses[window] = Purse(limit, self._spans[window])
                self._fill(key, window, purse)
        if not allowance.purses:
            del table[name]
        allowance.refresh()

    def _table(self, key: Key) -> dict[str, Allowance]:
        return self.accounts if key[0] == "account" else self._clients

    # --- time ---

    def at(self, wall: float, now: float) -> None:
        """The time, wall clock and monotonic: a window whose time has come turns."""
        offset = wall - now
        if abs(offset - self.offset) > OFFSET_SLIP_S:  # the machine slept, or its clock was set
            self.offset = offset
        if self._start <= wall < self._end:
            self._wall = wall
        elif not self._start - CLOCK_SLIP_S < wall < self._start:
            self._turn(wall)

    def _turn(self, wall: float) -> None:
        """Other windows from now on.

        Only time that has passed empties a purse: when clock or zone are changed, what was spent goes on counting until
        the ledger says what belongs where.
        """
        self._wall = wall = bounded(wall)
        day, month, provider = day_of(wall, self._zone), month_of(wall, self._zone), month_of(wall, dt.UTC)
        self._spans = {"day": day, "month": month, "provider": provider}
        self._start, self._end = max(day.start, provider.start), min(day.end, provider.end)
        for kind, table in (("account", self.accounts), ("client", self._clients)):
            for name, allowance in table.items():
                for window, purse in allowance.purses.items():
                    span = self._spans[window]
                    if span.start >= purse.span.end:
                        purse.turn(span)
                        self._fill((kind, name), window, purse)
                    purse.span = span
                allowance.refresh()

    # --- asked by the decision ---

    def room(self, key: Key, need: Decimal) -> Shortage | None:
        """Why a request that may cost so much cannot be had now; None when it can. 0: its price is not known."""
        allowance = self._table(key).get(key[1])
        return None if allowance is None else allowance.shortage(need, self.offset)

    def spent(self, key: Key) -> tuple[Decimal, Decimal] | None:
        """What the ledger last said of today and of this month, limit or not; None before its first word.

        Limits know more: what is not in the ledger yet, and what was spent beside the proxy.
        """
        if math.isnan(self._starts[0]):
            return None
        figures = self._figures.get(key, (ZERO, ZERO))
        day, month = self._spans["day"].start, self._spans["month"].start
        return figures[0] if self._starts[0] == day else ZERO, figures[1] if self._starts[1] == month else ZERO

    def share(self, key: Key) -> float | None:
        """Share used of the tightest limit, with what is set aside; None without a limit."""
        allowance = self._table(key).get(key[1])
        return None if allowance is None else allowance.used

    def purses(self, key: Key) -> Mapping[Window, Purse]:
        """The limits of an account or a client, with what counts against them. Not to be changed."""
        allowance = self._table(key).get(key[1])
        return {} if allowance is None else allowance.purses

    @property
    def limited_clients(self) -> tuple[str, ...]:
        """Names of the client keys with a limit."""
        return tuple(self._clients)

    # --- one request ---

    def reserve(self, keys: Iterable[Key], usd: Decimal) -> Hold:
        """Set money aside for a request that goes out now."""
        found = []
        for kind, name in keys:
            allowance = (self.accounts if kind == "account" else self._clients).get(name)
            if allowance is not None:
                found.append(allowance)
        if usd > ZERO:
            for allowance in found:
                allowance.hold(usd)
        else:
            usd = ZERO
        return Hold(usd, self._wall, found)

    def settle(self, hold: Hold, usd: Decimal, number: int) -> bool:
        """It cost this, and is number so and so in the book. True the first time; later ones change nothing.

        It counts in the window in which it was sent, as in the ledger.
        """
        return self._close(hold, max(usd, ZERO), number)

    def release(self, hold: Hold) -> bool:
        """It cost nothing. True the first time."""
        return self._close(hold, ZERO, 0)

    def _close(self, hold: Hold, usd: Decimal, number: int) -> bool:
        if not hold.is_open:
            return False
        hold.is_open = False
        for allowance in hold.allowances:
            if usd:
                allowance.settle(hold.usd, usd, number, hold.wall)
            else:
                allowance.hold(-hold.usd)
        return True

    # --- what the ledger says ---

    def load(
        self, spent: Figures, through: int, *, day_start: float | None = None, month_start: float | None = None
    ) -> None:
        """The ledger's totals; they contain every settlement up to this number.

        `day_start`, `month_start`: the windows they are about. Those of a window that has turned meanwhile are not taken.
        """
        self._figures, self._through, self._starts = (
            spent,
            through,
            (
                self._spans["day"].start if day_start is None else day_start,
                self._spans["month"].start if month_start is None else month_start,
            ),
        )
        for kind, table in (("account", self.accounts), ("client", self._clients)):
            for name, allowance in table.items():
                # a list, because each of them has to be told
                if any([self._recall((kind, name), window, purse) for window, purse in allowance.purses.items()]):  # noqa: C419 - every window is looked at, also after one that says yes
                    allowance.refresh()

    def _fill(self, key: Key, window: Window, purse: Purse) -> None:
        """A purse that knows nothing yet is told what is known."""
        self._recall(key, window, purse)
        if key[0] == "account" and (told := self._told.get(key[1])) is not None:
            self._report(told, window, purse)

    def _recall(self, key: Key, window: Window, purse: Purse) -> bool:
        at = 0 if window == "day" else 1
        if purse.span.start != self._starts[at]:
            return False  # the figure is about another time
        figures = self._figures.get(key)
        return purse.load(ZERO if figures is None else figures[at], self._through)

    def _report(self, told: _Told, window: Window, purse: Purse) -> None:
        snapshot, start = told.snapshot, purse.span.start
        if snapshot.organization_wide and window != "provider":
            return
        said = snapshot.spent_in_day(start) if window == "day" else snapshot.spent_in_month(start)
        if said is not None and snapshot.taken_at < purse.span.end:
            beside = {"day": told.day_beside, "month": told.month_beside}.get(window, ZERO)
            purse.report(max(said - beside, ZERO))

    def warnings(self) -> Iterator[tuple[Key, Window, float]]:
        """Limits of which `warn_at` or more is spent, each told once in its window: key, window, share."""
        for kind, table in (("account", self.accounts), ("client", self._clients)):
            for name, allowance in table.items():
                for window, share in allowance.warnings(self.warn_at):
                    yield (kind, name), window, share
