"""The real proxy as a child process of the demo: started on a free port, stopped whatever happens."""

import contextlib
import re
import subprocess
import sys
import threading

from collections.abc import Iterator, Mapping
from typing import IO

from codex_manager_cli import talk


__all__ = ["proxy_process"]

LISTENING = re.compile(r"listening on (http://\S+)")
START_S = 15.0  # a cold start on a slow disk; half a second is usual
STOP_S = 12.0  # the proxy drains for up to 10 s


@contextlib.contextmanager
def proxy_process(environ: Mapping[str, str]) -> Iterator[str]:
    """Start `python -m codex_manager.proxy` and yield its URL.

    Raises:
        UserError: it did not start; the error carries what it said.
    """
    command = [sys.executable, "-m", "codex_manager.proxy", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, env=dict(environ), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        listener = _Listener(process.stderr)
        try:
            yield listener.url()
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
            listener.join(5)


class _Listener(threading.Thread):
    """Reads what the proxy says, so that its pipe never fills, and finds its address."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(name="demo-proxy-stderr", daemon=True)
        self._stream = stream
        self._said: list[str] = []
        self._url: str | None = None
        self._settled = threading.Event()
        self.start()

    def run(self) -> None:
        for line in self._stream:
            self._said.append(line.strip())
            if self._url is None and (found := LISTENING.search(line)):
                self._url = found[1]
                self._settled.set()
        self._settled.set()

    def url(self) -> str:
        """Wait for the address."""
        self._settled.wait(START_S)
        if self._url is None:
            said = " / ".join(self._said[-3:]) or "it said nothing"
            talk.fail(f"the demo's proxy did not start: {said}")
        return self._url
