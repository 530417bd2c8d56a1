"""Locks on files, which end with the process that holds them, however it ends.

Two uses: one lock beside the ledger, held for the short time of each batch, so that only one connection on this machine ever
writes or checkpoints (SQLite 3.7.0 to 3.51.2 can damage a WAL file when two do so at the same instant); and one for each
session's life, by which others tell a living process from one that was killed. Law: nobody waits without an end.
"""

import os
import sys
import time

from pathlib import Path
from typing import Final


__all__ = ["Lock", "take"]

STEP_S: Final = 0.005  # a batch takes some milliseconds


class Lock:
    """Held until `release`, or until the process ends. Not inherited by the programs it starts."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have it; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def take(path: Path, patience_s: float = 0.0) -> Lock | None:
    """The lock on this file, which is made (0600) if need be; None when another kept it for all that time.

    Raises:
        OSError: the file cannot be made or opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    deadline = time.monotonic() + patience_s
    try:
        while not _lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(STEP_S)
    except OSError:
        os.close(descriptor)
        raise
    return Lock(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
