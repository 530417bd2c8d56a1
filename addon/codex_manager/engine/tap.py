"""Beside an answer's bytes on their way to the client: reads what they say of usage and of things, and takes out what was
asked for extra.

Law: the client gets the upstream's own bytes, at once; only the usage that nobody but us asked for is taken out of them.
However reading fails, the bytes go on. Ends once, and the request's tab with it.
"""

import logging

from collections.abc import Iterable, Mapping
from typing import Final

from codex_manager.core.errors import type_and_place
from codex_manager.core.metering import Meter, meter_for
from codex_manager.core.stream_usage import UsageRemover
from codex_manager.engine.decode_stream import StreamDecoder
from codex_manager.engine.learning import Learning
from codex_manager.engine.tab import GONE, NO_TAB, Tab, Used


__all__ = ["Tap", "used_of"]

log = logging.getLogger(__name__)

TOGETHER: Final = 16 * 1024
"""Bytes the meter is shown at once: it costs as much for one event of a stream as for fifty."""


class Tap:
    """See the module's docstring."""

    __slots__ = ("_decoder", "_first", "_is_stream", "_learning", "_meter", "_remover", "_size", "_tab", "_unread")

    def __init__(
        self,
        tab: Tab,
        status: int,
        headers: Mapping[str, str],
        *,
        asked_extra: bool,
        learning: Learning | None = None,
    ) -> None:
        """`headers` are the answer's, with lower-case names; `asked_extra` when its usage was asked for by us."""
        asked, content_type = tab.asked, headers.get("content-type", "")
        self._tab = tab
        self._first: float | None = None
        self._unread: list[bytes] = []
        """Pieces the meter has not seen; what they say is not asked for before the end."""
        self._size = 0
        self._is_stream = tab.is_stream = content_type.startswith("text/event-stream")
        self._meter: Meter | None = None
        if asked.path is not None and 200 <= status < 300:
            self._meter = meter_for(asked.path, content_type, units=asked.units, model=asked.model)
        encoding = headers.get("content-encoding")
        is_plain = encoding is None or encoding in {"", "identity"}
        self._learning = learning
        self._decoder = None
        if encoding is not None and not is_plain and (self._meter is not None or learning is not None):
            self._decoder = StreamDecoder(encoding)
        self._remover = UsageRemover() if asked_extra and is_plain and self._is_stream else None

    def feed(self, piece: bytes) -> bytes:
        """The next bytes of the answer: those the client gets, which may be none yet."""
        tab = self._tab
        if self._first is None:
            self._first = tab.now()
        tab.received += len(piece)
        if self._learning is not None:
            self._learn(piece)
        elif self._meter is not None:
            self._unread.append(piece)
            self._size += len(piece)
            if self._size > TOGETHER:
                self._read()
        return piece if self._remover is None else self._remover.feed(piece)

    def _learn(self, piece: bytes) -> None:
        """What a piece shows is learned at once, so it is decoded at once, and once."""
        assert self._learning is not None
        for plain in (piece,) if self._decoder is None else self._decoder.feed(piece):
            self._learning.feed(plain)
            if self._meter is not None:
                self._unread.append(plain)
                self._size += len(plain)
                if self._size > TOGETHER:
                    self._read()

    def rest(self, *, cut: bool = False) -> bytes:
        """What was held back to be looked at, once nothing more comes."""
        remover, self._remover = self._remover, None
        return b"" if remover is None else remover.close(cut=cut)

    def end(self, failure: str = "") -> None:
        """Nothing more comes: the answer is whole, or failed so. Whoever leaves once all was said has left nothing."""
        if self._tab.is_closed:
            return
        used, meter = self.used(), self._meter
        if failure == GONE and meter is not None and meter.finished:
            failure = ""
        self._tab.finish(failure, used, first_byte=self._first, streamed=self._is_stream)

    def _read(self) -> None:
        """Let the meter see what came since the last time."""
        meter, unread = self._meter, self._unread
        if not unread:
            return
        data = unread[0] if len(unread) == 1 else b"".join(unread)
        unread.clear()
        self._size = 0
        if meter is None or not data:
            return
        try:
            if self._decoder is None or self._learning is not None:
                meter.feed(data)
            else:
                for plain in self._decoder.feed(data):
                    meter.feed(plain)
        except Exception as error:  # noqa: BLE001 - counting never fails a request
            log.error("an answer's usage could not be read: %s", type_and_place(error))  # noqa: TRY400 - a message may quote it
            self._meter = None

    def used(self) -> Used:
        """What the answer used, as far as it has said so, or else about."""
        self._read()
        meter = self._meter
        if meter is None:
            return Used()
        usage = meter.usage()
        if usage is None and not meter.settles:
            has_refused = meter.finished and meter.status == "failed" and not meter.output_estimate()
            if not has_refused:
                usage = meter.estimate(self._tab.asked.tokens)
        return Used(usage=usage, settles=meter.settles, object_id=meter.object_id, status=meter.status)


def used_of(tab: Tab, status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> Used:
    """What an answer that does not go out says it has used, or about."""
    if tab is NO_TAB:
        return Used()
    tap = Tap(tab, status, headers, asked_extra=False)
    for piece in pieces:
        tap.feed(piece)
    return tap.used()
