"""Text in aligned columns, as a terminal or a fixed-width page shows it. Pure."""

import unicodedata

from collections.abc import Sequence


__all__ = ["columns", "right"]


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, each column as wide as its widest cell on a terminal."""
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell) if i < len(row) - 1 else 0)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def right(rows: Sequence[Sequence[str]], *, first: int, last: int | None = None) -> list[tuple[str, ...]]:
    """The rows with the columns from `first` up to `last` flush right."""
    flush = range(len(rows[0]))[first:last]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [tuple(cell.rjust(widths[i]) if i in flush else cell for i, cell in enumerate(row)) for row in rows]


def _width(text: str) -> int:
    """Cells on a terminal: East Asian and emoji take two, combining marks and joiners none."""
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in {"Mn", "Cf"}
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
