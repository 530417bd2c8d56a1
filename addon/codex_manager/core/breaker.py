"""The circuit breaker of one account: shuts it out when it keeps failing in ways no limit explains.

Theory of operation. Samples (success, failure with a weight) are counted while CLOSED. Five failures in a row, or at least
half of ten or more within a minute, trip it OPEN for 15 s, doubling to 5 min. When that has lapsed it is HALF_OPEN: one
probe at a time under a lease; two successes heal it, one failure is a relapse.

Law: every transition is in `TRANSITIONS`; anything else raises. Only attempts that began in the present half-open window
decide about it; whatever began earlier arrives too late to count. Only TRANSIENT, AMBIGUOUS and MID_STREAM failures come
here (core.failure), MID_STREAM at half weight.

The numbers are those of semantics §4; 5 in a row is Envoy's outlier detection, the half of ten Hystrix's.
"""

import math

from enum import StrEnum

from codex_manager.core.cooling import LEASE_S


__all__ = ["TRANSITIONS", "Breaker", "Event", "IllegalTransitionError", "Position"]

IN_A_ROW = 5.0
SHARE = 0.5
SAMPLES = 10
WINDOW_S = 60.0
BUCKETS = 6
OPEN_S = 15.0
LONGEST_OPEN_S = 300.0
HEALING = 2


class Position(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(StrEnum):
    TRIP = "trip"
    LAPSE = "lapse"
    RELAPSE = "relapse"
    HEAL = "heal"


class IllegalTransitionError(RuntimeError):
    """The breaker was told something that cannot happen where it is."""


TRANSITIONS: dict[tuple[Position, Event], Position] = {
    (Position.CLOSED, Event.TRIP): Position.OPEN,
    (Position.OPEN, Event.LAPSE): Position.HALF_OPEN,
    (Position.HALF_OPEN, Event.RELAPSE): Position.OPEN,
    (Position.HALF_OPEN, Event.HEAL): Position.CLOSED,
}


class Breaker:
    """`repr` tells the story: `<Breaker open until 32, trip 2>`."""

    __slots__ = ("_healed", "_lapsed_at", "_lease_until", "_slots", "_streak", "position", "trips", "until")

    def __init__(self) -> None:
        # All mutable state: where it is, until when it is open, how often it tripped without healing in between; the
        # failures in a row, samples in six slots of ten seconds; and for the half-open window when it began, how many
        # successes it has seen and how long the probe may still take.
        self.position = Position.CLOSED
        self.until = -math.inf
        self.trips = 0
        self._streak = 0.0
        self._slots: list[tuple[int, float, float]] = []  # (ten seconds since ever, samples, weight of failures)
        self._lapsed_at = -math.inf
        self._healed = 0
        self._lease_until = -math.inf

    def admits(self, now: float) -> bool:
        """Whether a request may pass: always while closed, one probe at a time after the open time."""
        if self.position is Position.CLOSED:
            return True
        return now >= self.until and now >= self._lease_until

    def opens_at(self, now: float) -> float:
        """When the next request may pass at the latest."""
        return now if self.admits(now) else max(self.until, self._lease_until)

    def enter(self, now: float) -> bool:
        """A request passes; True when it is a probe. Ask `admits` first."""
        if self.position is Position.CLOSED or not self.admits(now):
            return False
        if self.position is Position.OPEN:
            self._move(Event.LAPSE)
            self._lapsed_at = now
            self._healed = 0
        self._lease_until = now + LEASE_S
        return True

    def leave(self) -> None:
        """The probe ended without a verdict."""
        self._lease_until = -math.inf

    def succeed(self, *, began: float, now: float) -> None:
        """An attempt that began at `began` went well to its end."""
        if self.position is Position.CLOSED:
            self._streak = 0.0
            self._count(now, 0.0)
        elif self.position is Position.HALF_OPEN and began >= self._lapsed_at:
            self._lease_until = -math.inf
            self._healed += 1
            if self._healed >= HEALING:
                self._move(Event.HEAL)
                self.trips = 0
                self._forget()

    def fail(self, weight: float, *, began: float, now: float, guarded: bool = False) -> bool:
        """An attempt failed; `guarded` says that this account is not to blame. True when this opened the breaker."""
        if self.position is Position.CLOSED:
            self._streak += weight
            samples, failures = self._count(now, weight)
            if guarded or not (self._streak >= IN_A_ROW or (samples >= SAMPLES and failures >= SHARE * samples)):
                return False
            self._move(Event.TRIP)
        elif self.position is Position.HALF_OPEN and began >= self._lapsed_at:
            self._move(Event.RELAPSE)
        else:
            return False
        self.until = now + min(LONGEST_OPEN_S, OPEN_S * 2.0 ** min(self.trips, 5))
        self.trips += 1
        self._lease_until = -math.inf
        self._forget()
        return True

    def restore(self, until: float, trips: int) -> None:
        """Take up where the process before this one left off: open until then."""
        if self.position is Position.CLOSED:
            self._move(Event.TRIP)
            self.until, self.trips = until, trips

    def _move(self, event: Event) -> None:
        target = TRANSITIONS.get((self.position, event))
        if target is None:
            msg = f"{self!r} cannot {event}"
            raise IllegalTransitionError(msg)
        self.position = target

    def _forget(self) -> None:
        self._streak = 0.0
        self._slots.clear()

    def _count(self, now: float, failed: float) -> tuple[float, float]:
        """Add one sample; the samples and the weight of failures in the window."""
        width = WINDOW_S / BUCKETS
        slot = int(now // width)
        if self._slots and self._slots[-1][0] >= slot:
            at, samples, failures = self._slots[-1]
            self._slots[-1] = (at, samples + 1.0, failures + failed)
        else:
            self._slots = [kept for kept in self._slots if kept[0] > slot - BUCKETS]
            self._slots.append((slot, 1.0, failed))
        return sum(kept[1] for kept in self._slots), sum(kept[2] for kept in self._slots)

    def __repr__(self) -> str:
        match self.position:
            case Position.CLOSED:
                samples = sum(kept[1] for kept in self._slots)
                return f"<Breaker closed, {self._streak:g} failed in a row, {samples:g} in the window>"
            case Position.OPEN:
                return f"<Breaker open until {self.until:g}, trip {self.trips}>"
            case Position.HALF_OPEN:
                return f"<Breaker half-open, {self._healed} of {HEALING} healed, trip {self.trips}>"
