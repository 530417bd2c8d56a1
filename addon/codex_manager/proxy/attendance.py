"""Lets commands find this process, and ends it with the last of them when it was started for them.

Knows the announcement and the commands under way (config.presence, config.tenancy); knows no requests. Law: the
announcement is withdrawn before the process stops serving, and then the commands are looked at once more, so none that
found it is left without a proxy. A folder that cannot be written keeps nobody from serving.
"""

import asyncio
import logging

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from codex_manager.config import presence, tenancy
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret


__all__ = ["LOOK_S", "TURN_S", "Attendance", "now"]

log = logging.getLogger(__name__)

LOOK_S = 0.3  # how soon after its last command the proxy ends; a look costs some 50 µs for each command
TURN_S = 2.0  # how soon after the proxy that is announced another one of the home takes its place; a look costs 60 µs


def now() -> str:
    """The time of starting, as it is announced."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Attendance:
    """Mutable state: the announcement, while there is one."""

    def __init__(self, folder: Path, proxy: presence.RunningProxy, control: Secret | None = None) -> None:
        self._folder = folder
        self._proxy = proxy
        self._control = control
        self._presence: presence.Presence | None = None

    async def begin(self) -> None:
        """Be found, unless another proxy of this home already is."""
        try:
            self._presence = await asyncio.to_thread(self._announce)
        except (OSError, CodexManagerError) as error:
            log.warning("`codex-manager run` will not find this proxy: %s", error)

    def end(self) -> None:
        """Be found no more; safe to call twice."""
        found, self._presence = self._presence, None
        if found is not None:
            found.withdraw()

    async def take_turn(self) -> None:
        """Be found once the proxy that is announced has ended."""
        while True:
            await asyncio.sleep(TURN_S)
            if self._presence is None and await asyncio.to_thread(presence.running, self._folder) is None:
                await self.begin()

    async def until_unused(self, ended: Callable[[], None]) -> None:
        """Call `ended` once no command uses this proxy any more."""
        while True:
            if not await self._used():
                self.end()
                if not await self._used():
                    break
                await self.begin()  # one came between the look and the withdrawal
            await asyncio.sleep(LOOK_S)
        log.info("no command uses this proxy any more")
        ended()

    async def _used(self) -> bool:
        try:
            return await asyncio.to_thread(tenancy.any_living, self._folder)
        except (OSError, CodexManagerError) as error:
            log.debug("the commands under way cannot be looked at: %s", error)
            return True

    def _announce(self) -> presence.Presence | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return presence.announce(self._folder, self._proxy, self._control)
