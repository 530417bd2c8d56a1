"""Columns as high as their amounts, in eighths of a cell, with what they stand for below and how much is how high beside. Pure.

Law: what is above nothing is never drawn as nothing; labels that would touch are left out, never cut.
"""

from collections.abc import Callable, Sequence
from typing import Final

from rich.text import Text


__all__ = ["columns_chart"]

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
WIDEST: Final = 9
"""Cells of a column: wider ones are no clearer."""


def columns_chart(
    bars: Sequence[tuple[str, float]],
    width: int,
    height: int,
    write: Callable[[float], str],
    *,
    color: str = "",
    lit: bool = False,
    lit_color: str = "",
) -> Text:
    """`bars` are a label and an amount; `height` with the line of labels; `lit`: the last one is in `lit_color`."""
    highest = max((amount for _, amount in bars), default=0.0)
    scale = [write(highest), write(highest / 2), write(0.0)]
    margin = max(len(text) for text in scale) + 1
    room, rows = max(1, width - margin), max(1, height - 1)
    bars = bars[-room:]
    each = max(1, min(WIDEST, room // max(1, len(bars))))
    gap = 1 if each > 1 else 0
    marks = {0: scale[0], rows // 2: scale[1] if rows > 3 else "", rows - 1: scale[2]}
    chart = Text()
    for row in range(rows):
        chart.append(f"{marks.get(row, ''):>{margin - 1}} ", "dim")
        floor = (rows - 1 - row) * 8
        for number, (_, amount) in enumerate(bars):
            filled = _filled(amount, highest, rows) - floor
            cell = EIGHTHS[max(0, min(8, filled))]
            chart.append(cell * (each - gap), lit_color if lit and number == len(bars) - 1 else color)
            chart.append(" " * gap)
        chart.append("\n")
    chart.append(" " * margin)
    chart.append(_labels([label for label, _ in bars], each), "dim")
    return chart


def _filled(amount: float, highest: float, rows: int) -> int:
    """Eighths of a cell."""
    if amount <= 0 or highest <= 0:
        return 0
    return max(1, round(amount / highest * rows * 8))


def _labels(labels: Sequence[str], each: int) -> str:
    line, free = [" "] * (len(labels) * each), 0
    for number, label in enumerate(labels):
        at = number * each
        if at >= free and at + len(label) <= len(line):
            line[at : at + len(label)] = label
            free = at + len(label) + 1
    return "".join(line).rstrip()
