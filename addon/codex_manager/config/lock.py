"""Locks that end with the process that holds them, however it ends: what tells a living process from a file it left.

Knows files and the system's locks on them. Law: a process id is used again by the system, a lock is not, so whether
somebody is alive is always asked of the lock. The lock file stays; only the lock comes and goes.
"""

import os
import sys

from pathlib import Path


__all__ = ["Lock", "is_held", "take"]


class Lock:
    """Held until `release`, or until the process ends. Not inherited by the programs it starts."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have it; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def take(path: Path) -> Lock | None:
    """The lock on this file, which is made (0600) if need be; None when another process holds it.

    Raises:
        OSError: the file cannot be made or opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    if _lock(descriptor):
        return Lock(descriptor)
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock on this file now; looking never makes one fail to take it for long.

    Raises:
        OSError: there is a file, but it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    _PLACE = 1 << 30  # locked bytes cannot be read by others there, so the byte locked is far behind any content

    def _lock(descriptor: int, *, shared: bool = False) -> bool:  # noqa: ARG001 - there are no shared ones
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
