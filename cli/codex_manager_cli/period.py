"""The time a report covers, from the words a person types: `yesterday`, `7d`, `2026-11`, `2026-11-01 14:00`.

Pure: text, the moment of now and its zone in, Unix seconds out. Law: a period begins and ends on a whole hour, because
that is as fine as totals are kept; a day given as the end is a day inside the period. `Nd` is today and the days before it,
N in all, and as an end it is where that begins, so that `--until 7d` and `--since 7d` share no day and miss none.
"""

import re

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal

from codex_manager.core.telling.quoting import shorten


__all__ = ["EXAMPLES", "Period", "PeriodError", "day_of", "month_of", "period"]

EXAMPLES: Final = "2026-11-01, 2026-11, `2026-11-01 14:00`, yesterday, 24h, 7d"
LONGEST: Final = 40
"""Characters of a moment anybody types."""


class PeriodError(ValueError):
    """A moment nobody can tell; the text is a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Period:
    """Unix seconds; the end is not in it."""

    since: float
    until: float


def day_of(moment: datetime, *, later: int = 0) -> datetime:
    """When the day of a moment begins in its zone, or one so many days later."""
    return _midnight(moment.date() + timedelta(days=later), moment.tzinfo)


def month_of(moment: datetime, *, later: int = 0) -> datetime:
    """When the month of a moment begins in its zone, or one so many months later."""
    months = moment.year * 12 + moment.month - 1 + later
    return _midnight(date(months // 12, months % 12 + 1, 1), moment.tzinfo)


def period(since: str | None, until: str | None, *, now: datetime, default: Literal["day", "month", "all"]) -> Period:
    """What `--since` and `--until` say. Without an end it is now; without a beginning it is that of the default.

    Raises:
        PeriodError: one of them cannot be told, or nothing lies between them.
    """
    # an hour more than now, so that the hour under way is in it
    end = _moment("--until", until, now)[1] if until is not None else _next_hour(now)
    if since is not None:
        begin = _moment("--since", since, now)[0]
    elif default == "all":
        begin = datetime.fromtimestamp(0, UTC)
    else:
        last = min(end - timedelta(seconds=1), now)
        begin = day_of(last) if default == "day" else month_of(last)
    first = max(0.0, begin.timestamp())
    if first >= end.timestamp():  # not by the wall's clock, on which an hour may come twice
        end_word = "now" if until is None else f"--until {until}"
        raise PeriodError(f"--since {since} is not before {end_word}" if since else f"nothing lies before {end_word}")
    return Period(first, end.timestamp())


def _moment(option: str, text: str, now: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of what the text names."""
    words = " ".join(text.lower().split())
    try:
        for form in (_named, _ago, _month, _day, _time):
            if (found := form(words, now)) is not None:
                return found
    except (ValueError, OverflowError):  # the 31st of November, the year 0, ten thousand years ago
        pass
    raise PeriodError(f"{option} '{shorten(words, LONGEST)}' is no date or time; give one such as {EXAMPLES}")


def _named(words: str, now: datetime) -> tuple[datetime, datetime] | None:
    match words:
        case "now":
            return now, _next_hour(now)
        case "all" | "ever":
            return datetime.fromtimestamp(0, UTC), _next_hour(now)
        case "today":
            return day_of(now), day_of(now, later=1)
        case "yesterday":
            return day_of(now, later=-1), day_of(now)
        case "this month":
            return month_of(now), month_of(now, later=1)
        case "last month":
            return month_of(now, later=-1), month_of(now)
    return None


def _ago(words: str, now: datetime) -> tuple[datetime, datetime] | None:
    found = re.fullmatch(r"(\d{1,5}) ?(h|hours?|d|days?|w|weeks?)(?: ago)?", words, re.ASCII)
    if found is None:
        return None
    number, unit = int(found[1]), found[2][0]
    if number == 0:
        raise ValueError
    if unit == "h":
        begin = _hour(datetime.fromtimestamp(now.timestamp() - (number - 1) * 3600, now.tzinfo))
    else:
        begin = day_of(now, later=1 - number * (7 if unit == "w" else 1))
    return begin, begin


def _month(words: str, now: datetime) -> tuple[datetime, datetime] | None:
    found = re.fullmatch(r"(\d{4})-(\d{1,2})", words, re.ASCII)
    if found is None:
        return None
    begin = _midnight(date(int(found[1]), int(found[2]), 1), now.tzinfo)
    return begin, month_of(begin, later=1)


def _day(words: str, now: datetime) -> tuple[datetime, datetime] | None:
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", words, re.ASCII)
    if found is None:
        return None
    begin = _midnight(date(*(int(part) for part in found.groups())), now.tzinfo)
    return begin, day_of(begin, later=1)


def _time(words: str, now: datetime) -> tuple[datetime, datetime] | None:
    """ISO 8601, with a zone of its own or in that of now; minutes are cut off at the beginning and filled up at the end."""
    if not re.match(r"\d{4}-\d{2}-\d{2}[t ]\d", words, re.ASCII):
        return None
    moment = datetime.fromisoformat(words.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=now.tzinfo)
    begin = _hour(moment)
    return begin, begin if begin == moment else _next_hour(begin)


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _next_hour(moment: datetime) -> datetime:
    """By the clock of the universe: where the wall's is set back, the hour after 2:00 is 2:00."""
    return datetime.fromtimestamp(_hour(moment).timestamp() + 3600, moment.tzinfo)
