"""Hours, days and months as windows of Unix time, in the zone the user chose.

Law: a window is named by the Unix time of its first second; the windows of a moment contain it, also where clocks are put
forward or back, and also in zones whose offset is no whole hour.
"""

import datetime as dt

from dataclasses import dataclass


__all__ = ["Calendar", "Windows"]

EARLIEST, LATEST = 0, 250_000_000_000  # the year 9892: what datetime can still turn into any zone


@dataclass(frozen=True, slots=True)
class Windows:
    """When the windows of one moment began; Unix seconds."""

    hour: int
    day: int
    month: int


class Calendar:
    """The windows of one zone. Remembers the last hour it was asked about: records come in nearly sorted."""

    def __init__(self, zone: dt.tzinfo) -> None:
        self.zone = zone
        self.name: str = getattr(zone, "key", None) or str(zone)
        self._last = Windows(1, 0, 0)
        self._end = 0

    def at(self, time: float) -> Windows:
        """The windows that contain this moment; one out of all bounds counts as the nearest within."""
        last = self._last
        if last.hour <= time < self._end:
            return last
        second = int(min(max(time, EARLIEST), LATEST)) if time == time else EARLIEST  # noqa: PLR0124 - not a number
        local = dt.datetime.fromtimestamp(second, self.zone)
        into = local.minute * 60 + local.second
        day = dt.datetime(local.year, local.month, local.day, tzinfo=self.zone)
        hour = second - into
        self._last = Windows(hour, int(day.timestamp()), int(day.replace(day=1).timestamp()))
        # an hour in which the clock is put forward or back is looked at moment by moment
        steady = self._offset(hour) == self._offset(hour + 3599) == local.utcoffset()
        self._end = hour + 3600 if steady else 0
        return self._last

    def _offset(self, second: int) -> dt.timedelta | None:
        return dt.datetime.fromtimestamp(max(second, EARLIEST), self.zone).utcoffset()
