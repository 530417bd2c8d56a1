"""What open pages are told without asking: fragments of HTML over a WebSocket, one for all who look at the same.

A page connects to `/codex/live?topic=NAME`. A topic is a function that renders what the page shows of it, whole; as long as somebody looks,
it is rendered at its interval, once for each language, and sent to those who have not been sent the same before. A browser that
reads slowly misses the ones in between, never the last. Law: nobody looks, nothing is rendered; a topic that fails is said once and
does not stop the others.
"""

import asyncio
import logging

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mitmproxy.tools.web import app
from tornado import iostream, websocket

from codex_manager.core.errors import type_and_place
from codex_manager.proxy.web.language import Language, choose, language
from codex_manager.proxy.web.page import LIGHT
from codex_manager.proxy.web.surroundings import Surroundings


__all__ = ["Hub", "Live"]

log = logging.getLogger(__name__)

TICK_S = 0.25
MOST_OPEN = 500
"""Connections; more are refused."""

type Render = Callable[[Language], str]


@dataclass(slots=True)
class _Topic:
    render: Render
    interval_s: float
    due: float = 0.0
    made: dict[str, str] = field(default_factory=dict)
    """By language, what was rendered last."""


class Hub:
    """Mutable state: the topics, and who is connected."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        self.open: set[Live] = set()
        self._running: asyncio.Task[None] | None = None
        self._failed: set[str] = set()

    def topic(self, name: str, render: Render, *, interval_s: float = 1.0) -> None:
        """Tell about this, at most every `interval_s` seconds. `render` gives elements with `id` and `hx-swap-oob`."""
        self._topics[name] = _Topic(render, interval_s)

    def knows(self, names: list[str]) -> bool:
        """Whether there are such topics."""
        return bool(names) and all(name in self._topics for name in names)

    def join(self, live: "Live") -> None:
        """Somebody looks."""
        self.open.add(live)
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run(), name="codex-manager live pages")
        for name in live.topics:
            self._topics[name].due = 0.0

    def leave(self, live: "Live") -> None:
        """And looks no more."""
        self.open.discard(live)

    def hurry(self, *names: str) -> None:
        """Something has changed that people wait for."""
        for name in names:
            if name in self._topics:
                self._topics[name].due = 0.0

    async def close(self) -> None:
        """Let go of everybody."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        for live in list(self.open):
            live.close(1001)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.open:
            now = loop.time()
            for name, topic in self._topics.items():
                lookers = [live for live in self.open if name in live.topics]
                if lookers and now >= topic.due:
                    topic.due = now + topic.interval_s
                    self._render(name, topic, {live.language for live in lookers})
                for live in lookers:
                    live.bring(name, topic.made.get(live.language))
            await asyncio.sleep(TICK_S)

    def _render(self, name: str, topic: _Topic, codes: set[str]) -> None:
        for code in codes:
            try:
                topic.made[code] = topic.render(language(code))
                self._failed.discard(name)
            except Exception as error:  # noqa: BLE001 - the other topics go on
                if name not in self._failed:
                    self._failed.add(name)
                    log.error("a part of the page could not be made: %s", type_and_place(error))  # noqa: TRY400 - the message may hold a secret


class Live(websocket.WebSocketHandler, app.AuthRequestHandler):
    """One open page. mitmweb's authentication, tornado's check of the Origin."""

    connections: ClassVar[set[Any]] = set()

    def initialize(self, web: Surroundings) -> None:
        """Told by the routing table."""
        self.web = web
        self.topics: list[str] = []
        self.language = "en"
        self._sent: dict[str, str] = {}
        self._sending: asyncio.Task[None] | None = None

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The handshake, for whoever is authenticated."""
        topics = self.get_query_arguments("topic")
        if not self.web.hub.knows(topics) or len(self.web.hub.open) >= MOST_OPEN:
            self.set_status(404 if not self.web.hub.knows(topics) else 503)
            return None
        return super().get(*args, **kwargs)

    def open(self, *_: str, **__: str) -> None:
        """The page is connected."""
        self.topics = self.get_query_arguments("topic")
        self.language = choose(
            self.get_cookie(f"{LIGHT}language"),
            self.web.runtime.config.ui.language,
            self.request.headers.get("Accept-Language", ""),
        )
        self.web.hub.join(self)

    def on_message(self, message: str | bytes) -> None:
        """Pages have nothing to say here."""

    def on_close(self) -> None:
        """The page is gone."""
        self.web.hub.leave(self)

    def bring(self, name: str, html: str | None) -> None:
        """Send it unless it was sent already, or the one before has not been taken yet."""
        if html is None or self._sent.get(name) == html or (self._sending is not None and not self._sending.done()):
            return
        self._sent[name] = html
        self._sending = asyncio.get_running_loop().create_task(self._send(html))

    async def _send(self, html: str) -> None:
        try:
            await self.write_message(html)
        except (websocket.WebSocketClosedError, iostream.StreamClosedError):
            self.web.hub.leave(self)
