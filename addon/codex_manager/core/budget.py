"""How many repeats are allowed, so that an upstream that is down never sees a storm.

Law: in any ten seconds at most a fifth of the requests may be repeats, but ten always may (semantics §3; Finagle's retry
budget has the same shape: a share of the recent requests and a floor for quiet times).

What counts as a repeat is decided in engine.carry: a try that goes where failure is already known. Moving on from an
account that has just been put to rest is not one, because each refusal takes its account out of the choice; otherwise
fifty parallel requests that meet three freshly limited accounts would use up the budget and see errors while the fourth
account is healthy.
"""

__all__ = ["RetryBudget"]

SLOTS = 10
"""The ten seconds are counted in slots of one second."""


class RetryBudget:
    """Counts requests and repeats of the last ten seconds."""

    __slots__ = ("_repeats", "_requests", "_slot", "floor", "ratio")

    def __init__(self, ratio: float = 0.2, floor: int = 10) -> None:
        self.ratio = ratio
        self.floor = floor
        self._slot = 0
        self._requests = [0] * SLOTS
        self._repeats = [0] * SLOTS

    def request(self, now: float) -> None:
        """A client's request came."""
        self._turn(now)
        self._requests[self._slot % SLOTS] += 1

    def spend(self, now: float) -> bool:
        """Take one repeat out of the budget; False when there is none left."""
        self._turn(now)
        if sum(self._repeats) >= max(float(self.floor), self.ratio * sum(self._requests)):
            return False
        self._repeats[self._slot % SLOTS] += 1
        return True

    def _turn(self, now: float) -> None:
        slot = int(now)
        for passed in range(self._slot + 1, min(slot, self._slot + SLOTS) + 1):
            self._requests[passed % SLOTS] = 0
            self._repeats[passed % SLOTS] = 0
        self._slot = max(self._slot, slot)

    def __repr__(self) -> str:
        return f"<RetryBudget {sum(self._repeats)} repeats of {sum(self._requests)} requests>"
