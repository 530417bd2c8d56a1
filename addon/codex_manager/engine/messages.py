"""The plain request and answer that the bridge and the engine exchange.

Law: neither side sees the other's library types. No mitmproxy object enters, no aiohttp object leaves. Headers are
pairs of bytes in wire order and case; bodies are bytes, or an iterator of bytes that is read once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_manager.core.secret import Secret


if TYPE_CHECKING:
    from codex_manager.engine.websocket_pipe import PassedSession

__all__ = ["Answer", "Body", "Headers", "Request", "UpstreamCutError"]

type Headers = tuple[tuple[bytes, bytes], ...]
type Body = bytes | AsyncIterator[bytes]


class UpstreamCutError(Exception):
    """The upstream broke off after its answer had begun: what was sent cannot be taken back (MID_STREAM)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as the client sent it, its local key already checked and taken out."""

    method: str
    target: str
    """Path and query in origin form, exactly as received."""
    headers: Headers
    """As received, without hop-by-hop headers; the engine replaces the three identity headers itself."""
    body: Body = b""
    """`bytes` can be replayed; an iterator (a body over the replay limit) is sent once."""
    content_length: int | None = None
    """Bytes to come when `body` is an iterator and the client said so."""
    chunked: bool = False
    """The client framed the body with `Transfer-Encoding: chunked`; the upstream gets the same framing."""
    websocket: bool = False
    """The client asks to open a WebSocket; the engine opens its own and answers with a `Session`."""
    ephemeral: Secret | None = None
    """A client secret of Realtime (`ek_…`) one of the accounts issued: it goes on as it is, to that account only."""
    message_limit: int = 32 * 1024 * 1024
    """Bytes a single WebSocket message may have."""
    client: str = "default"
    """Name of the local key that was used."""
    id: str = ""
    """Our id for the request, for log lines and `explain`."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """The answer the client gets: the upstream's, or one of our own (then `account_id` is None).

    `body` yields raw bytes as they arrive and raises `UpstreamCutError` when the upstream breaks off. Whoever holds
    an Answer must call `aclose()` exactly once, also after reading to the end; it cancels what is still running.
    """

    status: int
    reason: str
    headers: Headers
    """As the upstream sent them, without hop-by-hop headers and `Set-Cookie`; `Transfer-Encoding: chunked` is kept
    so that the framing to the client stays the upstream's."""
    body: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]
    account_id: str | None = None
    account_label: str | None = None
    strategy: str = ""
    retries: int = 0
    """Upstream attempts beyond the first."""
    upstream_address: tuple[str, int] | None = None
    """Where the answer came from, for the flow's `server_conn`."""
    first_byte_at: float = 0.0
    """Unix time the upstream's headers arrived."""
    session: "PassedSession | None" = None
    """With a 101: the socket, open at the upstream's end. Then `body` is empty."""
    failure: str = ""
    """Class of the upstream's failure, or the code of our own refusal; empty for a good answer."""
    request_id: str = ""
    """`Request.id` of what it answers, or the one it was given."""
    facts: dict[str, str | int | float] = field(default_factory=dict)
    """Plain values for the flow's comment and metadata; never a secret."""
