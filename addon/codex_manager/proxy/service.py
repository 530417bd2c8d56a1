"""`python -m codex_manager.proxy.service`: the proxy as a service manager starts it.

Knows how managers are told that it serves (systemd's notification socket), and what those lack: the task scheduler of Windows cannot
start anything again within less than a minute, so there a first process keeps a second one running (`--keep`). Law: adds nothing to what
the proxy does; its exit status is the proxy's.
"""

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import time

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from codex_manager.proxy.lean_addons import leave_out_mitmproxys_own


__all__ = ["keep", "run", "told"]

KEEP: Final = "--keep"
NOTIFY: Final = "NOTIFY_SOCKET"  # sd_notify(3)
TELL_S: Final = 5.0
PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
WELL_S: Final = 30.0
"""Who served as long as this gets a new start at once."""
NO_WINDOW: Final = 0x0800_0000  # CREATE_NO_WINDOW


def run(arguments: Sequence[str]) -> int:
    """Serve, or with `--keep` see that somebody does; the exit status."""
    if KEEP in arguments:
        rest = [argument for argument in arguments if argument != KEEP]
        return keep([_python(), "-P", "-m", "codex_manager.proxy", "--service", *rest])
    gc.disable()  # as in __main__
    leave_out_mitmproxys_own()
    from codex_manager.proxy.launcher import main

    with told(os.environ.pop(NOTIFY, "")) as ready:
        return main(["--service", *ready, *arguments])


@contextlib.contextmanager
def told(address: str) -> Iterator[list[str]]:
    """Arguments with which the proxy says that it serves, and somebody who passes it on to the manager at `address`."""
    if not address or sys.platform == "win32":
        yield []
        return
    reader, writer = os.pipe()  # the proxy closes the writer once it has said it
    thread = threading.Thread(target=_pass_on, args=(reader, address), name="tell the service manager", daemon=True)
    thread.start()
    yield ["--ready-fd", str(writer)]


def _pass_on(reader: int, address: str) -> None:
    with os.fdopen(reader, "rb") as stream:
        port = stream.readline().decode("ascii", "replace").strip()
    if not port:  # it ended before it served
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(TELL_S)
        manager.connect("\0" + address[1:] if address.startswith("@") else address)
        manager.send(f"READY=1\nSTATUS=serving at port {port}\n".encode())


def keep(
    command: Sequence[str],
    *,
    call: Callable[[Sequence[str]], int] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    starts: int = sys.maxsize,
) -> int:
    """Run the command, and again whenever it ends; sooner after it served than when it keeps failing. `starts` bounds it."""
    pause, status = PAUSE_S, 0
    for _ in range(starts):
        began = clock()
        status = (call or _call)(command)
        pause = PAUSE_S if status == 0 or clock() - began >= WELL_S else min(pause * 2, LONGEST_PAUSE_S)
        sleep(pause)
    return status


def _call(command: Sequence[str]) -> int:
    return subprocess.call(  # noqa: S603 - our own interpreter and module
        list(command), stdin=subprocess.DEVNULL, creationflags=NO_WINDOW if sys.platform == "win32" else 0
    )


def _python() -> str:
    """The interpreter with a console: without one, Python has no stderr, and many a library expects that."""
    python = Path(sys.executable)
    return str(python.with_name("python.exe")) if python.name.lower() == "pythonw.exe" else sys.executable


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
