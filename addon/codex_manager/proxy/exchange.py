"""One admitted request between the sans-io stream and the runtime: asked once, read in pieces, closed exactly once.

Knows the door and the plain messages. Knows nothing of mitmproxy. Law: nothing here raises into the bridge; every
outcome is a value the stream can look at. Whatever way it ends, `Answer.aclose()` runs once, and a client that leaves
cancels what runs for it at once.
"""

import asyncio
import enum
import logging
import time

from collections.abc import Awaitable, Callable
from typing import Final

from codex_manager.core.errors import type_and_place
from codex_manager.engine.messages import Answer, Body, UpstreamCutError
from codex_manager.engine.websocket_frames import Closed, Message
from codex_manager.proxy.incoming import Admission, Door
from codex_manager.proxy.upload import Upload


__all__ = ["Ending", "Exchange"]

log = logging.getLogger(__name__)

BATCH: Final = 64 * 1024  # what is at hand already goes out in one piece up to this; asyncio's own read size
CLIENT_BACKLOG: Final = 64 * 1024  # bytes an HTTP/2 client may leave unread before we stop reading upstream
MESSAGES: Final = 16  # of a WebSocket that go out before the client's socket is looked at again
_END: Final = object()


class Ending(enum.Enum):
    """How an exchange ended; `OPEN` while it has not."""

    OPEN = enum.auto()
    WHOLE = enum.auto()
    """The answer is complete."""
    CUT = enum.auto()
    """The upstream broke off in the middle."""
    TOO_LARGE = enum.auto()
    """The streamed request body outgrew the configured limit."""
    GONE = enum.auto()
    """The client left, or the flow was killed."""
    BROKEN = enum.auto()
    """We failed; the log says where."""


class _ClientGoneError(Exception):
    """Nobody takes what is sent."""


