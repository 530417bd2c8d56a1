"""A passing cloud over an account, a scope or a place: a reason to look elsewhere first, never a reason to refuse.

An overloaded model, a 500, a connection that could not be made: each says that the next request will probably fail the
same way, and none of them says that nothing can be served. So whoever chooses passes over what is under a cloud while
anything else is at hand.

Law: worse by two levels with each failure, better by one with each success, and a cloud lasts twice as long for each level:
so what fails half of the time drifts up and is soon asked hardly at all, and what failed once is soon back. After the
cloud one request a second goes there until one of them has succeeded, so that a crowd does not find out together.
"""

import math


__all__ = ["Weather"]

FIRST_S = 1.0
LONGEST_S = 32.0
TRICKLE_S = 1.0
WORST = 6
"""Level; 2⁵ s is the longest cloud already."""


class Weather:
    """Until when to look elsewhere first."""

    __slots__ = ("_level", "_trickle", "clear_from", "until")

    def __init__(self) -> None:
        self.until = -math.inf
        self.clear_from = -math.inf
        """The later of both: kept for decisions, which ask this several times for every account."""
        self._level = 0
        self._trickle = -math.inf

    def is_clear(self, now: float) -> bool:
        return now >= self.clear_from

    def enter(self, now: float) -> None:
        """A request goes there."""
        if self._level and self.is_clear(now):
            self._trickle = now + TRICKLE_S
            self.clear_from = max(self.until, self._trickle)

    def worsen(self, now: float, at_least: float = 0.0) -> None:
        """A failure. Those that arrive under the cloud are the same event seen by parallel requests."""
        if now >= self.until:
            self.until = now + max(at_least, min(LONGEST_S, FIRST_S * 2.0**self._level))
            self._level = min(self._level + 2, WORST)
            self.clear_from = max(self.until, self._trickle)

    def improve(self, now: float) -> None:
        """A success; under the cloud it says nothing, because it may have begun before."""
        if self._level and now >= self.until:
            self._level -= 1
            self._trickle = -math.inf
            self.clear_from = self.until

    def __repr__(self) -> str:
        return f"<Weather until {self.until:g}, level {self._level}>"
