"""How much room a scope has left, as the `x-ratelimit-*` headers last said, with what is on its way counted in.

Law: only what the upstream said is known; a dimension it never named is left out. When a reset has passed, its dimension
is taken as full again. What was reserved since the last word is subtracted, because that word cannot know of it.

Pure; one object a scope, updated by every answer.
"""

import math

from codex_manager.core.hints import Headroom


__all__ = ["Capacity"]


class Capacity:
    """Room for requests and tokens in one scope."""

    __slots__ = ("_limits", "_remaining", "_resets", "_told", "in_flight", "reserved_tokens")

    def __init__(self) -> None:
        # All mutable state; index 0 is requests, 1 is tokens; a limit of 0 is one we have not been told.
        self._limits = [0, 0]
        self._remaining = [0, 0]
        self._resets = [-math.inf, -math.inf]
        self._told = [-math.inf, -math.inf]
        self.in_flight = 0
        self.reserved_tokens = 0

    def reserve(self, tokens: int) -> None:
        """A request goes out that will probably need so many tokens."""
        self.in_flight += 1
        self.reserved_tokens += tokens

    def release(self, tokens: int) -> None:
        """It is over; what it used shows in the headers of its answer and of later ones."""
        self.in_flight -= 1
        self.reserved_tokens -= tokens

    def learn(self, said: Headroom, now: float) -> None:
        """The newest word of the upstream."""
        self._take(0, said.limit_requests, said.remaining_requests, said.reset_requests_s, now)
        self._take(1, said.limit_tokens, said.remaining_tokens, said.reset_tokens_s, now)

    def _take(self, at: int, limit: int | None, remaining: int | None, reset_s: float | None, now: float) -> None:
        if limit is not None and limit > 0 and remaining is not None:
            self._limits[at] = limit
            self._remaining[at] = min(max(remaining, 0), limit)
            # Without a reset the number would count for ever; a minute is the window of OpenAI's limits.
            self._resets[at] = now + (60.0 if reset_s is None else reset_s)
            self._told[at] = now

    def used(self, now: float) -> float | None:
        """The larger share used of the known dimensions, 0 to 1 and above; None when nothing is known."""
        # written out for both dimensions: a decision asks this of every account
        requests, tokens = self._limits
        worst: float | None = None
        if requests:
            left = requests if now >= self._resets[0] else self._remaining[0]
            worst = (requests - left + self.in_flight) / requests
        if tokens:
            left = tokens if now >= self._resets[1] else self._remaining[1]
            share = (tokens - left + self.reserved_tokens) / tokens
            worst = share if worst is None or share > worst else worst
        return worst

    def lacks_room_until(self, tokens: int, now: float) -> float | None:
        """When there will be room for a request of `tokens`, if there is known to be none now.

        A full bucket takes any request: the estimate may be too high, and waiting would not help.
        """
        resets_requests, resets_tokens = self._resets
        if now < resets_requests and 0 < self._limits[0] > self._remaining[0] < 1 + self.in_flight:
            return resets_requests
        if now < resets_tokens and 0 < self._limits[1] > self._remaining[1] < tokens + self.reserved_tokens:
            return resets_tokens
        return None

    def should_have_room(self, tokens: int, now: float) -> bool:
        """Whether there should be room for a request of `tokens`, if what was used refills evenly until the reset.

        So it does at OpenAI. For who would rather be refused than go elsewhere too early.
        """
        return 1 + self.in_flight <= self._refilled(0, now) and tokens + self.reserved_tokens <= self._refilled(1, now)

    def _refilled(self, at: int, now: float) -> float:
        limit, remaining, reset, told = self._limits[at], self._remaining[at], self._resets[at], self._told[at]
        if not limit or remaining == limit or now >= reset:
            return math.inf  # unknown, or full, which takes any request
        return remaining + (limit - remaining) * (now - told) / (reset - told)

    def __repr__(self) -> str:
        known = [
            f"{self._remaining[at]}/{self._limits[at]} {name} until {self._resets[at]:g}"
            for at, name in enumerate(("requests", "tokens"))
            if self._limits[at]
        ]
        return f"<Capacity {', '.join(known) or 'unknown'}, {self.in_flight} in flight>"
