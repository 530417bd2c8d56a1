"""How figures look on the page: money, counts, times. Filters of the templates.

Pure. Law: a figure that is not there is a dash, never a nought.
"""

import datetime as dt
import re

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import markupsafe


__all__ = ["FILTERS", "count", "moment", "money", "percent", "seconds", "ticks"]

DASH: Final = "–"


def money(usd: float | Decimal | None) -> str:
    """US dollars: cents where there are dollars, four places where there are only cents."""
    if usd is None:
        return DASH
    if 0 < usd < 0.00005:
        return "<$0.0001"
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def count(number: float | None) -> str:
    """1,234 as it is; from ten thousand on 12.3k, 4.5M."""
    if number is None:
        return DASH
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size * 10 or (size > 1_000 and number >= size):
            return f"{number / size:.1f}{letter}"
    return f"{number:,.0f}"


def percent(share: float | None) -> str:
    """0.42 -> 42 %."""
    return DASH if share is None else f"{share * 100:.0f} %"


def seconds(duration: float | None) -> str:
    """12 ms, 0.84 s, 12.3 s."""
    if duration is None:
        return DASH
    if duration < 0.0995:
        return f"{duration * 1000:.0f} ms"
    return f"{duration:.2f} s" if duration < 9.995 else f"{duration:.1f} s"


def moment(unix: float | None) -> str:
    """Unix time as RFC 3339, for `<time datetime>`; the browser shows it in its own zone."""
    if unix is None:
        return ""
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ticks(sentence: str) -> markupsafe.Markup:
    """A sentence with `code` in it: escaped, and what stands between backticks set as code."""
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(sentence))))  # noqa: S704 - escaped before


FILTERS: Final[dict[str, Callable[[Any], str]]] = {
    "money": money, "count": count, "percent": percent, "seconds": seconds, "moment": moment,
    "ticks": ticks,
}  # fmt: skip
