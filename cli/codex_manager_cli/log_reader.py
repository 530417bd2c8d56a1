"""Reads a proxy's log: its last lines, files that were put aside included, and what is added from then on.

Law: what is read is shown on a terminal, so nothing in it may move a cursor; a line that is none of the log's own (Python's last words) is
told as it is.
"""

import json
import os
import re
import time

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final


__all__ = ["Entry", "entry_of", "following", "last"]

OWN: Final = re.compile(r"(\S+Z) (debug|info|warning|error|critical) (\S+): (.*)")
BLOCK: Final = 1 << 16
LOOK_S: Final = 0.2
LONGEST: Final = 1 << 20
"""Bytes without a line end that are taken for a line, in a file that holds something else."""
MOST_ASIDE: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A line. Time, level and logger are None of one that is none of the log's own."""

    time: str | None
    level: str | None
    logger: str | None
    message: str

    def as_text(self) -> str:
        """For people."""
        text = self.message if self.time is None else f"{self.time} {self.level} {self.logger}: {self.message}"
        return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

    def as_json(self) -> str:
        """For programs."""
        return json.dumps(asdict(self))


def entry_of(line: str) -> Entry:
    """A line of either form."""
    if line.startswith("{"):
        try:
            told = json.loads(line)
            return Entry(*(str(told[name]) for name in ("time", "level", "logger", "message")))
        except (ValueError, KeyError, TypeError):
            return Entry(None, None, None, line)
    own = OWN.fullmatch(line)
    return Entry(None, None, None, line) if own is None else Entry(*own.groups())


def last(path: Path, count: int) -> list[Entry]:
    """The last so many lines, the oldest first.

    Raises:
        OSError: the file cannot be read.
    """
    lines: list[str] = []
    for number in range(MOST_ASIDE + 1):
        aside = path.with_name(f"{path.name}.{number}") if number else path
        if number and not aside.exists():
            break
        lines = _ending(aside, count - len(lines)) + lines
        if len(lines) >= count:
            break
    return [entry_of(line) for line in lines]


def following(path: Path, *, look_s: float = LOOK_S) -> Iterator[Entry]:
    """What is added from now on, for ever; the file may be put aside, removed and made anew meanwhile."""
    stream = path.open("rb")
    try:
        stream.seek(0, os.SEEK_END)
        unfinished = b""
        while True:
            data = stream.read(BLOCK)
            if data:
                *whole, unfinished = (unfinished + data).split(b"\n")
                yield from (entry_of(_text(line)) for line in whole)
                if len(unfinished) > LONGEST:
                    yield entry_of(_text(unfinished))
                    unfinished = b""
                continue
            try:
                there, here = path.stat(), os.fstat(stream.fileno())
            except FileNotFoundError:  # between being put aside and being made anew
                time.sleep(look_s)
                continue
            if (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev):
                if late := stream.read(BLOCK):  # what was written between the last look and the change
                    unfinished += late
                stream.close()
                stream = path.open("rb")
                *whole, rest = unfinished.split(b"\n")
                yield from (entry_of(_text(line)) for line in [*whole, rest] if line)
                unfinished = b""
            elif there.st_size < stream.tell():
                stream.seek(0)
            else:
                time.sleep(look_s)
    finally:
        stream.close()


def _ending(path: Path, count: int) -> list[str]:
    """The last so many lines of one file."""
    if count <= 0:
        return []
    data = b""
    with path.open("rb") as stream:
        position = stream.seek(0, os.SEEK_END)
        while position and data.count(b"\n") <= count:
            size = min(BLOCK, position)
            position -= size
            stream.seek(position)
            data = stream.read(size) + data
    return [_text(line) for line in data.split(b"\n") if line][-count:]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
