"""`replay.client`: a request in the list is sent once more, over whichever account serves it now.

An addon in the place of mitmproxy's own, which would connect to wherever the flow says, past accounts, limits and records. Knows
mitmproxy's flows and hooks, and a door. Law: a copy is sent, the flow that was there stays as it is; it goes through the door like a
request of a client on this machine, so it reaches the configured upstream and no other host; the local key is put in behind
the door and is in no flow. Whatever goes wrong ends in a flow that says so.
"""

import asyncio
import logging
import time

from collections.abc import Sequence
from typing import Final, Protocol

from mitmproxy import command, ctx, flow, hooks, http
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from codex_manager.core.errors import type_and_place
from codex_manager.engine.messages import Answer, Body, Headers, UpstreamCutError
from codex_manager.proxy import flows
from codex_manager.proxy.held import released
from codex_manager.proxy.incoming import Admission
from codex_manager.proxy.inspect.capture import Captured
from codex_manager.proxy.inspect.telling import KEY, Telling


__all__ = ["Again", "Replay"]

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"cookie"})
"""Headers that are made anew behind the door, or held a key."""
CUT: Final = "The upstream broke off in the middle of its answer."


class Again(Protocol):
    """The door, for requests that are sent once more (`codex_manager.proxy.runtime.Runtime`)."""

    @property
    def response_headers(self) -> bool:
        """Whether answers carry our own response headers."""
        ...

    def serves(self, host: str) -> bool:
        """Requests to this host are ours."""
        ...

    def admit_again(self, method: str, target: str, headers: Headers, length: int) -> Admission | Answer:
        """Judge it as a request of the local client; its key is put in here. Never raises."""
        ...

    async def carry(self, admission: Admission, body: Body) -> Answer:
        """Answer it."""
        ...

    def capture(self) -> int:
        """Bytes kept of an answer."""
        ...


class Replay:
    """See the module's docstring. Mutable state: what is on its way."""

    def __init__(self, door: Again) -> None:
        self.name = "codex_manager_replay"
        self._door = door
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)

    @command.command("replay.client")  # type: ignore[untyped-decorator]  # mitmproxy's
    def start(self, flows: Sequence[flow.Flow]) -> None:
        """Send requests once more; each answer is a new flow. Those that cannot be sent are named in the log."""
        for each in flows:
            if (why := self._unfit(each)) is not None:
                log.warning("not sent again: %s", why)
                continue
            assert isinstance(each, http.HTTPFlow)
            task = asyncio.get_running_loop().create_task(self._in_turn(_fresh(each)), name="replay")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    @command.command("replay.client.count")  # type: ignore[untyped-decorator]  # mitmproxy's
    def count(self) -> int:
        """How many requests that are sent again have not been answered yet."""
        return len(self._running)

    @command.command("replay.client.stop")  # type: ignore[untyped-decorator]  # mitmproxy's
    def stop(self) -> None:
        """Give up all of them."""
        for task in self._running:
            task.cancel()

    def done(self) -> None:
        """The master ends."""
        self.stop()

    def _unfit(self, each: flow.Flow) -> str | None:
        if not isinstance(each, http.HTTPFlow):
            return "only HTTP requests can be"
        if each.live or each.intercepted:
            return "the request is still on its way"
        if each.websocket is not None:
            return "a WebSocket is more than one request"
        if each.request.raw_content is None:
            return "the request's body was too large to be kept"
        if not self._door.serves(each.request.host):
            return "it is a request to a host that is not OpenAI's, and replays go nowhere else"
        return None

    async def _in_turn(self, sent: http.HTTPFlow) -> None:
        async with self._turn:
            sent.live = True
            try:
                await self._send(sent)
            except asyncio.CancelledError:
                sent.error = flow.Error(flow.Error.KILLED_MESSAGE)
                await _run(HttpErrorHook(sent))
                raise
            except Exception as error:  # noqa: BLE001 - the flow says that it failed, and the log where
                log.error("a replay failed: %s", type_and_place(error))  # noqa: TRY400 - a message may quote the request
                sent.error = flow.Error("The replay failed; the log says where.")
                await _run(HttpErrorHook(sent))
            finally:
                sent.live = False
                ctx.master.addons.trigger(hooks.UpdateHook([sent]))

    async def _send(self, sent: http.HTTPFlow) -> None:
        await _run(HttpRequestHeadersHook(sent))
        await _run(HttpRequestHook(sent))
        if sent.error is not None:
            await _run(HttpErrorHook(sent))
            return
        if sent.response is not None:  # another addon's
            await _run(HttpResponseHook(sent))
            return
        body = sent.request.raw_content or b""
        sent_at, client = time.time(), None
        verdict = self._judge(sent.request, body)
        if isinstance(verdict, Admission):
            client = verdict.client
            verdict = await self._door.carry(verdict, body)
        await self._receive(sent, verdict, client, sent_at)

    def _judge(self, request: http.Request, body: bytes) -> Admission | Answer:
        """As the other addons left it."""
        if not self._door.serves(request.host):
            raise ValueError("an addon has sent a replay elsewhere")
        headers = tuple(field for field in request.headers.fields if field[0].lower() not in FRAMING)
        return self._door.admit_again(request.method, request.path, headers, len(body))

    async def _receive(self, sent: http.HTTPFlow, answer: Answer, client: str | None, sent_at: float) -> None:
        try:
            response = sent.response = flows.response_of(answer, b"HTTP/1.1", identity=self._door.response_headers)
            told = Telling(sent, answer, client)
            told.begin(sent_at)
            await _run(HttpResponseHeadersHook(sent))
            kept = Captured(sent, self._door.capture(), tell=_tell)
            try:
                async for piece in answer.body:
                    kept.feed(piece)
                    if sent.error is not None:  # killed
                        break
            except UpstreamCutError:
                sent.error = flow.Error(CUT)
        finally:
            await answer.aclose()
        kept.end()
        told.end()
        response.timestamp_end = time.time()
        await _run(HttpResponseHook(sent) if sent.error is None else HttpErrorHook(sent))


def _fresh(original: http.HTTPFlow) -> http.HTTPFlow:
    """A flow with the same request, to which nothing has happened yet."""
    made: http.HTTPFlow = original.copy()
    made.is_replay = "request"
    made.response = made.error = None
    made.comment = made.marked = ""
    made.metadata.pop(KEY, None)
    made.timestamp_created = time.time()
    request = made.request
    request.headers.fields = flows.mask(request.headers.fields)  # somebody may have typed a key
    request.timestamp_start = request.timestamp_end = made.timestamp_created
    return made


async def _run(hook: commands.StartHook) -> None:
    """One of mitmproxy's hooks; a user may hold the flow in it."""
    await ctx.master.addons.handle_lifecycle(hook)
    (held,) = hook.args()
    await released(held)


def _tell(sent: http.HTTPFlow) -> None:
    ctx.master.addons.trigger(hooks.UpdateHook([sent]))
