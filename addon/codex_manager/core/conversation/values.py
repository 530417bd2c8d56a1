"""Taking JSON apart that may be anything: each function gives what is there, or the nothing of its kind.

Law: never raises; a text is as long as `LONGEST` at most, a list as `MOST`.
"""

import json
import math

from typing import Any, Final


__all__ = ["LONGEST", "compact", "label", "mapping", "number", "pretty", "rows", "short", "text"]

LONGEST: Final = 32 * 1024
"""Characters of one text. The longest system prompts of agents have about as many."""
MOST: Final = 4096
"""Items of a list."""
LONGEST_LABEL: Final = 120
INLINE: Final = 100
"""Characters up to which JSON stays on one line."""
LONGEST_STRING: Final = 400
"""Characters of a string in JSON that is shown for want of a better view."""
DEEP: Final = 6


def mapping(value: Any) -> dict[str, Any]:
    """An object's members."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """A list's objects."""
    return [each for each in value[:MOST] if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """A text, cut where it is too long, which it then says."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value) - LONGEST:,} more characters)"


def label(value: Any) -> str:
    """A name or an id, on one line."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return short(str(value) if isinstance(value, str) else number(value), LONGEST_LABEL)


def short(value: str, most: int) -> str:
    """On one line, cut to `most` characters."""
    line = " ".join(value[: most * 4].split())
    return line if len(line) <= most and len(value) <= most * 4 else f"{line[:most]}…"


def number(value: Any) -> str:
    """A number as the API writes it; empty for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else ""
    return str(value) if abs(value) < 10**18 else f"{float(value):g}" if abs(value) < 10**300 else ""


def compact(value: Any) -> str:
    """JSON for people: on one line if it fits, long strings cut."""
    return pretty(_shorn(value, DEEP))


def pretty(value: Any) -> str:
    """JSON on one line if it fits, indented otherwise."""
    try:
        line = json.dumps(value, ensure_ascii=False)
        return line if len(line) <= INLINE else text(json.dumps(value, ensure_ascii=False, indent=2))
    except (ValueError, TypeError, RecursionError):
        return ""


def _shorn(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_STRING else f"{value[:LONGEST_STRING]}… ({len(value):,} characters)"
    if isinstance(value, dict):
        if not levels:
            return "{…}" if value else {}
        return {short(str(name), 80): _shorn(each, levels - 1) for name, each in list(value.items())[:100]}
    if isinstance(value, list):
        if not levels:
            return "[…]" if value else []
        more = [f"… ({len(value) - 50:,} more)"] if len(value) > 50 else []
        return [_shorn(each, levels - 1) for each in value[:50]] + more
    return value
