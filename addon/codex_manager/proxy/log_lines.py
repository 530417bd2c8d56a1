"""How a line of the log is written: for a terminal, for a file, for programs; and the last ones in memory.

Law: a line is one line, whatever is in it, and what looks like an API key is not in one that is kept.
"""

import json
import logging

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from codex_manager.core.errors import type_and_place
from codex_manager.core.secret import mask_keys
from codex_manager.proxy.control import Question
from codex_manager.proxy.numbered import Numbered


__all__ = ["FORMATS", "MEMORY", "FileLines", "Format", "JsonLines", "Memory", "TerminalLines"]

type Format = Literal["text", "json"]
FORMATS: Final[tuple[Format, ...]] = ("text", "json")
MEMORY: Final = 500
"""Lines that are remembered; some 100 KB."""


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    """The same without anything that moves a cursor or begins a line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _message(record: logging.LogRecord) -> str:
    """What is said, and the place of an exception, but not its words: they may quote a secret."""
    error = record.exc_info[1] if record.exc_info else None
    message = record.getMessage()
    return message if error is None else f"{message} ({type_and_place(error)})"


@dataclass(frozen=True, slots=True)
class _Line:
    created: float
    level: str
    logger: str
    message: str

    def told(self) -> dict[str, Any]:
        return {"time": _moment(self.created), "level": self.level, "logger": self.logger, "message": self.message}


def _line(record: logging.LogRecord) -> _Line:
    message, hint = _message(record), getattr(record, "hint", None)
    words = mask_keys(f"{message}; {hint}" if hint else message)
    return _Line(record.created, record.levelname.lower(), record.name, words)


class TerminalLines(logging.Formatter):
    """As every command talks: `codex-manager: …` without a time, because somebody is there. What is critical is why we end."""

    def format(self, record: logging.LogRecord) -> str:
        message, hint = _one_line(_message(record)), getattr(record, "hint", None)
        if record.levelno < logging.CRITICAL:
            return f"codex-manager: {message}"
        return f"codex-manager: error: {message}" + (f"\ncodex-manager: hint: {hint}" if hint else "")


class FileLines(logging.Formatter):
    """`2026-11-21T10:00:00.000Z warning codex_manager.proxy.runtime: …`."""

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        return f"{_moment(line.created)} {line.level} {line.logger}: {_one_line(line.message)}"


class JsonLines(logging.Formatter):
    """An object a line: time, level, logger, message. In ASCII, because there are line ends beyond."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_line(record).told())


class Memory(logging.Handler):
    """Keeps the last lines, for the page `log`. Mutable state: those."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: Numbered[_Line] = Numbered(MEMORY)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it as words: what they were made of may be large, and may change."""
        self._lines.add(_line(record))

    def page(self, question: Question) -> dict[str, Any]:
        """The lines that came after the one of this number."""
        self.acquire()
        try:
            found = self._lines.after(question.after, question.limit)
        finally:
            self.release()
        return {
            "number": found.last,
            "missed": found.missed,
            "lines": [{"number": number, **line.told()} for number, line in found],
        }
