"""The log in a file: the owner's alone, put aside when it has grown, and taken up anew when somebody else put it aside.

Law: never raises and never waits for anything but the disk; a file that cannot be written loses lines, and nothing else. Where the
process's own stdout and stderr lead into the file, they follow it.
"""

import contextlib
import logging
import os
import sys

from pathlib import Path


__all__ = ["LogFile"]

STDIO = (1, 2)


class LogFile(logging.Handler):
    """Mutable state: the open file."""

    def __init__(self, path: Path, *, max_bytes: int = 10 << 20, backups: int = 3, with_stdio: bool = False) -> None:
        """`with_stdio`: stdout and stderr lead there, too, so that what Python itself says is not lost.

        Raises:
            OSError: it cannot be opened.
        """
        super().__init__()
        self.path = path
        self.max_bytes = max_bytes
        self.backups = backups
        self._with_stdio = with_stdio
        self._file = -1
        self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """One line more."""
        with contextlib.suppress(OSError):  # a full disk; the proxy goes on
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            if self._is_elsewhere():
                self._open()
            elif os.fstat(self._file).st_size + len(line) > self.max_bytes:
                self._put_aside()
            os.write(self._file, line)

    def close(self) -> None:
        """Let it go. stdout and stderr, where they lead there, stay."""
        self.acquire()
        try:
            file, self._file = self._file, -1
            if file >= 0:
                os.close(file)
        finally:
            self.release()
            super().close()

    def _is_elsewhere(self) -> bool:
        """Somebody has moved or removed the file, as logrotate does."""
        try:
            there, here = os.stat(self.path), os.fstat(self._file)  # noqa: PTH116 - a Path's takes twice as long
        except FileNotFoundError:
            return True
        return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(self.path, flags, 0o600)
        self._lead_stdio(file)
        self._file, before = file, self._file
        if before >= 0:
            os.close(before)

    def _put_aside(self) -> None:
        """`proxy.log` becomes `proxy.log.1`, that `proxy.log.2`, and the oldest goes."""
        if sys.platform == "win32":  # there an open file cannot be renamed
            nothing = os.open(os.devnull, os.O_WRONLY)
            self._lead_stdio(nothing)
            os.close(self._file)
            self._file = nothing
        try:
            if self.backups == 0:
                self.path.unlink()
            for number in range(self.backups, 0, -1):
                older = self._backup(number - 1)
                if older.exists():
                    older.replace(self._backup(number))
        finally:
            self._open()

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _lead_stdio(self, file: int) -> None:
        if self._with_stdio:
            for standard in STDIO:
                os.dup2(file, standard)
