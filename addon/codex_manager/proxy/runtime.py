"""The whole product behind one door: configuration, vault, engine and gate, built once and kept current.

Law: fails closed. Until `start` has run, and whenever something inside breaks, the answer is a 503.
"""

import asyncio
import logging

from collections.abc import Callable, Mapping

from codex_manager.engine.messages import Answer, Body
from codex_manager.proxy.answers import json_answer
from codex_manager.proxy.incoming import Admission, Incoming, Limits


__all__ = ["Runtime"]

log = logging.getLogger(__name__)


class Runtime:
    """Use `Runtime.open(...)`, bind the listener, then `await start(own_addresses)`; `await close()` at the end."""

    def __init__(self) -> None:
        self._limits = Limits()
        self._response_headers = True

    @classmethod
    def open(cls, paths: object, environ: Mapping[str, str], prompt: Callable[[str], str] | None = None) -> "Runtime":
        """Read configuration and vault (blocking: the master key is derived here); raises CodexManagerError."""
        return cls()

    @property
    def bind(self) -> tuple[str, int]:
        """Host and port of `proxy.bind_addr`."""
        return "127.0.0.1", 8080

    @property
    def limits(self) -> Limits:
        """The limits now in force."""
        return self._limits

    @property
    def response_headers(self) -> bool:
        """Whether answers carry our four response headers."""
        return self._response_headers

    async def start(self, own_addresses: frozenset[tuple[str, int]] = frozenset()) -> None:
        """Start watching, with the addresses the listener is bound to. Raises CodexManagerError."""

    async def close(self) -> None:
        """Stop watching, close engine and vault."""

    def admit(self, incoming: Incoming) -> Admission | Answer:
        """Decide on the head alone. Never raises."""
        return json_answer(
            503, {"error": {"message": "Not started.", "type": "server_error", "param": None, "code": None}}
        )

    async def carry(self, admission: Admission, body: Body) -> Answer:
        """Answer an admitted request. Never raises but CancelledError."""
        await asyncio.sleep(0)
        return json_answer(
            503, {"error": {"message": "Not started.", "type": "server_error", "param": None, "code": None}}
        )
