"""Lets one process at a time change the authority; the system takes the lock from a process that dies."""

import contextlib
import os
import sys
import time

from collections.abc import Iterator
from pathlib import Path

from codex_manager_certs.errors import AuthorityError


__all__ = ["exclusive"]

PATIENCE = 10.0
"""Seconds; making an authority takes some 5 ms."""


@contextlib.contextmanager
def exclusive(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of this file, which is made when it is missing and stays.

    Raises:
        AuthorityError: another process held it all the time.
        OSError: the file cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        deadline = time.monotonic() + patience
        while not _locked(handle):
            if time.monotonic() > deadline:
                raise AuthorityError(
                    f"another process has been changing the certificate authority for {patience:.0f} seconds",
                    hint=f"end it, then try again; it holds {path}",
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)  # gives the lock back


if sys.platform == "win32":
    import msvcrt

    def _locked(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
