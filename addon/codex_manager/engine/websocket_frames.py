"""WebSocket messages to bytes and back: RFC 6455 by wsproto, whole messages, bounded.

Knows no socket and no OpenAI. Used on both sides: towards the upstream by the engine, towards the client by the proxy.
Law: `feed` and the writers never raise, whatever the bytes and whatever the state; a message longer than allowed is
never collected.
"""

import base64
import hashlib

from dataclasses import dataclass

from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError


__all__ = ["ABNORMAL", "Closed", "Frames", "Message", "Ping", "Pong", "accept_value", "deflate_offers"]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
DEFLATE = PerMessageDeflate.name
TOO_BIG = 1009  # RFC 6455 §7.4.1
NO_CODE = 1005  # a close frame without a code; never on the wire


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message."""

    data: str | bytes

    @property
    def raw(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Ping:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The end. `code` is None when the connection ended without a close frame (1006)."""

    code: int | None
    reason: str = ""
    broken: bool = False
    """The other side broke the protocol; the code is ours, for our close frame."""


ABNORMAL = Closed(None)


class Frames:
    """One side of one socket. Mutable state: wsproto's, and the message being collected."""

    def __init__(self, *, client: bool, extensions: str, limit: int) -> None:
        """`extensions` is the header of the 101.

        Raises:
            ValueError: it names an extension, or a parameter, that is not spoken here.
        """
        kind = ConnectionType.CLIENT if client else ConnectionType.SERVER
        self._ws = Connection(kind, _spoken(extensions))
        self._limit = limit
        self._parts: list[str | bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Message | Ping | Pong | Closed]:
        """What has become complete; `Closed` is the last."""
        if self._ws.state not in {ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING}:
            return []
        found: list[Message | Ping | Pong | Closed] = []
        self._ws.receive_data(data)
        for event in self._ws.events():
            if isinstance(event, events.TextMessage | events.BytesMessage):
                part = event.data if isinstance(event.data, str) else bytes(event.data)
                self._size += len(part)
                if self._size > self._limit:
                    self._parts.clear()
                    found.append(Closed(TOO_BIG, "message too big", broken=True))
                    return found
                self._parts.append(part)
                if event.message_finished:
                    found.append(Message(_joined(self._parts)))
                    self._parts, self._size = [], 0
            elif isinstance(event, events.Ping):
                found.append(Ping(bytes(event.payload)))
            elif isinstance(event, events.Pong):
                found.append(Pong(bytes(event.payload)))
            elif isinstance(event, events.CloseConnection):
                broken = self._ws.state in {ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING}
                found.append(Closed(int(event.code), event.reason or "", broken=broken))
                return found
        return found

    def message(self, message: Message) -> bytes:
        """The bytes of a message, in one frame."""
        if isinstance(message.data, str):
            return self._send(events.TextMessage(message.data))
        return self._send(events.BytesMessage(message.data))

    def ping(self, payload: bytes) -> bytes:
        return self._send(events.Ping(payload))

    def pong(self, payload: bytes) -> bytes:
        return self._send(events.Pong(payload))

    def close(self, code: int | None, reason: str = "") -> bytes:
        """The close frame; empty when one has gone out already."""
        if code is None or code == NO_CODE:
            return self._send(events.CloseConnection(CloseReason.NO_STATUS_RCVD))
        return self._send(events.CloseConnection(code, reason))

    @property
    def is_open(self) -> bool:
        """Messages can still be sent."""
        return self._ws.state is ConnectionState.OPEN

    def _send(self, event: events.Event) -> bytes:
        try:
            return bytes(self._ws.send(event))
        except LocalProtocolError:
            return b""


def accept_value(key: bytes) -> bytes:
    """`Sec-WebSocket-Accept` for a key."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - RFC 6455's choice, not ours


def deflate_offers(offered: str) -> str:
    """Of what a client offers, what is spoken here."""
    return ", ".join(part.strip() for part in offered.split(",") if part.split(";")[0].strip().lower() == DEFLATE)


def _spoken(agreed: str) -> list[Extension]:
    made: list[Extension] = []
    for part in filter(None, (part.strip() for part in agreed.replace('"', "").split(","))):
        if part.split(";")[0].strip().lower() != DEFLATE or made:
            msg = "an extension that was not asked for"
            raise ValueError(msg)
        deflate = PerMessageDeflate()
        deflate.finalize(part)
        made.append(deflate)
    return made


def _joined(parts: list[str | bytes]) -> str | bytes:
    if len(parts) == 1:
        return parts[0]
    return (
        "".join(p for p in parts if isinstance(p, str))
        if isinstance(parts[0], str)
        else b"".join(p for p in parts if isinstance(p, bytes))
    )