class Exchange:
    """One request's way through the door. `send` and `read` run in hook tasks, everything else is synchronous."""

    def __init__(self, door: Door | None, drain: Callable[[], Awaitable[None]]) -> None:
        self.answer: Answer | None = None
        self.chunk = b""
        """What the last `send` or `read` brought of the body."""
        self.arrived: list[Message | Closed] = []
        """What the last `listen` brought."""
        self.ending = Ending.OPEN
        self.upload: Upload | None = None
        """The request's body while it streams."""
        self.sent_at = 0.0
        self.progress: asyncio.Event | None = None
        """To be set whenever a multiplexed client may have made room."""
        self.stream_id: int | None = None
        """Which of the streams that share the client's connection; None for a connection of its own."""
        self._backlog: Callable[[], int] | None = None
        self.sink: Callable[[bytes], None] | None = None
        """Where `read` may bring the body itself, piece by piece, instead of coming back with each."""
        self.on_close: Callable[[Exchange], None] = _ignore
        self._door = door
        self._drain = drain
        self._admission: Admission | None = None
        self._body: Body = b""
        self._working: asyncio.Task[object] | None = None
        self._peeking: asyncio.Task[object] | None = None
        self._closing = False

    @property
    def client(self) -> str | None:
        """Name of the local key that was used; None when nobody was to be asked."""
        return None if self._admission is None else self._admission.client

    def ask(self, admission: Admission, body: Body) -> None:
        """What `send` is to carry."""
        self._admission = admission
        self._body = body

    def multiplexed(self, backlog: Callable[[], int], stream_id: int) -> None:
        """The client shares its connection between streams: `backlog` says how much this one has not taken yet."""
        self._backlog = backlog
        self.stream_id = stream_id
        self.progress = asyncio.Event()

    async def send(self) -> None:
        """Carry the request (unless an answer is there already) and take what of the body is at hand with it."""
        await self._guarded(self._send)

    async def listen(self) -> None:
        """Bring what the WebSocket has for the client, once it has taken what it was sent before."""
        self.arrived = []
        await self._guarded(self._listen)

    async def room(self) -> None:
        """Wait until the WebSocket's upstream has taken what is waiting for it."""
        if self.answer is not None and self.answer.session is not None:
            await self.answer.session.room()

    def wind_down(self) -> None:
        """The process is about to end: a WebSocket ends with what is under way."""
        if self.answer is not None and self.answer.session is not None and self.ending is Ending.OPEN:
            self.answer.session.drain()

    async def read(self) -> None:
        """Bring the next piece of the body (with a sink, all but the last), once the client has taken those before."""
        self.chunk = b""
        await self._guarded(self._read)

    def abandon(self) -> None:
        """Nobody wants the answer any more: cancel what runs and close. Safe to call at any time, any number of times."""
        self.end(Ending.GONE)

    def end(self, ending: Ending) -> None:
        """Give up for the reason given, unless it is over already."""
        if self.ending is not Ending.OPEN:
            return
        self.ending = ending
        self.chunk = b""
        if self._working is not None:
            self._working.cancel()  # its task closes
        else:
            self._close()

    async def _send(self) -> None:
        if self.answer is None:
            assert self._admission is not None
            assert self._door is not None  # nothing is admitted without one
            self.sent_at = time.time()
            self.answer = await self._door.carry(self._admission, self._body)
            self._body = b""
        if self.answer.session is None:
            self._gather(b"")

    async def _listen(self) -> None:
        assert self.answer is not None
        session = self.answer.session
        assert session is not None
        await self._drain()
        found: Message | Closed | None = await session.receive()
        while found is not None:
            self.arrived.append(found)
            more = isinstance(found, Message) and len(self.arrived) < MESSAGES
            found = session.receive_now() if more else None

    async def _read(self) -> None:
        while True:
            await self._read_piece()
            if self.sink is None or self.ending is not Ending.OPEN:
                return
            data, self.chunk = self.chunk, b""
            if data:
                self.sink(data)

    async def _read_piece(self) -> None:
        try:
            await self._drain()
        except OSError as error:
            raise _ClientGoneError from error
        while self._backlog is not None and self._backlog() > CLIENT_BACKLOG:
            assert self.progress is not None
            self.progress.clear()
            await self.progress.wait()
        if self._peeking is None:
            piece = await self._step()
        else:
            piece = await self._peeking
            self._peeking = None
        self._take(piece)

    def _take(self, piece: object) -> None:
        if piece is _END:
            self.ending = Ending.WHOLE
            self._close()
        else:
            assert isinstance(piece, bytes)
            self._gather(piece)

    def _gather(self, first: bytes) -> None:
        """Add to `first` what can be had without waiting; a step that has to wait becomes the next read."""
        pieces = [first] if first else []
        size = len(first)
        while size < BATCH:
            task = asyncio.Task(self._step(), loop=asyncio.get_running_loop(), eager_start=True)
            if not task.done():
                self._peeking = task
                break
            if task.exception() is not None:
                self._peeking = task  # told by the next read, after what came before it has gone out
                break
            piece = task.result()
            if piece is _END:
                self.ending = Ending.WHOLE
                self._close()
                break
            assert isinstance(piece, bytes)
            pieces.append(piece)
            size += len(piece)
        self.chunk = b"".join(pieces) if len(pieces) != 1 else pieces[0]

    async def _step(self) -> object:
        assert self.answer is not None
        return await anext(self.answer.body, _END)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.ending is not Ending.OPEN:
            return
        self._working = task
        try:
            await work()
        except asyncio.CancelledError:
            if self.ending is Ending.OPEN:  # not us: the process ends
                self.ending = Ending.GONE
                self._close()
                raise
            task.uncancel()
            self._close()
        except UpstreamCutError:
            self._fail(Ending.CUT)
        except _ClientGoneError:
            self._fail(Ending.GONE)
        except Exception as error:  # noqa: BLE001 - fail closed: whatever it is, the client gets an answer
            log.error("the request could not be carried: %s", type_and_place(error))  # noqa: TRY400 - a traceback's message may hold a secret
            self._fail(Ending.BROKEN)
        finally:
            self._working = None

    def _fail(self, ending: Ending) -> None:
        self.chunk = b""
        if self.ending is Ending.OPEN:
            self.ending = ending
        self._close()

    def _close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self.upload is not None:
            self.upload.discard()
        if self.answer is None:
            self.on_close(self)
            return
        task = asyncio.Task(self._aclose(self.answer), loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            _CLOSING.add(task)
            task.add_done_callback(_CLOSING.discard)

    async def _aclose(self, answer: Answer) -> None:
        try:
            if self._peeking is not None:
                if not self._peeking.done():
                    self._peeking.cancel()
                    await asyncio.wait([self._peeking])
                if not self._peeking.cancelled():
                    self._peeking.exception()  # seen, or asyncio would complain that nobody did
            await answer.aclose()
        except Exception as error:  # noqa: BLE001 - closing is best effort, and said
            log.error("an upstream answer could not be closed: %s", type_and_place(error))  # noqa: TRY400 - as above
        finally:
            self.on_close(self)


_CLOSING: set[asyncio.Task[None]] = set()
"""The loop keeps weak references only."""


def _ignore(exchange: Exchange) -> None:
    """Nobody asked to be told."""
