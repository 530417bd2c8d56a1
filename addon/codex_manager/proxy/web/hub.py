"""What open pages are told without asking: fragments of HTML over a WebSocket, one for all who look at the same.

A page connects to `/codex/live?topic=NAME&topic=NAME:WORD`. A topic is a function that renders what the page shows of it, whole, in
parts; as long as somebody looks, it is rendered at its interval, once for each language, and of it are sent the parts that this page was
not sent before. What is after the colon is the page's own word (a model, a range of time), handed to the function. A browser that reads
slowly misses the ones in between, never the last. Law: nobody looks, nothing is rendered; what is rendered at once is bounded; a topic
that fails is said once and does not stop the others.
"""

import asyncio
import logging

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from mitmproxy.tools.web import app
from tornado import iostream, web, websocket

from codex_manager.core.errors import type_and_place
from codex_manager.proxy.web.guard import refusal
from codex_manager.proxy.web.language import Language, choose, language
from codex_manager.proxy.web.page import LIGHT
from codex_manager.proxy.web.surroundings import Surroundings


__all__ = ["Hub", "Live"]

log = logging.getLogger(__name__)

TICK_S: Final = 0.25
MOST_OPEN: Final = 500
"""Connections; more are refused."""
MOST_TOPICS: Final = 8
"""Of one connection."""
MOST_WORDS: Final = 40
"""Different words of one topic at a time; pages with further ones are refused, since each is rendered by itself."""
LONGEST_WORD: Final = 200
RESTARTING: Final = 1012
"""RFC 6455 close code after which pages connect again; after 1001 they would not."""

type Parts = str | Mapping[str, str]
"""All of it, or by part: only parts that have changed are sent."""
type Render = Callable[[Language], Parts]
type RenderWord = Callable[[Language, str], Parts]


@dataclass(slots=True)
class _Topic:
    render: RenderWord
    interval_s: float
    takes_word: bool


@dataclass(slots=True)
class _Shown:
    """A topic, with its word, that somebody looks at."""

    topic: _Topic
    word: str
    due: float = 0.0
    made: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """By language, what was rendered last, by part."""


class Hub:
    """Mutable state: the topics, what of them is looked at, and who is connected."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        self._shown: dict[str, _Shown] = {}
        self.open: set[Live] = set()
        self._running: asyncio.Task[None] | None = None
        self._failed: set[str] = set()

    def topic(self, name: str, render: Render, *, interval_s: float = 1.0) -> None:
        """Tell about this, at most every `interval_s` seconds. `render` gives elements with `id` and `hx-swap-oob`."""
        self._topics[name] = _Topic(lambda language, _: render(language), interval_s, takes_word=False)

    def family(self, name: str, render: RenderWord, *, interval_s: float = 1.0) -> None:
        """The same for a topic with a word: `NAME:WORD`. The word is whatever a browser says, an empty one too."""
        self._topics[name] = _Topic(render, interval_s, takes_word=True)

    def knows(self, names: list[str]) -> bool:
        """Whether there are such topics, and room for one more who looks at them."""
        if not 0 < len(names) <= MOST_TOPICS:
            return False
        for name in names:
            kind, colon, word = name.partition(":")
            topic = self._topics.get(kind)
            if topic is None or topic.takes_word != bool(colon) or len(word) > LONGEST_WORD:
                return False
            if name not in self._shown and sum(s.topic is topic for s in self._shown.values()) >= MOST_WORDS:
                return False
        return True

    def join(self, live: "Live") -> None:
        """Somebody looks."""
        self.open.add(live)
        for name in live.topics:
            kind, _, word = name.partition(":")
            self._shown.setdefault(name, _Shown(self._topics[kind], word))
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run(), name="codex-manager live pages")

    def leave(self, live: "Live") -> None:
        """And looks no more; what nobody looks at is forgotten."""
        self.open.discard(live)
        left = {name for each in self.open for name in each.topics}
        for name in set(live.topics) - left:
            self._shown.pop(name, None)

    def hurry(self, *names: str) -> None:
        """Something has changed that people wait for."""
        for name, shown in self._shown.items():
            if name.partition(":")[0] in names:
                shown.due = 0.0

    async def close(self) -> None:
        """Let go of everybody; their pages look for us again."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        for live in list(self.open):
            live.close(RESTARTING)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.open:
            now = loop.time()
            for name, shown in list(self._shown.items()):
                lookers = [live for live in self.open if name in live.topics]
                spoken = {live.language for live in lookers}
                if now >= shown.due:
                    shown.due = now + shown.topic.interval_s
                    self._render(name, shown, spoken)
                elif missing := spoken - shown.made.keys():
                    self._render(name, shown, missing)
                for live in lookers:
                    live.bring(name, shown.made.get(live.language))
                if len(lookers) > 1:
                    await asyncio.sleep(0)  # requests have come meanwhile
            await asyncio.sleep(TICK_S)

    def _render(self, name: str, shown: _Shown, codes: set[str]) -> None:
        for code in codes:
            try:
                made = shown.topic.render(language(code), shown.word)
                shown.made[code] = {"": made} if isinstance(made, str) else made
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
        self._sent: dict[tuple[str, str], str] = {}
        """What the page has, by topic and part."""
        self._sending: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """As every page of ours."""
        if refusal(self.request) is not None:
            raise web.HTTPError(403)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The handshake, for whoever is authenticated."""
        topics = self.get_query_arguments("topic")
        is_known = self.web.hub.knows(topics)
        if not is_known or len(self.web.hub.open) >= MOST_OPEN:
            self.set_status(503 if is_known else 404)
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

    def bring(self, name: str, parts: Mapping[str, str] | None) -> None:
        """Send what it was not sent before, unless the last message has not been taken yet: then the next round does."""
        if parts is None or (self._sending is not None and not self._sending.done()):
            return
        new = [(key, html) for part, html in parts.items() if self._sent.get(key := (name, part)) != html]
        if new:
            self._sent.update(new)
            self._sending = asyncio.get_running_loop().create_task(self._send("".join(html for _, html in new)))

    async def _send(self, html: str) -> None:
        try:
            await self.write_message(html)
        except (websocket.WebSocketClosedError, iostream.StreamClosedError):
            self.web.hub.leave(self)
