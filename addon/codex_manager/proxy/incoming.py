"""A request as the listener saw it, and the one door it goes through.

Knows the plain shapes the bridge and the runtime exchange. Knows neither mitmproxy nor the engine's rules.
Law: admission is decided on the head alone, synchronously, before one byte of the body is read; what was not
admitted has no way on. `admit` and `carry` do not raise (but `asyncio.CancelledError` out of `carry`): whatever goes
wrong behind the door is an answer.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from codex_manager.core.secret import Secret
from codex_manager.engine.messages import Answer, Body, Headers


__all__ = ["Admission", "Door", "Incoming", "Limits", "Via"]

type Via = Literal["base_url", "forward"]
"""`base_url`: addressed to the listener itself, in mitmproxy's reverse mode too (which puts the upstream's name into
Host before any hook sees it). `forward`: taken out of a CONNECT, or an absolute-form request, to a routed host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """The head of one request, exactly as received. Text was decoded with `surrogateescape`: nothing is lost."""

    method: str
    target: str
    """As on the request line: origin form, or whatever else the client sent."""
    headers: Headers
    http_version: str = "HTTP/1.1"
    via: Via = "base_url"
    secure: bool = False
    """The client spoke TLS to us."""
    peer: tuple[str, int] | None = None
    host: str = ""
    """Host or :authority as the client sent it, with its port if it named one; empty when there was none."""
    content_length: int | None = None
    chunked: bool = False
    destination: tuple[str, int] | None = None
    """Where CONNECT, or an absolute-form target, says it goes; None by base URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request that may go on. Hand it to `carry` once, with its body."""

    incoming: Incoming
    client: str
    """Name of the local key; `-` for the endpoints that need none."""
    headers: Headers
    """What is left for the engine: without the local key, hop-by-hop headers, cookies and our own headers (see strip)."""
    local: bool = False
    """One of our own endpoints answers; nothing goes upstream."""
    websocket: bool = False
    """It asks to open one of OpenAI's WebSockets, by a sound handshake."""
    ephemeral: Secret | None = None
    """A client secret of Realtime that one of the accounts issued: it goes on as it is, to that account."""
    foreign: bool = False
    """Not ours: a key of the client's own under `foreign_keys: pass`, or another host in plain HTTP. The request goes on
    as it came, with its own Authorization."""
    passage: tuple[str, str, int] | None = None
    """Where a foreign one goes: scheme, host, port. Without it `carry` refuses: inside mitmdump, mitmproxy carries them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the listener enforces while it parses; the values are those of docs/configuration.md, `limits`."""

    header_bytes: int = 64 * 1024
    header_count: int = 100
    header_deadline_s: float = 15.0
    replay_body_bytes: int = 32 * 1024 * 1024
    """A body up to this is handed over as `bytes` and can be replayed; a longer one streams."""
    max_body_bytes: int = 512 * 1024 * 1024


class Door(Protocol):
    """What the bridge needs to know of the runtime."""

    @property
    def limits(self) -> Limits:
        """The limits now in force; changes with a reload."""
        ...

    @property
    def response_headers(self) -> bool:
        """Whether answers say who served them and under which id the request is known: X-Account-ID and the others."""
        ...

    def admit(self, incoming: Incoming) -> Admission | Answer:
        """Decide on the head alone."""
        ...

    async def carry(self, admission: Admission, body: Body) -> Answer:
        """Answer an admitted request. Cancel the task to give up: whatever runs upstream is closed."""
        ...
