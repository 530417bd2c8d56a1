"""How one thing rests after a refusal and how it is let back in: a scope, an organization's purse, the way out.

Theory of operation. A `Cooling` is *ready* until something refuses. Then it is *resting* until a deadline; nobody is let
through. When the deadline has passed it is *half-open*: as many requests as its width are let through at once, each
under a lease; the first is the probe. Every success doubles the width, 1 → 2 → 4 → everybody (ready); a refusal puts it to
rest again, one level up, so that the next rest without a hint is longer.

A refusal comes within a round trip, a good answer takes as long as the model thinks, which can be minutes. So a lease
that has been quiet for `QUIET_S` does not keep others out any longer and counts like an accepted one while it lasts;
otherwise everybody behind one slow probe would be sent away.

Law:
- The deadline only moves later (litellm #40130 re-cooled with the earlier one).
- Refusals of attempts that began before the rest was over are the same event seen by parallel requests: they do not
  raise the level.
- An attempt that began before one that has since succeeded says nothing about now: it changes nothing.
- A lease that is never given back ends by itself, so a lost request cannot keep the door shut.

Pure: `now` is a monotonic time, durations come from the functions below, randomness is passed in.
"""

import math
import random

from enum import StrEnum

from codex_manager.core.hints import Hint, clamp


__all__ = ["LEASE_S", "QUIET_S", "Cooling", "Phase", "billing_rest", "egress_rest", "rate_rest"]

LEASE_S = 30.0
"""A probe that has said nothing for this long is forgotten (semantics §4)."""
QUIET_S = 5.0
"""Several times the slowest refusal; OpenAI decides about limits before it computes."""
WIDEST = 4
"""The ramp is 1 → 2 → 4 → all (semantics §4)."""
SIMULTANEOUS_S = 1.0
"""Attempts that began this close to each other are parallel: the success of one does not overrule the refusal of the
other, because near its limit a scope answers both at once."""
BILLING_RESTS_S = (300.0, 900.0, 3600.0)
"""5 min, 15 min, 1 h: nobody tops up an account within seconds (semantics §3)."""


class Phase(StrEnum):
    READY = "ready"
    RESTING = "resting"
    HALF_OPEN = "half_open"


class Cooling:
    """The rest of one thing. `repr` tells where it is in the story."""

    __slots__ = ("_last_success", "_leases", "_next_lease", "level", "until", "width")

    def __init__(self) -> None:
        # All mutable state: the deadline, how many refusals in a row led to it, how many may pass at once when it is
        # over (0: everybody), who is passing right now, and when the newest attempt that succeeded began.
        self.until = -math.inf
        self.level = 0
        self.width = 0
        self._leases: dict[int, float] = {}
        self._next_lease = 0
        self._last_success = -math.inf

    def phase(self, now: float) -> Phase:
        if not self.width:
            return Phase.READY
        return Phase.RESTING if now < self.until else Phase.HALF_OPEN

    def admits(self, now: float) -> bool:
        """Whether one more request may pass."""
        if not self.width:
            return True
        return now >= self.until and self._has_room(now)

    def opens_at(self, now: float) -> float:
        """When the next request may pass at the latest, as far as is known: the deadline, or the end of a lease."""
        if self.admits(now):
            return now
        if now < self.until:
            return self.until
        return min(start + QUIET_S for start in self._leases.values() if start + QUIET_S > now)

    def enter(self, now: float) -> int | None:
        """Take a lease when one is needed; None while everybody may pass. Ask `admits` first, in the same breath."""
        if not self.width:
            return None
        if not self.admits(now):
            msg = f"{self!r} admits nobody at {now:g}"
            raise RuntimeError(msg)
        self._leases = {lease: start for lease, start in self._leases.items() if start + LEASE_S > now}
        self._next_lease += 1
        self._leases[self._next_lease] = now
        return self._next_lease

    def leave(self, lease: int | None) -> None:
        """Give a lease back without a verdict; twice is harmless."""
        if lease is not None:
            self._leases.pop(lease, None)

    def refuse(self, rest: float, *, began: float, now: float) -> bool:
        """An attempt that began at `began` was refused: rest for `rest` seconds. False when it came too late to count."""
        if began < self._last_success:
            return False
        if began >= self.until:
            self.level += 1
        self.until = max(self.until, now + rest)
        self.width = 1
        self._leases.clear()
        return True

    def succeed(self, *, began: float, now: float) -> None:
        """An attempt that began at `began` was answered."""
        if not self.width:
            self._last_success = max(self._last_success, began - SIMULTANEOUS_S)
        elif now >= self.until and began >= self.until:
            self._last_success = max(self._last_success, began)
            self.width *= 2
            if self.width > WIDEST:
                self._ready()

    def restore(self, until: float, level: int) -> None:
        """Take up a rest of the process before this one; it never ends one of this process's earlier."""
        self.until = max(self.until, until)
        self.level = max(self.level, level)
        self.width = self.width or 1

    def lift(self) -> None:
        """Forget the rest: its reason is gone (the account was edited)."""
        self._ready()

    def _ready(self) -> None:
        self.until = -math.inf
        self.level = 0
        self.width = 0
        self._leases.clear()

    def _has_room(self, now: float) -> bool:
        young = quiet = 0
        for start in self._leases.values():
            age = now - start
            young += age < QUIET_S
            quiet += QUIET_S <= age < LEASE_S
        return young < self.width + quiet

    def __repr__(self) -> str:
        if not self.width:
            return "<Cooling ready>"
        return f"<Cooling until {self.until:g}, level {self.level}, then {self.width} at once, {len(self._leases)} passing>"


def rate_rest(hint: Hint, level: int, rng: random.Random) -> float:
    """Seconds a scope rests: the upstream's own hint, else 1 s doubling to 60 s, ±20 % (semantics §4)."""
    seconds = hint.seconds
    if seconds is None:
        seconds = min(60.0, 2.0 ** min(level, 6)) * rng.uniform(0.8, 1.2)
    return clamp(seconds, per_day=hint.per_day)


def billing_rest(level: int) -> float:
    """Seconds until an organization without credit is tried again by a real request."""
    return BILLING_RESTS_S[min(level, len(BILLING_RESTS_S) - 1)]


def egress_rest(hint: Hint, level: int) -> float:
    """Seconds nothing goes out this way: 5 s doubling to 60 s, or the edge's own Retry-After when that is longer."""
    return min(60.0, max(5.0 * 2.0 ** min(level, 4), hint.seconds or 0.0))
