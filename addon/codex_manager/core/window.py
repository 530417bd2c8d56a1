"""Days and months in which a limit counts, as spans of Unix time, in the zone the user chose.

Law: the spans of a zone follow each other without gap or overlap, also where clocks are put forward or back at midnight, or
a day is left out altogether; a day or month begins at the first moment that bears its date. Total: a clock that is out
of all bounds gets the nearest span there is.
"""

import datetime as dt

from dataclasses import dataclass
from typing import Final, Literal


__all__ = ["Span", "Window", "bounded", "day_of", "moment", "month_of"]

type Window = Literal["day", "month", "provider"]
"""Which limit: ours for a day, ours for a month, or the one OpenAI itself holds the account to each month."""

EARLIEST: Final = 0.0
LATEST: Final = 250_000_000_000.0
"""The year 9892: until then every zone has a date, and a month that ends."""


@dataclass(frozen=True, slots=True)
class Span:
    """Unix seconds; the end is the first moment that is no longer in it."""

    start: float
    end: float

    def __contains__(self, wall: float) -> bool:
        return self.start <= wall < self.end


def day_of(wall: float, zone: dt.tzinfo) -> Span:
    """The day that contains a moment."""
    date = _local(wall, zone).date()
    return Span(_begin(date, zone), _begin(date + dt.timedelta(days=1), zone))


def month_of(wall: float, zone: dt.tzinfo) -> Span:
    """The month that contains a moment."""
    first = _local(wall, zone).date().replace(day=1)
    return Span(_begin(first, zone), _begin((first + dt.timedelta(days=32)).replace(day=1), zone))


def moment(wall: float) -> str:
    """`2026-11-02 00:00 UTC`: a time as an error text gives it, whose reader may be anywhere. Rounded up to the minute."""
    minutes = -(-int(bounded(wall)) // 60)
    return f"{dt.datetime.fromtimestamp(minutes * 60, dt.UTC):%Y-%m-%d %H:%M} UTC"


def bounded(wall: float) -> float:
    """The nearest time that has a date."""
    return min(max(wall, EARLIEST), LATEST) if wall == wall else EARLIEST  # noqa: PLR0124 - not a number


def _begin(date: dt.date, zone: dt.tzinfo) -> float:
    # Of a midnight that comes twice this is the first (fold=0); of one that is left out, the moment the clock is put forward.
    return dt.datetime(date.year, date.month, date.day, tzinfo=zone).timestamp()


def _local(wall: float, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(bounded(wall), zone)
