"""The last day minute by minute: how many requests, how they went, what they cost, how long the first token took.

    add       a request is over
    series    the same in even steps, for charts

Pure, and small enough to live in a proxy that serves: a day is at most 1441 minutes, each a few numbers; the time to the
first token is counted in fixed logarithmic bins, because percentiles of percentiles mean nothing and those of merged bins do.
Law: bounded, whatever comes; a record that is too old, or ahead of the clock, changes nothing; the money of an attempt that came
to nothing counts, the attempt is no request.
"""

import math

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from codex_manager.core.record import Record


__all__ = ["DAY_S", "LEFT", "Series", "Sum", "Timeline", "moved"]

MINUTE_S: Final = 60
DAY_S: Final = 86_400
BINS_A_DECADE: Final = 20
"""Each is 12 % wider than the one before, so a percentile is right to 6 %: less than the eye sees in a chart."""
LAST_BIN: Final = 6 * BINS_A_DECADE
"""From 1 ms to 1000 s; what is beyond is counted at the end."""
LEFT: Final = frozenset({"gone", "neutral"})
"""The client went away: nobody failed."""
AHEAD_S: Final = 120.0
"""A record may be so much ahead of the present moment: clocks are corrected."""


@dataclass(slots=True)
class Sum:
    """Of some requests."""

    requests: int = 0
    failovers: int = 0
    """Another account was asked after one had failed."""
    errors: int = 0
    """An account's answer was an error, or none; clients that went away are none."""
    refusals: int = 0
    """Our own answer, because nobody could serve."""
    usd: float = 0.0
    first: dict[int, int] = field(default_factory=dict)
    """Bin of the time to the first token -> requests."""

    def add(self, other: "Sum") -> None:
        """Count these as well."""
        self.requests += other.requests
        self.failovers += other.failovers
        self.errors += other.errors
        self.refusals += other.refusals
        self.usd += other.usd
        for number, count in other.first.items():
            self.first[number] = self.first.get(number, 0) + count

    @property
    def failed(self) -> int:
        """Whoever refused."""
        return self.errors + self.refusals

    def percentile(self, share: float) -> float | None:
        """Seconds to the first token that this share of the requests did not exceed; None where nothing was measured."""
        total = sum(self.first.values())
        if not total:
            return None
        wanted = share * total
        for number in sorted(self.first):
            wanted -= self.first[number]
            if wanted <= 0:
                return _middle(number)
        return _middle(max(self.first))


@dataclass(frozen=True, slots=True)
class Series:
    """Even steps of time, the oldest first; the last one is not over yet."""

    starts: tuple[int, ...]
    """Unix seconds."""
    step_s: int
    sums: tuple[Sum, ...]

    @property
    def total(self) -> Sum:
        """All of it."""
        whole = Sum()
        for each in self.sums:
            whole.add(each)
        return whole


class Timeline:
    """Mutable state: the minutes of the last day in which something happened."""

    def __init__(self) -> None:
        self._minutes: dict[int, Sum] = {}

    def __len__(self) -> int:
        return len(self._minutes)

    def add(self, record: Record, now: float) -> None:
        """A request, or a lost attempt of one, is over; `now` is Unix time."""
        time = record.time
        if not now - DAY_S - MINUTE_S < time <= now + AHEAD_S:
            return
        minute = int(time) // MINUTE_S
        mine = self._minutes.get(minute)
        if mine is None:
            mine = self._minutes[minute] = Sum()
            self._forget(now)
        mine.usd += float(record.cost)
        if "attempt_of" in record.detail:
            return
        mine.requests += 1
        if len(record.attempts) > 1 and moved(record):
            mine.failovers += 1
        if record.failure and record.failure not in LEFT:
            if record.account_id is None:
                mine.refusals += 1
            else:
                mine.errors += 1
        first = record.first_byte_s
        if first is not None and record.account_id is not None:
            number = _bin(first)
            mine.first[number] = mine.first.get(number, 0) + 1

    def extend(self, records: Iterable[Record], now: float) -> None:
        """Requests of earlier, in whatever order."""
        for record in records:
            self.add(record, now)

    def series(self, now: float, span_s: int, step_s: int) -> Series:
        """The last `span_s` seconds in steps of `step_s`, whole minutes both; steps begin at multiples of their length."""
        last = int(now) // step_s * step_s
        starts = range(last - span_s + step_s, last + 1, step_s)
        sums = {start: Sum() for start in starts}
        for minute, mine in self._minutes.items():
            into = sums.get(minute * MINUTE_S // step_s * step_s)
            if into is not None:
                into.add(mine)
        return Series(tuple(starts), step_s, tuple(sums.values()))

    def _forget(self, now: float) -> None:
        """What is older than a day; looked for when a minute begins, not with every request."""
        oldest = (int(now) - DAY_S) // MINUTE_S
        for minute in [each for each in self._minutes if each < oldest]:
            del self._minutes[minute]


def moved(record: Record) -> bool:
    """Whether another account was asked after one had failed."""
    attempts = record.attempts
    return any(each.account_id != attempts[0].account_id for each in attempts[1:])


def _bin(seconds: float) -> int:
    if not seconds > 0.001:
        return 0
    return int(min(math.log10(seconds * 1000) * BINS_A_DECADE, LAST_BIN))


def _middle(number: int) -> float:
    return float(10 ** ((number + 0.5) / BINS_A_DECADE) / 1000)
