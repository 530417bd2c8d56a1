"""What the fake saw: every request, how it was answered, and whether one was processed twice.

The record of a request appears when its head arrives and fills up as the exchange goes on.
Times are of the monotonic clock.
"""

import re
import threading

from collections import Counter
from dataclasses import dataclass, field


__all__ = ["Journal", "Seen"]

MARKER = re.compile(rb'"client_request_id"\s*:\s*"([^"]+)"')
"""Where a client cannot set headers it may put its id into `metadata`."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """One request as it arrived and what became of it."""

    number: int
    """0 for the first request of this server."""
    connection: int
    """Requests with the same number shared a connection."""
    method: str
    target: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    """As received: order, case and doubles."""
    at: float
    """The head had arrived."""
    key: str = ""
    """The bearer token, known or not."""
    body: bytes = b""
    """The first `keep_body` bytes (1 MiB unless told otherwise); size and digest are of the whole."""
    body_size: int = 0
    body_sha256: str = ""
    body_at: float | None = None
    """The whole request had arrived."""
    step: str = ""
    """Name of the scripted step that answered; `ok` when nothing was scripted."""
    status: int | None = None
    """None while unanswered, and for answers that are no HTTP."""
    answered_at: float | None = None
    """The first byte was written."""
    finished_at: float | None = None
    """The last byte was written; None where the answer was cut or the client left."""
    sent_bytes: int = 0
    """Bytes of the answer written, head included."""
    sent_at: list[int] = field(default_factory=list)
    """`time.monotonic_ns()` when each piece of a stream was written."""
    aborted_at: float | None = None
    """The client hung up before the answer had ended."""
    cut: bool = False
    """The script ended the answer before its end."""
    processed: bool = False
    """The work was done, even if the answer was lost: what must not happen twice."""
    messages: list[str | bytes] = field(default_factory=list)
    """WebSocket: what the client sent, message by message."""
    pings: int = 0
    close_code: int | None = None
    """WebSocket: the code of the close frame the client sent; None while it has sent none."""
    close_reason: str = ""
    close_sent: int | None = None
    """WebSocket: the code of the close frame the script sent first."""
    flags: list[str] = field(default_factory=list)
    """What should not have been sent: duplicate_authorization, foreign_cookie, mismatched_organization, …"""

    @property
    def aborted(self) -> bool:
        return self.aborted_at is not None

    def header_values(self, name: str) -> list[str]:
        """All values of a header, by lower-case name."""
        return [value for header, value in self.headers if header.lower() == name]

    def header(self, name: str) -> str | None:
        """The first value of a header, by lower-case name."""
        for header, value in self.headers:
            if header.lower() == name:
                return value
        return None

    @property
    def client_request_id(self) -> str | None:
        """What the client calls this request, the same in each repetition: a header, or a marker in the body."""
        if name := self.header("x-client-request-id") or self.header("idempotency-key"):
            return name
        found = MARKER.search(self.body)
        return found[1].decode("ascii", "replace") if found else None


class Journal:
    """The records in order of arrival. Appended to by the server's thread, read by any."""

    def __init__(self) -> None:
        self.records: list[Seen] = []
        self._lock = threading.Lock()

    def add(self, seen: Seen) -> None:
        with self._lock:
            seen.number = len(self.records)
            self.records.append(seen)

    def counts(self) -> Counter[str]:
        """Requests by key, refused and unanswered ones too."""
        return Counter(seen.key for seen in self.records)

    def duplicates(self) -> dict[str, list[Seen]]:
        """Client request ids that were processed more than once."""
        groups: dict[str, list[Seen]] = {}
        for seen in self.records:
            if seen.processed and (name := seen.client_request_id):
                groups.setdefault(name, []).append(seen)
        return {name: group for name, group in groups.items() if len(group) > 1}
