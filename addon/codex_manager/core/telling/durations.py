"""How long something takes or lasts, in words. Pure."""

__all__ = ["seconds", "span"]


def span(seconds: float) -> str:
    """A time to wait, as two units at most: 3 d 4 h, 5 h 12 m, 40 s."""
    left = max(0, round(seconds))
    for unit, size, lower, smaller in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60)):
        if left >= size:
            rest = left % size // smaller
            return f"{left // size} {unit}" + (f" {rest} {lower}" if rest else "")
    return f"{left // 60} m" if left >= 60 else f"{left} s"


def seconds(duration: float) -> str:
    """A duration that may be short: 12 ms, 0.84 s, 12.3 s, 4 m."""
    if duration < 0.0995:
        return f"{duration * 1000:.0f} ms"
    if duration < 9.995:
        return f"{duration:.2f} s"
    return f"{duration:.1f} s" if duration < 99.95 else span(duration)
