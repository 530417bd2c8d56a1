"""Another process of ours, by its id: whether it lives, ending it, killing it.

Law: an id is used again by the system, so where the system has handles (Linux, Windows) one is taken first and everything is done through
it; who it is must be found out after that, and then stays true. Nothing here waits but `ended`, and that no longer than it is told to.
"""

import contextlib
import os
import select
import signal
import sys
import time

from collections.abc import Iterator
from typing import Protocol


__all__ = ["OtherProcess", "grasped"]

STEP_S = 0.05


class OtherProcess(Protocol):
    """What can be done with it."""

    def ended(self, within_s: float) -> bool:
        """Whether it ends within this time."""
        ...

    def terminate(self) -> bool:
        """Ask it to end; False where the system has no way to ask."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


@contextlib.contextmanager
def grasped(pid: int) -> Iterator[OtherProcess | None]:
    """The process of this id; None when there is none.

    Raises:
        PermissionError: it is somebody else's.
    """
    if sys.platform == "win32":
        from codex_manager_cli.windows_process import WindowsProcess

        found = WindowsProcess.of(pid)
        try:
            yield found
        finally:
            if found is not None:
                found.close()
        return
    descriptor = -1
    try:
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(pid)
        else:
            os.kill(pid, 0)
    except ProcessLookupError:
        yield None
        return
    except OSError:  # a kernel before 5.3, or a sandbox that forbids it
        os.kill(pid, 0)
    try:
        yield _ByHandle(descriptor) if descriptor >= 0 else _ById(pid)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


class _ByHandle:
    """Linux."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ended(self, within_s: float) -> bool:
        return bool(select.select([self._descriptor], [], [], max(within_s, 0.0))[0])

    def terminate(self) -> bool:
        self._send(signal.SIGTERM)
        return True

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)


class _ById:
    """macOS, BSD, old kernels."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def ended(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while True:
            try:
                os.kill(self._pid, 0)
            except ProcessLookupError:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(STEP_S)

    def terminate(self) -> bool:
        self._send(signal.SIGTERM)
        return True

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)
