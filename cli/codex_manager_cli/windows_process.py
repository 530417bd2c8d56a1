"""Another process on Windows, by a handle. There is no signal that asks a process without a console to end; a file does (config.presence)."""

import ctypes

from typing import Any, Final, Self


__all__ = ["WindowsProcess"]

SYNCHRONIZE: Final = 0x0010_0000
TERMINATE: Final = 0x0001
ENDED: Final = 0
"""WAIT_OBJECT_0: the process is over."""
NO_SUCH: Final = 87
"""ERROR_INVALID_PARAMETER: there is no process of this id."""


class WindowsProcess:
    """Implements `other_process.OtherProcess`. Mutable state: the handle, until it is closed."""

    def __init__(self, system: Any, handle: int) -> None:
        """`system` is kernel32."""
        self._system = system
        self._handle = handle

    @classmethod
    def of(cls, pid: int, system: Any = None) -> Self | None:
        """The process of this id; None when there is none.

        Raises:
            PermissionError: it is somebody else's.
        """
        if system is None:
            system = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]  # Windows only
            system.OpenProcess.restype = ctypes.c_void_p
            system.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
            system.TerminateProcess.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
            system.CloseHandle.argtypes = (ctypes.c_void_p,)
        handle = system.OpenProcess(SYNCHRONIZE | TERMINATE, 0, pid)
        if not handle:
            number = ctypes.get_last_error() if hasattr(ctypes, "get_last_error") else NO_SUCH
            if number == NO_SUCH:
                return None
            raise PermissionError(number, "the process cannot be reached")
        return cls(system, handle)

    def ended(self, within_s: float) -> bool:
        """Whether it ends within this time."""
        return bool(self._system.WaitForSingleObject(self._handle, max(int(within_s * 1000), 0)) == ENDED)

    def terminate(self) -> bool:
        """There is no way to ask."""
        return False

    def kill(self) -> None:
        """End it."""
        self._system.TerminateProcess(self._handle, 1)

    def close(self) -> None:
        """Let the handle go."""
        self._system.CloseHandle(self._handle)
