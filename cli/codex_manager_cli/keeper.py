"""Sees that a command keeps its proxy: one started for commands comes back on its port when it dies.

Law: the port stays the one the command was told. A proxy the user started is the user's to start again. Whoever of the
commands sees it first starts the new one, the others find it; one that dies again and again is let go.
"""

import time

from collections.abc import Callable, Mapping
from pathlib import Path

from codex_manager.config import presence, storage
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager_cli.shared_proxy import START_S, ProxyAt, Waiting, found
from codex_manager_cli.talk import say, warn


__all__ = ["REVIVALS", "Keeper"]

REVIVALS = 5  # a proxy that dies as often under one command has a reason that another start does not change


class Keeper:
    """Mutable state: the proxy as last seen, its process if it is ours, and how often it was started again."""

    def __init__(
        self,
        data_folder: Path,
        environ: Mapping[str, str],
        proxy: ProxyAt,
        master_key: Secret,
        *,
        starting: Waiting | None = None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """`starting` is the proxy while it does not serve yet; `started` is called once it does, or never will."""
        self._folder = data_folder
        self._environ = environ
        self._proxy = proxy
        self._master_key = master_key
        self._revivals = 0
        self._given_up = False
        self._own = self._starting = starting
        self._started = started

    def look(self) -> None:
        """Called several times a second while the command runs."""
        if self._given_up:
            return
        try:
            self._look()
        except (CodexManagerError, OSError) as error:
            self._give_up(f"the proxy this command uses has ended and could not be started again: {error}")

    def _look(self) -> None:
        if self._starting is not None:
            if not self._starting.was_killed():
                if self._starting.serves():
                    self._starting = None
                    self._started()
                return
            self._starting = None  # killed before we saw it serve: started again like one that was killed later
            self._started()
        if self._alive():
            return
        if not self._proxy.for_commands:
            self._give_up("the proxy this command uses has ended; start it again with `codex-manager proxy`")
            return
        with storage.exclusive(self._folder / "proxy.start"):
            self._revive()

    def _give_up(self, sentence: str) -> None:
        self._given_up = True
        self._starting = None
        self._started()
        warn(sentence)

    def _alive(self) -> bool:
        if self._own is not None and self._own.alive():  # not announced if one of another version is
            return True
        running = presence.running(self._folder)
        return running is not None and running.port == self._proxy.address.port

    def _revive(self) -> None:
        other = found(self._folder)
        if other is not None and other.address.port == self._proxy.address.port:
            self._proxy = other
            return
        self._revivals += 1
        if self._revivals > REVIVALS:
            self._give_up(f"the proxy this command uses has ended {REVIVALS} times and is not started again")
            return
        waiting = self._own = Waiting(self._folder, self._environ, port=self._proxy.address.port)
        self._proxy = waiting.serve(self._master_key)
        deadline = time.monotonic() + START_S
        while not waiting.serves() and time.monotonic() < deadline:
            time.sleep(0.02)
        say("the proxy this command uses had ended and was started again")
