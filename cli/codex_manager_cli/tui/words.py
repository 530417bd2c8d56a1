"""How values are written in a cell: short, harmless, the same in every view. Pure.

Law: whatever a client or OpenAI said passes `plain` before it is drawn, so that it cannot steer the terminal or begin a line.
"""

import datetime as dt

from typing import Final

from codex_manager.core.telling.reasons import failure_words, why
from codex_manager_cli.tui.source import RequestLine


__all__ = [
    "BY", "STATES", "amount", "bar", "clock", "count", "lasted", "left", "meter", "money", "percent", "plain", "route", "short_why", "size", "status",
    "whole_why",
]  # fmt: skip

BY: Final = {
    "least_utilized": "most room", "round_robin": "its turn", "priority": "priority", "switch": "switched", "only": "only one",
    "owner": "has it", "origin": "reasoning", "affinity": "its cache", "home": "its cache", "detour": "detour", "sticky": "new talk",
}  # fmt: skip
"""What decided, in nine characters."""
STATES: Final = {
    # state of an account: (word, tone)
    "ready": ("ready", "good"),
    "limited": ("limited", "warn"),
    "billing": ("no credit", "bad"),
    "spent": ("spent", "bad"),
    "failing": ("failing", "bad"),
    "egress": ("network", "warn"),
    "auth_failed": ("bad key", "bad"),
    "unusable": ("unusable", "bad"),
    "disabled": ("off", "dim"),
}
EIGHTHS: Final = "▏▎▍▌▋▊▉█"


def plain(text: object, most: int = 200) -> str:
    """One line without anything a terminal would obey."""
    shown = str(text)[: most + 1]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def clock(moment: float, zone: dt.tzinfo | None = None) -> str:
    """14:03:10, local time."""
    return f"{dt.datetime.fromtimestamp(moment, dt.UTC).astimezone(zone):%H:%M:%S}"


def lasted(seconds: float | None) -> str:
    """How long something took: 430ms, 1.2s, 34s, 3m12s."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 99.5:
        return f"{seconds:.0f}s"
    minutes = round(seconds) // 60
    return f"{minutes}m{round(seconds) % 60:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def left(until: float | None, now: float) -> str:
    """A countdown: 42s, 3m05s, 5h12m, 3d4h; empty when there is nothing to wait for."""
    if until is None or until <= now:
        return ""
    seconds = max(1, round(until - now))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    return (
        f"{seconds // 3600}h{seconds % 3600 // 60:02}m"
        if seconds < 86_400
        else f"{seconds // 86_400}d{seconds % 86_400 // 3600}h"
    )


def money(usd: float | None) -> str:
    """$0.0021 for one request, $12.34 for more; empty where there is none."""
    if usd is None:
        return ""
    if 0 < usd < 0.00005:
        return "<$.0001"
    return f"${usd:,.4f}" if 0 < usd < 1 else f"${usd:,.2f}"


def amount(usd: float | None) -> str:
    """$12.34, $1,235, $12.3k: at most six characters."""
    if usd is None:
        return "-"
    if usd < 999.995:
        return f"${usd:.2f}"
    return f"${usd:,.0f}" if usd < 9_999.5 else f"${usd / 1000:.1f}k" if usd < 999_950 else f"${usd / 1e6:.1f}M"


def count(number: int | None) -> str:
    """1,234, 12.3k, 4.5M: at most five characters."""
    if number is None:
        return ""
    if number < 10_000:
        return f"{number:,}"
    return (
        f"{number / 1000:.1f}k"
        if number < 99_950
        else f"{number / 1000:.0f}k"
        if number < 999_500
        else f"{number / 1e6:.1f}M"
    )


def size(number: int | None) -> str:
    """512 B, 1.2 kB, 3.4 MB."""
    if number is None:
        return ""
    if number < 1000:
        return f"{number} B"
    return f"{number / 1000:.1f} kB" if number < 999_950 else f"{number / 1e6:.1f} MB"


def bar(share: float, cells: int) -> str:
    """So much of `cells`, in eighths; what is above nothing is never nothing, and less than all never all."""
    share = min(max(share, 0.0), 1.0)
    if share == 0:
        return " " * cells
    eighths = max(1, min(round(share * cells * 8), cells * 8 if share == 1 else cells * 8 - 1))
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (EIGHTHS[rest - 1] if rest else "")).ljust(cells)


def meter(share: float, cells: int) -> tuple[str, str]:
    """A thin bar of what is used, and what is left of it; something is never nothing, and less than all never all."""
    halves = 0 if share <= 0 else cells * 2 if share >= 1 else max(1, min(round(share * cells * 2), cells * 2 - 1))
    used = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return used, "─" * (cells - len(used))


def percent(share: float) -> str:
    """85%; what is above nothing is never 0%."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def short_why(line: RequestLine) -> str:
    """Why it went where it went, in nine characters."""
    return BY.get(line.by, plain(line.by.replace("_", " "), 20))


def whole_why(line: RequestLine) -> str:
    """The same as a sentence, with what came before."""
    before = "; ".join(f"{label}: {failure_words(failure)}" for label, failure in line.tried)
    words = why(line.by) if line.by or not line.failure else failure_words(line.failure).replace("_", " ")
    return plain(f"{before} → {words}" if before and words else before or words, 300)


def route(line: RequestLine) -> str:
    """The accounts in the order they were asked: `personal → work`."""
    labels = [label for label, _ in line.tried]
    if line.account and (not labels or labels[-1] != line.account or not line.failure):
        labels.append(line.account)
    return " → ".join(dict.fromkeys(labels)) or "-"


def status(line: RequestLine) -> tuple[str, str]:
    """Status and its tone: `200` good, `499` for a client that left, `429` bad, dots while it is on its way."""
    if line.running:
        return "···", "accent"
    if line.failure in {"gone", "neutral"}:
        return "499", "dim"
    if line.failure or line.status >= 400:
        return str(line.status or "cut"), "bad"
    return str(line.status or "-"), "good"
