"""Keeps a process that holds keys from leaving them in a core dump or to a debugger of the same user.

Law: best effort, said aloud: returns what was done, so that `doctor` can tell. CPython cannot wipe immutable strings
and swap is out of our hands (docs/security.md).
"""

import ctypes
import sys

from typing import Final


__all__ = ["harden"]

PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def harden() -> tuple[str, ...]:
    """Turn core dumps off for this process and, on Linux, make its memory unreadable to other processes of the user."""
    done = []
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        done.append("no core dumps")
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
        done.append("not dumpable")
    return tuple(done)
