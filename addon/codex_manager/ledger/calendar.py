"""Hours, days and months as the ledger names them, in the zone the user chose; days and months are those of core.window.

Law: a window is named by the Unix time of its first second; the windows of a moment contain it, also where clocks are put
forward or back, and also in zones whose offset is no whole hour.
"""

import datetime as dt

from dataclasses import dataclass

from codex_manager.core.window import bounded, day_of, month_of


__all__ = ["Calendar", "Windows"]


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
        second = int(bounded(time))
        local = dt.datetime.fromtimestamp(second, self.zone)
        hour = second - local.minute * 60 - local.second
        self._last = Windows(hour, int(day_of(second, self.zone).start), int(month_of(second, self.zone).start))
        # an hour in which the clock is put forward or back is looked at moment by moment
        steady = self._offset(hour) == self._offset(hour + 3599) == local.utcoffset()
        self._end = hour + 3600 if steady else 0
        return self._last

    def _offset(self, second: int) -> dt.timedelta | None:
        return dt.datetime.fromtimestamp(bounded(second), self.zone).utcoffset()
