"""What an answer's headers and error text say about time and room.

Knows the four places in which OpenAI says when to come back, and the headers that say how much is left. Does not know
what an account is, nor how long a scope finally cools (core.cooling).

Law: nothing here raises, whatever the bytes; what cannot be understood, is negative or not finite is as if it were not
there. Of several hints the largest counts (semantics: coming back late costs a second, coming back early another 429).
"""

import math
import re

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime


__all__ = [
    "LONGEST_COOLING_PER_DAY_S",
    "LONGEST_COOLING_S",
    "SHORTEST_COOLING_S",
    "Headroom",
    "Hint",
    "clamp",
    "cooling_hint",
    "headroom",
    "is_per_day",
    "parse_duration",
]

SHORTEST_COOLING_S = 0.5
LONGEST_COOLING_S = 15 * 60.0
LONGEST_COOLING_PER_DAY_S = 26 * 3600.0
"""A day and two hours: a daily limit may be told in another time zone's day or by a slow clock."""

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
WORDS = {"day": "d", "hour": "h", "hr": "h", "minute": "m", "min": "m", "second": "s", "sec": "s", "millisecond": "ms"}

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_UNIT = r"(?:milliseconds?|minutes?|seconds?|hours?|days?|mins?|secs?|hrs?|ms|us|µs|ns|[dhms])(?![a-zµ])"
_PART = rf"{_NUMBER}\s?{_UNIT}"
_PARTS = re.compile(r"([0-9.]+)\s?([a-zµ]+)")
_DURATION = re.compile(rf"(?:{_PART}\s?)+")
_BARE = re.compile(_NUMBER)
_AGAIN = re.compile(rf"(?:try again|retry)\s+(?:in|after)\s+((?:{_PART}(?:,?\s(?:and\s)?)?)+|{_NUMBER})")
_PER_DAY = re.compile(r"(?:\b|_)per[ _-]day\b|\b[rt]pd\b")
_COUNT = re.compile(r"-?[0-9]{1,18}")

_REMAINING = "x-ratelimit-remaining-"
_RESET = "x-ratelimit-reset-"
_SEARCHED = 4096
"""Characters of an error text that are looked at; OpenAI's rate-limit texts have about 300."""


@dataclass(frozen=True, slots=True)
class Hint:
    """When the upstream said to come back. `seconds` is None when it did not say."""

    seconds: float | None
    per_day: bool = False
    """A daily limit was hit, so a wait of many hours is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What the `x-ratelimit-*` headers of an answer said; None for what they left out."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None


def parse_duration(text: str) -> float | None:
    """Seconds in `6m0s`, `120ms`, `1h2m3.5s`, `20` (seconds) or `2 minutes`; None for anything else.

    >>> parse_duration("1h2m3.5s")
    3723.5
    """
    text = text.strip().lower()
    if len(text) > 80:  # the longest sensible one has about 20 characters
        return None
    if _BARE.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    total = 0.0
    for number, unit in _PARTS.findall(text):
        total += float(number) * UNITS[unit if unit in UNITS else WORDS[unit.removesuffix("s")]]
    return total


def cooling_hint(headers: Mapping[str, str], message: str, wall_now: float) -> Hint:
    """The largest of all hints in an answer. `headers` have lower-case names; `wall_now` is Unix time, for dates."""
    text = message[:_SEARCHED].lower()
    return Hint(max(_hints(headers, text, wall_now), default=None), is_per_day(text))


def is_per_day(text: str) -> bool:
    """Whether a lower-case error text or code speaks of a daily limit."""
    return _PER_DAY.search(text) is not None


def clamp(seconds: float, *, per_day: bool = False) -> float:
    """A cooling time within what we believe: 0.5 s to 15 min, or to 26 h for a daily limit. NaN is the shortest."""
    longest = LONGEST_COOLING_PER_DAY_S if per_day else LONGEST_COOLING_S
    return min(seconds, longest) if seconds > SHORTEST_COOLING_S else SHORTEST_COOLING_S


def headroom(headers: Mapping[str, str]) -> Headroom | None:
    """What is left, or None when no `x-ratelimit-*` header of requests or tokens says anything."""
    found = Headroom(
        limit_requests=_count(headers.get("x-ratelimit-limit-requests")),
        remaining_requests=_count(headers.get("x-ratelimit-remaining-requests")),
        reset_requests_s=parse_duration(headers.get("x-ratelimit-reset-requests", "")),
        limit_tokens=_count(headers.get("x-ratelimit-limit-tokens")),
        remaining_tokens=_count(headers.get("x-ratelimit-remaining-tokens")),
        reset_tokens_s=parse_duration(headers.get("x-ratelimit-reset-tokens", "")),
    )
    return found if found != _NOTHING else None


_NOTHING = Headroom()


def _hints(headers: Mapping[str, str], text: str, wall_now: float) -> Iterator[float]:
    """Each hint that could be understood; all are finite and not negative."""
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _BARE.fullmatch(milliseconds):
        yield float(milliseconds) / 1000
    if (after := _retry_after(headers.get("retry-after", ""), wall_now)) is not None:
        yield after
    for name, left in headers.items():
        if name.startswith(_REMAINING) and (count := _count(left)) is not None and count <= 0:
            reset = parse_duration(headers.get(_RESET + name[len(_REMAINING) :], ""))
            if reset is not None:
                yield reset
    for match in _AGAIN.finditer(text):
        told = parse_duration(match[1].replace(" and ", " ").replace(",", ""))
        if told is not None:
            yield told


def _retry_after(value: str, wall_now: float) -> float | None:
    """Seconds, or an HTTP date (RFC 9110 §10.2.3); a date that has passed says nothing."""
    seconds = parse_duration(value)
    if seconds is not None or not value.strip():
        return seconds
    try:
        date = parsedate_to_datetime(value[:80])
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        ahead = date.timestamp() - wall_now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return ahead if math.isfinite(ahead) and ahead >= 0 else None


def _count(value: str | None) -> int | None:
    if value is None or not _COUNT.fullmatch(value.strip()):
        return None
    return int(value)
