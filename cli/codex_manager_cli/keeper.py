"""Sees that a command keeps its proxy: one started for commands comes back on its port when it dies.

Law: the port stays the one the command was told. A proxy the user started is the user's to start again. Whoever of the
commands sees it first starts the new one, the others find it; one that dies again and again is let go.
"""

from collections.abc import Mapping
from pathlib import Path

from codex_manager.config import presence, storage
from codex_manager.config.errors import ConfigError
from codex_manager.core.secret import Secret
from codex_manager_cli.shared_proxy import ProxyAt, Waiting, found
from codex_manager_cli.talk import UserError, say, warn


__all__ = ["REVIVALS", "Keeper"]

REVIVALS = 5  # a proxy that dies as often under one command has a reason that another start does not change


class Keeper:
    """Mutable state: the proxy as last seen, the process if it is ours, and how often it was started again."""

    def __init__(self, data_folder: Path, environ: Mapping[str, str], proxy: ProxyAt, master_key: Secret) -> None:
        self._folder = data_folder
        self._environ = environ
        self._proxy = proxy
        self._master_key = master_key
        self._revivals = 0
        self._given_up = False

    def look(self) -> None:
        """Called about once a second while the command runs."""
        if self._given_up or self._alive():
            return
        if not self._proxy.for_commands:
            self._given_up = True
            warn("the proxy this command uses has ended; start it again with `codex-manager proxy`")
            return
        try:
            with storage.exclusive(self._folder / "proxy.start"):
                self._revive()
        except (ConfigError, UserError, OSError) as error:
            self._given_up = True
            warn(f"the proxy this command uses has ended and could not be started again: {error}")

    def _alive(self) -> bool:
        running = presence.running(self._folder)
        return running is not None and running.port == self._proxy.address.port

    def _revive(self) -> None:
        other = found(self._folder)
        if other is not None and other.address.port == self._proxy.address.port:
            self._proxy = other
            return
        self._revivals += 1
        if self._revivals > REVIVALS:
            self._given_up = True
            warn(f"the proxy this command uses has ended {REVIVALS} times and is not started again")
            return
        self._proxy = Waiting(self._folder, self._environ, port=self._proxy.address.port).serve(self._master_key)
        say("the proxy this command uses had ended and was started again")
