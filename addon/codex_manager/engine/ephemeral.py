"""Ephemeral client secrets of Realtime: learned from the answers that issue them, and passed to the account that did.

A secret speaks for itself upstream; the account's own key is not sent with it. Law: nothing a secret does counts against
its account, because an expired secret says nothing about the account's key.
"""

import asyncio

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from codex_manager.core import marks
from codex_manager.core.client_secrets import ISSUERS, ClientSecrets
from codex_manager.core.openai_error import INVALID_API_KEY, ErrorAnswer
from codex_manager.core.routing import Facts
from codex_manager.engine.broken import Broken
from codex_manager.engine.decode import LARGEST, decoded
from codex_manager.engine.delivery import bad_request, delivered, own_answer, verbatim
from codex_manager.engine.identity import UnsendableError, lower_headers
from codex_manager.engine.kept import KeptError
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.transport import BodyFailedError, TransportError
from codex_manager.engine.websocket import with_session
from codex_manager.engine.websocket_link import LeasedLink


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["carry_ephemeral", "learning"]


def learning(answer: Answer, request: Request, secrets: ClientSecrets, now: float) -> Answer:
    """The answer, whose secrets are remembered as it passes by; before its last byte is out."""
    issued = request.method == "POST" and request.target.partition("?")[0] in ISSUERS
    if issued and answer.account_id is not None and answer.status < 300:
        encoding = lower_headers(answer.headers).get("content-encoding", "")
        answer.body = _read(answer.body, encoding, answer.account_id, secrets, now)
    return answer


async def _read(
    body: AsyncIterator[bytes], encoding: str, account_id: str, secrets: ClientSecrets, now: float
) -> AsyncIterator[bytes]:
    seen = b""
    async for piece in body:
        if len(seen) < LARGEST:
            seen += piece
            secrets.learn(decoded(seen, encoding), account_id, now)
        yield piece


async def carry_ephemeral(engine: "Engine", request: Request) -> Answer:
    """One attempt with the account that issued the request's secret."""
    assert request.ephemeral is not None
    now = engine.clock.monotonic()
    issuer = engine.client_secrets.issuer(request.ephemeral.reveal().encode(), now)
    candidate = next((c for c in engine.candidates if c.account.id == issuer), None)
    if candidate is None:
        text = "The account that issued this client secret is not known here any more."
        return own_answer(ErrorAnswer.of(INVALID_API_KEY, text))
    lease = engine.state.begin(candidate.account, candidate.origin, None, 0, now, free=True)
    try:
        upstream = await engine.send(candidate.account.id, request, fresh=False)
        try:
            marks.arrived(engine.state, lease, lower_headers(upstream.headers), engine.clock.monotonic())
            if upstream.status == 101:
                link = LeasedLink(engine, lease, upstream, candidate.account, request.message_limit)
                answer = delivered(engine, lease, upstream, candidate.account)
                return with_session(engine, request, Facts(), answer, link, fixed=True)
            if upstream.status < 400:
                return delivered(engine, lease, upstream, candidate.account)
            kept = await KeptError(upstream, candidate.account).read()
            engine.end(lease)
            return verbatim(kept)
        except BaseException:
            upstream.close()
            raise
    except TransportError as error:
        engine.end(lease)
        return own_answer(Broken(error, known_shut=False).answer())
    except (BodyFailedError, UnsendableError) as error:
        engine.end(lease)
        return own_answer(bad_request(f"This request cannot be sent: {error}."))
    except (Exception, asyncio.CancelledError):
        engine.end(lease)
        raise
