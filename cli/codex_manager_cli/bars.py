"""Bars for the terminal: a name, a bar as long as its amount, the amount.

Pure. Eighths of a character cell make a bar of forty cells as fine as 320 steps; where the output cannot carry block
characters (`plain`) it is drawn with `#`. Law: an amount above nothing is never drawn as nothing.
"""

from collections.abc import Sequence

from codex_manager.core.telling.columns import columns


__all__ = ["bars", "can_draw"]

CELLS = 40
EIGHTHS = "▏▎▍▌▋▊▉█"


def bars(rows: Sequence[tuple[str, float, str]], *, cells: int = CELLS, plain: bool = False) -> str:
    """Rows of name, amount (0 or more) and the amount as text; empty when there is nothing to draw."""
    highest = max((amount for _, amount, _ in rows), default=0.0)
    if highest <= 0:
        return ""
    return "\n".join(
        line.rstrip()
        for line in columns(
            [
                (name, shown if amount > 0 else "", _bar(amount / highest, cells, plain=plain))
                for name, amount, shown in rows
            ]
        ).splitlines()
    )


def can_draw(encoding: str | None) -> bool:
    """Whether an output of this encoding can carry block characters."""
    try:
        EIGHTHS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _bar(share: float, cells: int, *, plain: bool) -> str:
    if share <= 0:
        return ""
    if plain:
        return "#" * max(1, round(share * cells))
    whole, eighths = divmod(max(1, round(share * cells * 8)), 8)
    return "█" * whole + (EIGHTHS[eighths - 1] if eighths else "")
