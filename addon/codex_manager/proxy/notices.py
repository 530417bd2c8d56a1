"""What the outside tells the layers of a connection: events that are not the network's.

Law: handed to the handler of a connection, they travel down to the layer that speaks HTTP with the client; whoever does
not know one lets it pass.
"""

from dataclasses import dataclass

from mitmproxy.proxy import events


__all__ = ["Drain", "Notice", "Room"]


class Notice(events.Event):
    """One of ours."""


@dataclass
class Drain(Notice):
    """The process is about to end: no new requests on this connection."""


@dataclass
class Room(Notice):
    """The upstream has taken what waited of a stream's body: the client may send more of it."""

    stream_id: int
