"""What mitmweb's open pages are told of flows, for those that do not listen.

mitmweb keeps every message for a page until it is taken. A tab that a browser has put to sleep takes none, and the proxy would grow
by two kilobytes a request until it wakes. Law: what waits for one page is bounded; a page that fell behind is told to read the list anew.
"""

import asyncio
import json

from typing import Any

from mitmproxy.tools.web import app


__all__ = ["Updates"]

MOST_WAITING = 1000
"""Messages for one page; mitmweb's page takes some thousands a second."""
MOST_OPEN = 100
"""Pages; more are refused."""


class Updates(app.ClientConnection):
    """`/updates`. Shares mitmweb's set of connections, so that its broadcasts reach these."""

    _send_queue: asyncio.Queue[bytes]

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The handshake, for whoever is authenticated."""
        if len(app.ClientConnection.connections) >= MOST_OPEN:
            self.set_status(503)
            return None
        return super().get(*args, **kwargs)

    def send(self, message: bytes) -> None:
        """Put in line; when the line is full, all of it is replaced by one word: anew."""
        if self._send_queue.qsize() >= MOST_WAITING:
            while not self._send_queue.empty():
                self._send_queue.get_nowait()
            for kind in ("flows/reset", "events/reset"):
                self._send_queue.put_nowait(json.dumps({"type": kind}).encode())
            for name, expression in self.filters.copy().items():
                self.update_filter(name, expression.pattern)
        self._send_queue.put_nowait(message)
