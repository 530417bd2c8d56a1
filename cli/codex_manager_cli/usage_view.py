"""How usage looks: tables for people, CSV and plain data for programs.

Pure: lines in, text or JSON-ready values out. Money is rounded where it is shown and nowhere else; in CSV and JSON it is
exact to the billionth of a dollar.
"""

import csv
import io

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.telling.amounts import exact, number, percent, usd, whole
from codex_manager.core.telling.columns import columns, right


__all__ = ["Line", "as_csv", "as_data", "as_table"]

FIELDS: Final = (
    "requests",
    "errors",
    "input",
    "cached",
    "cache_write",
    "output",
    "reasoning",
    "usd",
    "estimated_usd",
    "unpriced",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one account, model, client, endpoint or stretch of time used. Tokens; US dollars."""

    name: str
    key: str | None = None
    """Beside the name, for programs: an account's id, the start of a stretch in ISO 8601."""
    requests: int = 0
    errors: int = 0
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    usd: Decimal = Decimal(0)
    estimated_usd: Decimal = Decimal(0)
    """Of `usd`, what rests on estimates."""
    unpriced: int = 0
    """Requests of models without a known price."""

    @property
    def estimated(self) -> float:
        """Share of the money that is an estimate, 0 to 1."""
        return float(self.estimated_usd / self.usd) if self.usd > 0 else 0.0

    @classmethod
    def total(cls, lines: Sequence["Line"]) -> "Line":
        """The sum."""
        nothing = cls(name="total")
        sums = {field: sum((getattr(line, field) for line in lines), getattr(nothing, field)) for field in FIELDS}
        return replace(nothing, **sums)


def as_table(lines: Sequence[Line], heading: str) -> str:
    """A line each, and their sum where there are several."""
    shown = [*lines, Line.total(lines)] if len(lines) > 1 else list(lines)
    rows = [(heading.upper(), "REQUESTS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "REASONING", "USD", "ESTIMATED")]
    rows += [
        (
            line.name,
            whole(line.requests),
            whole(line.errors),
            whole(line.input),
            whole(line.cached),
            whole(line.output),
            whole(line.reasoning),
            usd(line.usd),
            percent(line.estimated) if line.estimated_usd else "-",
        )
        for line in shown
    ]
    return columns(right(rows, first=1))


def as_data(line: Line) -> dict[str, Any]:
    """For `--json`; names and order stay from release to release."""
    return {
        "name": line.name,
        "key": line.key,
        "requests": line.requests,
        "errors": line.errors,
        "input_tokens": line.input,
        "cached_tokens": line.cached,
        "cache_write_tokens": line.cache_write,
        "output_tokens": line.output,
        "reasoning_tokens": line.reasoning,
        "usd": number(line.usd),
        "estimated_usd": number(line.estimated_usd),
        "unpriced_requests": line.unpriced,
    }


def as_csv(lines: Sequence[Line], heading: str) -> str:
    """RFC 4180 but for the line ends, which are this system's; a name that a spreadsheet would take for a formula is quoted with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([heading, *list(as_data(Line(name="")))[1:]])
    for line in lines:
        values = as_data(line) | {"usd": exact(line.usd), "estimated_usd": exact(line.estimated_usd)}
        values["name"] = f"'{line.name}" if line.name[:1] in {"=", "+", "-", "@", "\t", "\r"} else line.name
        writer.writerow(["" if value is None else value for value in values.values()])
    return out.getvalue()
