"""Opens a WebSocket for a client: the handshake is carried over the accounts like any request, then a session begins."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from codex_manager.core.pricing import ZERO
from codex_manager.core.routing import Facts
from codex_manager.core.session import told_key
from codex_manager.core.socket_events import model_in
from codex_manager.engine.carry import Carriage
from codex_manager.engine.identity import lower_headers
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.websocket_link import LeasedLink
from codex_manager.engine.websocket_realtime import RealtimeSession
from codex_manager.engine.websocket_responses import ResponsesSession
from codex_manager.engine.websocket_tally import realtime_asked


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["RESPONSES", "open_session", "with_session"]

RESPONSES = "/v1/responses"


async def open_session(engine: "Engine", request: Request) -> Answer:
    """The answer to a handshake: a 101 with its session, or what there is to say instead."""
    path = request.target.partition("?")[0]
    model = None if path == RESPONSES else model_in(request.target)
    session = told_key(request.client, model, lower_headers(request.headers))
    need = ZERO
    if path != RESPONSES and engine.metering.is_on:
        need = engine.metering.need(realtime_asked(model))
    facts = Facts(model=model, access=model or path, session=session, need=need)
    answer, link = await Carriage(engine, request, facts=facts).open()
    return answer if link is None else with_session(engine, request, facts, answer, link)


def with_session(
    engine: "Engine", request: Request, facts: Facts, answer: Answer, link: LeasedLink, *, fixed: bool = False
) -> Answer:
    """The 101 with what goes on after it."""
    kind = ResponsesSession if request.target.partition("?")[0] == RESPONSES else RealtimeSession
    answer.session = session = kind(engine, request, facts, link, fixed=fixed)
    answer.body = _nothing()
    answer.aclose = session.aclose
    return answer


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece
