"""Notices that something on disk changed: asks a cheap question twice a second and calls when the answer differs.

Polling and not inotify: it works on every system and file system, sees what other containers write, and costs two
system calls. Knows nothing of what is watched.
Law: the watch outlives every failure of what it watches and of what it calls; a change is missed by no more than one
interval, and is not lost while the call for the one before runs.
"""

import asyncio
import logging

from collections.abc import Awaitable, Callable
from pathlib import Path

from codex_manager.core.errors import CodexManagerError, type_and_place


__all__ = ["INTERVAL_S", "file_stamp", "watch"]

log = logging.getLogger(__name__)

INTERVAL_S = 0.5  # a change is to be in force within 2 s; deriving a key takes 0.3 s of that


def file_stamp(path: Path) -> tuple[int, int, int, int] | None:
    """Differs after the file was written, replaced or removed. Size and inode tell what a coarse clock does not."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_dev, found.st_ino


async def watch(
    look: Callable[[], object], changed: Callable[[], Awaitable[bool]], *, seen: object, interval_s: float = INTERVAL_S
) -> None:
    """Until cancelled: await `changed()` whenever `look()` (run in a thread) differs from what was `seen`.

    `changed` returns False to be called again at the next tick.
    """
    while True:
        await asyncio.sleep(interval_s)
        try:
            now = await asyncio.to_thread(_answer, look)
            if now != seen and await changed():
                seen = now
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("watching goes on after an unexpected error: %s", type_and_place(error))  # noqa: TRY400 - a traceback may quote a header


def _answer(look: Callable[[], object]) -> object:
    """What is seen; that it cannot be seen, and why, is an answer too."""
    try:
        return look()
    except CodexManagerError as error:
        return type(error), str(error)
