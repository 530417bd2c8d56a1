"""Keeps a process that holds keys from leaving them in a core dump or to a debugger of the same user.

Law: best effort, said aloud: returns what was done, so that `doctor` can tell. CPython cannot wipe immutable strings
and swap is out of our hands (docs/security.md).
"""

import ctypes
import sys

from typing import Final


__all__ = ["harden"]

PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def harden(*, starts_programs: bool = False) -> tuple[str, ...]:
    """Turn core dumps off for this process and, on Linux, make its memory unreadable to other processes of the user.

    The limit on core dumps is inherited by programs that are started (`run`, an editor), where it is none of our
    business: with `starts_programs` it is left alone, and Linux's own switch, which ends with exec, has to do.
    """
    done = []
    if sys.platform != "win32" and not starts_programs:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        done.append("no core dumps")
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
        done.append("not dumpable")
    return tuple(done)
