"""What is new since the last question: requests and lines of the log, from the running proxy's pages, or else from what is on disk.

Law: a proxy of an older version, or none at all, is no error; what a page cannot tell comes from the ledger, a fifth of a second
behind. Bounded, however much there is.
"""

import os
import threading

from collections.abc import Iterable, Mapping
from typing import Any, Final

from codex_manager.config.paths import Paths
from codex_manager.core.errors import CodexManagerError
from codex_manager.ledger import LedgerError, LedgerMissingError, Reader
from codex_manager_cli import background, control, log_reader
from codex_manager_cli.tui.lines import log_line_of_data, moment, request_of, request_of_data, running_of_data
from codex_manager_cli.tui.source import LogLine, LogLines, RequestLine, Traffic
from codex_manager_cli.tui.words import plain


__all__ = ["LATEST", "PATIENCE_S", "Feed"]

LATEST: Final = 200
"""Requests of the ledger told at once."""
NEW: Final = 100
"""Requests that have just ended told at once: more than anybody reads between two looks, and each costs the proxy something."""
MOST_RUNNING: Final = 100
PATIENCE_S: Final = 2.0
OVERLAP_S: Final = 900.0
"""A request is recorded when it ends, under the time at which it came: longer ones are seen by the proxy's own pages only."""


class Feed:
    """Mutable state: where the last questions ended."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._requests, self._lines = (control.Line(paths.data_dir, patience_s=PATIENCE_S) for _ in range(2))
        self._request_turn, self._line_turn = threading.Lock(), threading.Lock()
        self._since = 0.0
        self._asked = False
        self._request = self._line = 0
        self._file: tuple[int, int] | None = None

    def traffic(self) -> Traffic:
        """Requests that are over since the last question, and those on their way now."""
        with self._request_turn:
            told = _page(self._requests, f"requests?after={self._request}&limit={NEW}")
            if told is None:
                return Traffic(self._recorded())
            found: tuple[RequestLine, ...] = tuple(_each(request_of_data, told, "requests"))
            anew = not self._asked or _number(told) < self._request
            missed = 0 if anew else max(0, int(told.get("missed") or 0))
            self._asked, self._request = True, _number(told)
            if anew:
                found = (*self._recorded(), *found)  # the proxy tells only what ended since somebody asks
            running = _page(self._requests, f"running?limit={MOST_RUNNING}") or {}
            return Traffic(
                found,
                tuple(_each(running_of_data, running, "requests")),
                missed,
                int(running.get("count") or 0),
                told.get("recorded") is not False,
            )

    def close(self) -> None:
        """Hang up; safe to call twice."""
        self._requests.close()
        self._lines.close()

    def log(self) -> LogLines:
        """Lines of the log since the last question; of a proxy that has ended, those of its file."""
        with self._line_turn:
            told = _page(self._lines, f"log?after={self._line}&limit=500")
            if told is None:
                return self._log_file()
            fresh = self._file is not None or _number(told) < self._line
            self._line, self._file = _number(told), None
            return LogLines(tuple(_each(log_line_of_data, told, "lines")), "the running proxy", fresh)

    def _log_file(self) -> LogLines:
        try:
            path = background.log_file(self._paths, os.environ)
            there = path.stat()
            origin, now = f"{path}", (there.st_ino, there.st_size)
            if now == self._file:
                return LogLines(origin=origin)
            entries = log_reader.last(path, 500)
        except (CodexManagerError, OSError):  # there is none, or nobody knows where
            return LogLines()
        self._file, self._line = now, 0
        return LogLines(
            tuple(
                LogLine(
                    number,
                    moment(each.time) or 0.0,
                    each.level or "",
                    plain(each.logger or "", 80),
                    plain(each.message, 2000),
                )
                for number, each in enumerate(entries, 1)
            ),
            origin,
            fresh=True,
        )

    def _recorded(self) -> tuple[RequestLine, ...]:
        try:
            with Reader.open(self._paths.ledger_file) as reader:
                found = reader.requests(since=self._since or None, limit=LATEST)
        except LedgerMissingError:
            return ()
        except LedgerError:
            if not self._since:
                raise
            return ()
        lines = tuple(request_of(each) for each in found if "attempt_of" not in each.detail)
        if lines:
            self._since = max(line.time for line in lines) - OVERLAP_S
        return lines


def _page(line: control.Line, page: str) -> Mapping[str, Any] | None:
    """What the proxy says; None when there is none, or none that has this page."""
    try:
        told = line.ask(page)
    except CodexManagerError:  # how it does is told by the snapshot
        return None
    return None if told is None else told.document


def _each[T](make: Any, told: Mapping[str, Any], name: str) -> Iterable[T]:
    rows = told.get(name)
    return (
        line
        for each in (rows if isinstance(rows, list) else ())
        if isinstance(each, Mapping) and (line := make(each)) is not None
    )


def _number(told: Mapping[str, Any]) -> int:
    number = told.get("number")
    return number if isinstance(number, int) else 0
