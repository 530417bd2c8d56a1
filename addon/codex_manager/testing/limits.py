"""Rate limits that behave like OpenAI's: they run out, say so in headers and words, and refill continuously.

Limits belong to an organization and project and to each model apart, so two keys of one project share them. A refused
request counts too: hammering a limited account keeps it limited.
"""

import math

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.reply import Reply


__all__ = ["Limit", "Limits"]


class Bucket:
    """`capacity` units that refill at `rate` a second; the mutable state is the level and its time."""

    def __init__(self, capacity: float, rate: float, now: float) -> None:
        self.capacity, self.rate = capacity, rate
        self._level, self._at = capacity, now

    def level(self, now: float) -> float:
        self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
        self._at = now
        return self._level

    def wait(self, units: float, now: float) -> float:
        """Seconds until `units` can be taken; 0 when they can be now. More than there ever are need a full bucket."""
        return max(0.0, (min(units, self.capacity) - self.level(now)) / self.rate)

    def take(self, units: float, now: float) -> None:
        self._level = max(0.0, self.level(now) - units)

    def full_in(self, now: float) -> float:
        return (self.capacity - self.level(now)) / self.rate


class Limit:
    """What one organization and project may do a minute, for each model apart."""

    def __init__(
        self, requests: float | None, tokens: float | None, burst_requests: float | None, burst_tokens: float | None
    ) -> None:
        self._per_minute = {"requests": requests, "tokens": tokens}
        self._burst = {"requests": burst_requests, "tokens": burst_tokens}
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def bucket(self, what: str, model: str, now: float) -> Bucket | None:
        per_minute = self._per_minute[what]
        if per_minute is None:
            return None
        found = self._buckets.get((what, model))
        if found is None:
            found = Bucket(self._burst[what] or per_minute, per_minute / 60, now)
            self._buckets[what, model] = found
        return found

    def charge(self, facts: Facts, now: float) -> tuple[Reply | None, list[tuple[str, str]]]:
        """Count one request: the refusal if it is over the limit, and the headers that tell what is left."""
        model = facts.model or ""
        wants = {"requests": 1.0, "tokens": estimate(facts)}
        over: tuple[float, str] | None = None
        headers: list[tuple[str, str]] = []
        for what, units in wants.items():
            bucket = self.bucket(what, model, now)
            if bucket is None:
                continue
            wait = bucket.wait(units, now)
            if wait > 0 and (over is None or wait > over[0]):
                over = (wait, what)
            bucket.take(units, now)
            headers += [
                (f"x-ratelimit-limit-{what}", f"{self._per_minute[what]:g}"),
                (f"x-ratelimit-remaining-{what}", str(math.floor(bucket.level(now)))),
                (f"x-ratelimit-reset-{what}", errors.seconds_text(bucket.full_in(now))),
            ]
        if over is None:
            return None, headers
        wait, what = over
        name = "requests per min (RPM)" if what == "requests" else "tokens per min (TPM)"
        limit, asked = f"{self._per_minute[what]:g}", f"{wants[what]:g}"
        message = (
            f"Rate limit reached for {model} in organization {facts.account.organization} on {name}: Limit {limit}, "
            f"Used {limit}, Requested {asked}. Please try again in {errors.seconds_text(wait)}. Visit "
            "https://platform.openai.com/account/rate-limits to learn more."
        )
        hints = [("retry-after", str(math.ceil(wait))), ("retry-after-ms", str(math.ceil(wait * 1000)))]
        return errors.error_reply(429, message, type=what, code="rate_limit_exceeded", headers=hints), headers


def estimate(facts: Facts) -> float:
    """Tokens a request is charged: about its input, and the output it allows itself."""
    body = facts.json if isinstance(facts.json, dict) else {}
    asked = next(
        (
            body[name]
            for name in ("max_completion_tokens", "max_output_tokens", "max_tokens")
            if isinstance(body.get(name), int)
        ),
        16,
    )
    return facts.seen.body_size // 4 + asked


class Limits:
    """The limits of all accounts; without one, headers show a roomy account."""

    def __init__(self) -> None:
        self._by_domain: dict[tuple[str, str], Limit] = {}

    def set(self, domain: tuple[str, str], limit: Limit | None) -> None:
        if limit is None:
            self._by_domain.pop(domain, None)
        else:
            self._by_domain[domain] = limit

    def charge(self, facts: Facts, now: float) -> tuple[Reply | None, list[tuple[str, str]]]:
        limit = self._by_domain.get(facts.account.domain)
        if limit is not None:
            return limit.charge(facts, now)
        return None, [
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-tokens", "1999984"),
            ("x-ratelimit-reset-tokens", "1ms"),
        ]
