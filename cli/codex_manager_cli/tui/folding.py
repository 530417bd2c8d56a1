"""Pages of text in less room than they were written for. Pure.

A line that is too long goes on below, indented to where its second column begins, so that a table stays a table.
"""

import re
import textwrap


__all__ = ["folded"]

SECOND_COLUMN = re.compile(r"^\s*(?:\S+(?: \S+)*)\s{2,}(?=\S)")
NO_TIME = re.compile(r"\s+-$")
"""What stands in the column of times where there is none."""


def folded(text: str, width: int) -> str:
    """The same in lines of at most `width` characters, as far as words allow."""
    lines: list[str] = []
    for line in text.splitlines():
        if len(line) <= width:
            lines.append(line)
            continue
        short = NO_TIME.sub("", line)
        found = SECOND_COLUMN.match(short)
        indent = found.end() if found and found.end() <= width // 2 else len(short) - len(short.lstrip()) + 2
        lines += textwrap.wrap(
            short, max(width, indent + 10), subsequent_indent=" " * indent, replace_whitespace=False, break_on_hyphens=False
        ) or [""]  # fmt: skip
    return "\n".join(lines)
