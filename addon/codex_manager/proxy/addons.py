"""What `mitmdump|mitmweb -s addon/main.py` loads: the bridge, with the runtime opened and closed along with mitmproxy.

Knows mitmproxy's life cycle. Law: fails closed. A vault that cannot be opened stops mitmproxy at its start; later,
after a reload, everything is refused until it can.
"""

import asyncio
import logging
import os

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mitmproxy import addonmanager, ctx, tls
from mitmproxy.utils import asyncio_utils

from codex_manager.accounts.desk import Desk
from codex_manager.config.address import Address, is_wildcard
from codex_manager.config.hosts import OPENAI_HOST
from codex_manager.config.paths import Paths
from codex_manager.core.errors import CodexManagerError, type_and_place
from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.inspect.commands import Commands
from codex_manager.proxy.inspect.content_views import add_views
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.inspect.running import NotServingError, Running
from codex_manager.proxy.interception import Interception
from codex_manager.proxy.runtime import Runtime


if TYPE_CHECKING:
    from codex_manager.proxy.web.hub import Hub

__all__ = ["RuntimeAddon", "addons"]

log = logging.getLogger(__name__)

ROUTED = frozenset({OPENAI_HOST})
"""While there is no configuration, what is refused."""
MOST_RECENT = 500
"""Requests that are remembered for views and commands; the ledger has all."""


CODEX_CA = (
    "Certify the hosts that are served from the vault with codex-manager's own authority, which can vouch for no other."
)


class RuntimeAddon:
    """Opens the runtime when mitmproxy loads us, starts it when the listeners are bound, closes it at the end."""

    def __init__(self, bridge: Bridge) -> None:
        self.name = "codex_manager"
        self.runtime: Runtime | None = None
        self.inside: Running | None = None
        """What views and commands ask."""
        self._interception: Interception | None = None
        self._watching: asyncio.Task[None] | None = None
        self._recent: Recent | None = None
        self._hub: Hub | None = None
        self._bridge = bridge
        self._environ: Mapping[str, str] = os.environ

    def load(self, loader: addonmanager.Loader) -> None:
        """Read configuration and vault. The engine makes the connections, so mitmproxy must not open any ahead."""
        loader.master.options.update(connection_strategy="lazy")
        loader.add_option("codex_ca", bool, False, CODEX_CA)
        add_views(self._explain)
        paths = Paths.locate(self._environ)
        try:
            self.runtime = runtime = Runtime.open(paths, self._environ, None)
        except CodexManagerError as error:
            log.error("codex-manager: %s%s", error, f" ({error.hint})" if error.hint else "")  # noqa: TRY400 - a sentence, not a traceback
            return
        self._recent = recent = Recent(MOST_RECENT, records=runtime.records)
        runtime.tell_records(recent.record)
        self.inside = Running(runtime, Desk(paths, self._environ, runtime.open_vault), recent)

    def configure(self, updated: set[str]) -> None:
        """Whoever sets the strategy back would have mitmproxy connect for streams that are ours."""
        if "connection_strategy" in updated and ctx.options.connection_strategy != "lazy":
            ctx.options.update(connection_strategy="lazy")

    def running(self) -> None:
        """The listeners are bound: serve. (Scripts are told synchronously.)"""
        if self.runtime is not None:
            asyncio_utils.create_task(self._start(self.runtime), name="codex-manager start", keep_ref=True)

    def tls_start_client(self, data: tls.TlsData) -> None:
        """With `codex_ca`, hosts of ours get a certificate of ours; mitmproxy's own authority serves all others."""
        if self._interception is not None:
            self._interception.tls_start_client(data)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Say how to make a client trust us."""
        if self._interception is not None:
            self._interception.tls_failed_client(data)

    def done(self) -> asyncio.Task[Any] | None:
        """Close; mitmproxy awaits the task when it ends, and lets it run when a script is taken out."""
        runtime, self.runtime, self._bridge.door = self.runtime, None, None
        self.inside = None
        self._interception = None
        if self._watching is not None:
            self._watching.cancel()
        if runtime is None:
            return None
        return asyncio_utils.create_task(self._close(runtime), name="codex-manager close", keep_ref=True)

    async def _close(self, runtime: Runtime) -> None:
        if self._hub is not None:
            await self._hub.close()
        await runtime.close()

    def _explain(self, request_id: str) -> str:
        if self.inside is None:
            raise NotServingError("codex-manager is not serving")
        return self.inside.explain(request_id)

    async def _start(self, runtime: Runtime) -> None:
        bound = [(address[0], address[1]) for address in ctx.master.addons.get("proxyserver").listen_addrs()]
        try:
            await runtime.start([*bound, *_page()])
            if ctx.options.codex_ca:
                interception = Interception(
                    Paths.locate(self._environ).authority_dir, lambda: runtime.intercepted_hosts
                )
                await interception.open()
                self._interception = interception
                self._watching = asyncio.create_task(interception.watch(), name="codex-manager certificates")
        except CodexManagerError as error:
            log.error("codex-manager: %s%s", error, f" ({error.hint})" if error.hint else "")  # noqa: TRY400 - as above
        except Exception as error:  # noqa: BLE001 - fail closed: without a door everything is refused
            log.error("codex-manager could not start: %s", type_and_place(error))  # noqa: TRY400 - the message may hold a secret
        else:
            self._bridge.door = runtime
            self._show_pages(runtime, bound)

    def _show_pages(self, runtime: Runtime, bound: Sequence[tuple[str, int]]) -> None:
        """In mitmweb: the dashboard, on its server."""
        application = getattr(ctx.master, "app", None)
        if application is None or self._recent is None or not bound:
            return
        from codex_manager.proxy.web.guest import serve_inside  # mitmdump has no use for it

        host, port = bound[0]
        endpoint = f"http://{Address('127.0.0.1' if is_wildcard(host) else host, port)}/v1"
        paths = Paths.locate(self._environ)
        self._hub = serve_inside(application, runtime, paths, self._environ, self._recent, endpoint)
        log.info("codex-manager: its dashboard is at /codex of this mitmweb")


def _page() -> list[tuple[str, int]]:
    """Where mitmweb serves its page: requests never lead there."""
    return [(ctx.options.web_host, ctx.options.web_port)] if hasattr(ctx.master, "app") else []


def addons() -> list[object]:
    """The addons in the order of their hooks."""
    bridge = Bridge(
        None,
        connections=lambda: ctx.master.addons.get("proxyserver").connections,
        hears=lambda _: True,
        routed=lambda: runtime.runtime.routed_hosts if runtime.runtime is not None else ROUTED,
        intercepted=lambda: runtime.runtime.intercepted_hosts if runtime.runtime is not None else ROUTED,
        forward=True,
    )
    runtime = RuntimeAddon(bridge)
    return [runtime, bridge, Commands(lambda: runtime.inside)]
