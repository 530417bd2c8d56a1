"""An answer before it travels: status, headers and a body that may be made while it is sent."""

import json

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from codex_manager.testing.websocket import Pipe, Socket


__all__ = ["Piece", "Reply", "json_reply", "rendered"]

type Piece = bytes | Callable[[], bytes]
"""A part of a body; a function is called at the moment of writing, so that it can say when that was."""


def rendered(piece: Piece) -> bytes:
    """The bytes of a piece, now."""
    return piece if isinstance(piece, bytes) else piece()


@dataclass(slots=True, kw_only=True)
class Reply:
    """What the server will say. `wire` replaces everything by bytes that need not be HTTP."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[Piece] = b""
    """Bytes, or pieces made one by one as they are sent."""
    length: int | None = None
    """Length of a body made of pieces; None sends it chunked."""
    every_s: float = 0.0
    """Pause between pieces."""
    wire: bytes | None = None
    socket: "Callable[[Pipe], Socket] | None" = None
    """With a 101: who speaks on the connection from there on."""
    close: tuple[int, str] | None = None
    """On a WebSocket: a close frame with this code and reason instead of an answer."""
    bare: bool = False
    """Goes out as it is, without the headers OpenAI puts on every answer."""


def json_reply(content: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """A JSON answer as OpenAI frames it."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return Reply(status=status, headers=[("content-type", "application/json"), *headers], body=body)
