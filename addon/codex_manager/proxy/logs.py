"""What a proxy says, and where: stderr, a file, memory; how much, and in which form.

Knows Python's logging. Law: it says at the first moment what it can say then; what the configuration wants besides is taken over once
that is read. Words go through the log, so that each place gets them in its own form; what is for a person's eyes only goes to the
terminal itself.
"""

import logging
import sys

from pathlib import Path
from typing import Final

from codex_manager.config.schema import LoggingSection
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.log_file import LogFile
from codex_manager.proxy.log_lines import FileLines, Format, JsonLines, Memory, TerminalLines


__all__ = ["Logs", "fail", "say"]

OURS: Final = "codex_manager"

log = logging.getLogger(OURS)


class LogFileError(CodexManagerError):
    """The log's file cannot be opened."""


class Logs:
    """Everything that listens to the log of this process. Mutable state: that."""

    def __init__(self, *, level: str = "info", form: Format = "text", detached: Path | None = None) -> None:
        """`detached` is the file of a proxy in the background, where stdout and stderr lead, too.

        Raises:
            LogFileError: that cannot be opened.
        """
        self.memory = Memory()
        self._file = None if detached is None else _opened(detached, with_stdio=True)
        self._terminal = logging.StreamHandler(sys.stderr) if detached is None else None
        self._handlers: list[logging.Handler] = [
            handler for handler in (self._terminal, self._file, self.memory) if handler is not None
        ]
        root = logging.getLogger()
        for handler in tuple(root.handlers):
            root.removeHandler(handler)
        self._set(level, form)
        logging.getLogger("asyncio").setLevel(logging.ERROR)

    def follow(self, section: LoggingSection) -> None:
        """Do as the configuration says.

        Raises:
            LogFileError: the file cannot be opened.
        """
        if self._file is None and section.file is not None:
            self._file = _opened(Path(section.file), with_stdio=False)
            self._handlers.append(self._file)
        if self._file is not None:
            self._file.max_bytes, self._file.backups = section.max_mib << 20, section.backups
        self._set(section.level, section.format)

    @property
    def file(self) -> Path | None:
        """Where it is written to."""
        return None if self._file is None else self._file.path

    def _set(self, level: str, form: Format) -> None:
        """Of us what is wanted, of everybody else warnings: mitmproxy's line a connection is not wanted."""
        number = logging.getLevelNamesMapping()[level.upper()]
        root = logging.getLogger()
        root.setLevel(max(number, logging.WARNING))
        log.setLevel(number)
        for handler in (self._terminal, self._file):
            if handler is not None:
                text = TerminalLines() if handler is self._terminal else FileLines()
                handler.setFormatter(JsonLines() if form == "json" else text)
        for each in self._handlers:
            root.addHandler(each)  # one that is there already stays once


def say(text: str) -> None:
    """Tell whoever started us."""
    log.info("%s", text)


def fail(error: CodexManagerError) -> None:
    """Say why we end, and what helps."""
    log.critical("%s", error, extra={"hint": error.hint})


def _opened(path: Path, *, with_stdio: bool) -> LogFile:
    try:
        return LogFile(path, with_stdio=with_stdio)
    except OSError as error:
        raise LogFileError(
            f"the log {path} cannot be written: {(error.strerror or type(error).__name__).lower()}",
            hint="make its folder and see that you may write there, or set logging.file to another place",
        ) from error
