"""A mitmproxy master with nothing in it but what is asked for, and a table of who listens to which hook.

mitmproxy walks every addon for every hook, twice. With two addons that do not change, a look-up by the hook's name says
the same. Law: hooks reach the same methods in the same order as with mitmproxy's own manager; an exception in an addon
is logged and the next one runs, as mitmproxy does it.
"""

import inspect

from collections.abc import Callable
from typing import Any

from mitmproxy import addonmanager, flow, hooks, master, options


__all__ = ["LeanAddonManager", "LeanMaster"]


class LeanAddonManager(addonmanager.AddonManager):
    """mitmproxy's manager with a look-up table in front."""

    def __init__(self, owner: master.Master) -> None:
        super().__init__(owner)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        self._table: dict[str, tuple[Callable[..., Any], ...]] = {}

    def hears(self, name: str) -> bool:
        """Whether any addon listens to the hook of this name."""
        return bool(self.listeners(name))

    def listeners(self, name: str) -> tuple[Callable[..., Any], ...]:
        """The methods a hook of this name reaches, in the order of the addons."""
        found = self._table.get(name)
        if found is None:
            addons = addonmanager.traverse(self.chain)
            methods = (getattr(addon, name, None) for addon in addons)
            found = self._table[name] = tuple(method for method in methods if callable(method))
        return found

    def add(self, *addons: object) -> None:
        """Add addons at the end; the table is made anew."""
        super().add(*addons)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        self._table.clear()

    def remove(self, addon: object) -> None:
        """Take an addon out; the table is made anew."""
        super().remove(addon)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        self._table.clear()

    def clear(self) -> None:
        """Take all addons out."""
        super().clear()  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        self._table.clear()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Run a hook of a layer, and `update` after it if somebody wants to know."""
        await self.trigger_event(event)
        if self.hears("update") and isinstance(message := event.args()[0], flow.Flow):
            await self.trigger_event(hooks.UpdateHook([message]))

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Run a hook."""
        listeners = self.listeners(event.name)
        if not listeners:
            return
        arguments = event.args()
        for listener in listeners:
            with addonmanager.safecall():
                result = listener(*arguments)
                if result is not None and inspect.isawaitable(result):
                    await result


class LeanMaster(master.Master):
    """A master without default addons and without mitmproxy's logging machinery. Its owner runs the loop."""

    addons: LeanAddonManager

    def __init__(self, opts: options.Options) -> None:
        super().__init__(opts)
        self._legacy_log_events.uninstall()
        self.addons = LeanAddonManager(self)
