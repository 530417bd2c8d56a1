"""The page of a running proxy: mitmweb and the dashboard put together, from binding its address to closing.

Knows every part of this package and the launcher's order of things. Law: the page serves only while the proxy does; its token is
handed out on a terminal and in a file of the owner's, never in an argument of a program or a line of a log.
"""

import asyncio
import contextlib
import html
import logging
import sys

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mitmproxy.tools.web import webaddons

from codex_manager.accounts.desk import Desk
from codex_manager.config import storage
from codex_manager.config.address import Address, parse_address
from codex_manager.config.paths import Paths
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.inspect.commands import Commands
from codex_manager.proxy.inspect.content_views import add_views
from codex_manager.proxy.inspect.flow_view import FlowView
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.inspect.replay import Replay
from codex_manager.proxy.inspect.ring import Ring
from codex_manager.proxy.inspect.running import Running
from codex_manager.proxy.inspect.sockets import Sockets
from codex_manager.proxy.listener import Listener
from codex_manager.proxy.runtime import Runtime
from codex_manager.proxy.web.hub import Hub
from codex_manager.proxy.web.master import InspectionMaster
from codex_manager.proxy.web.powers import PageOptions
from codex_manager.proxy.web.routes import mitmweb_routes, routes
from codex_manager.proxy.web.server import WebServer
from codex_manager.proxy.web.surroundings import Surroundings


__all__ = ["DOOR", "Face"]

log = logging.getLogger(__name__)

COLUMNS: Final = ["icon", "method", "path", "comment", "status", "size", "time"]
MOST_RECENT: Final = 2000
"""Requests that are remembered for views, besides what the ledger has."""
DOOR: Final = "web.html"
"""A file in the data folder that leads a browser to the page, token included; readable by its owner only."""


class Face:
    """`attach`, `bind`, `serve`, `close`, in this order."""

    def __init__(self, runtime: Runtime, paths: Paths, environ: Mapping[str, str]) -> None:
        self._runtime = runtime
        self._paths = paths
        self._address = ""
        self.recent = Recent(MOST_RECENT, records=runtime.records)
        self.hub = Hub()
        self._surroundings = Surroundings(
            runtime=runtime,
            paths=paths,
            environ=environ,
            recent=self.recent,
            desk=Desk(paths, environ, runtime.open_vault),
            hub=self.hub,
            endpoint="",
        )
        self.master = InspectionMaster(PageOptions(), FlowView())
        self._server: WebServer
        self._door: str | None = None

    def attach(self, listener: Listener, *ours: object) -> None:
        """Give the master its addons: the listener's and ours, mitmproxy's, and what looks at flows."""
        ring = Ring(self._runtime.ring_limits)
        ring.follow(self.master.view)
        inside = Running(self._runtime, self._surroundings.desk, self.recent)
        add_views(inside.explain)
        self.master.attach(
            listener, *ours, after=(ring, Replay(self._runtime), Sockets(self.recent), Commands(lambda: inside))
        )
        self.master.options.update(
            web_columns=COLUMNS,
            web_open_browser=False,
            keep_host_header=True,
        )
        self._server = WebServer(self.master)  # it asks the master for its addons
        self._runtime.tell_records(self.recent.record)

    def bind(self) -> tuple[tuple[str, int], ...]:
        """Take the address of the page; nobody is answered yet.

        Raises:
            WebServerError: it cannot be had.
        """
        bound = self._server.bind(parse_address(self._runtime.config.web.address))
        self._address = str(Address(*bound[0]))
        self.master.options.update(web_host=bound[0][0], web_port=bound[0][1])  # the cookie's name has the port in it
        return bound

    @property
    def address(self) -> str:
        """Where the page is, once it is bound."""
        return self._address

    def serve(self, endpoint: str, bound: tuple[str, int]) -> None:
        """From now on answer. The proxy, bound there, does already."""
        self._surroundings.endpoint = endpoint
        self.master.options.update(listen_host=bound[0], listen_port=bound[1])  # mitmweb shows them
        self.master.options.seal()
        self._server.add([*routes(self._surroundings), *mitmweb_routes(self._surroundings)])
        self._server.serve()

    async def announce(self) -> tuple[str, ...]:
        """Leave the way in for the owner, open a browser if that is wanted; lines for the terminal."""
        door = self._paths.data_dir / DOOR
        try:
            await asyncio.to_thread(self._leave_door, door)
        except (CodexManagerError, OSError) as error:
            log.warning("the file that leads to the page could not be written: %s", type(error).__name__)
        opened = False
        if self._door is not None and self._runtime.config.web.open_browser:
            opened = await asyncio.to_thread(
                webaddons.open_browser, door.as_uri()
            )  # a token is no argument of a program
        if sys.stderr.isatty():
            return (f"see it at {self._login()}" + (" (opened in your browser)" if opened else ""),)
        return (f"see it at http://{self._address}/codex; {door} leads there and holds the token",)

    async def close(self) -> None:
        """Stop answering, and take the way in away."""
        await self.hub.close()
        await self._server.close()
        door, mine = self._paths.data_dir / DOOR, self._door
        if mine is not None:
            with contextlib.suppress(OSError):
                if door.read_text(encoding="utf-8") == mine:  # not that of another proxy of this home
                    door.unlink()

    def _leave_door(self, door: Path) -> None:
        text = f"""<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>codex-manager</title>
<meta http-equiv="refresh" content="0; url={html.escape(self._login())}">
"""
        storage.write(door, text)
        self._door = text

    def _login(self) -> str:
        """The address that opens the page. Holds the token."""
        return f"http://{self._address}/codex/login?token={self.master.token.secret.reveal()}"
