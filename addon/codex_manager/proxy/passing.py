"""Requests that are not ours and go on as they came: with a key of the client's own, or to another host in plain HTTP.

Knows the transport and the dialer, nothing of accounts. Law: what is the client's stays the client's: its key, its
cookies, its headers but those of the hop; no second attempt; nothing of ours is added. A host that is not one of ours is
judged like a tunnel's, and reached at the address that was judged.
"""

import time

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from codex_manager.engine.engine import HANDSHAKE_S
from codex_manager.engine.identity import new_websocket_key, switching
from codex_manager.engine.messages import Answer, Body
from codex_manager.engine.transport import (
    BodyFailedError,
    Endpoint,
    Timeouts,
    Transport,
    TransportError,
    Trouble,
    UpstreamAnswer,
    UpstreamRequest,
)
from codex_manager.engine.websocket_link import Link
from codex_manager.engine.websocket_pipe import PassedSession
from codex_manager.proxy import faults
from codex_manager.proxy.answers import plain_answer
from codex_manager.proxy.destination import Destination
from codex_manager.proxy.dialer import Dialer, DialError
from codex_manager.proxy.forward import unreachable
from codex_manager.proxy.incoming import Admission, Incoming, Limits
from codex_manager.proxy.strip import hop_by_hop
from codex_manager.proxy.upgrade import asks_websocket, check_upgrade


__all__ = ["Passing"]

EXTENSIONS = (b"sec-websocket-extensions",)
BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class Passing:
    """Carries admissions that have a passage."""

    def __init__(self, transport: Transport, dialer: Dialer, timeouts: Callable[[], Timeouts]) -> None:
        self._transport = transport
        self._dialer = dialer
        self._timeouts = timeouts

    async def carry(self, admission: Admission, body: Body) -> Answer:
        """One attempt. Cancel to give up."""
        assert admission.passage is not None
        scheme, host, port = admission.passage
        incoming = admission.incoming
        websocket = asks_websocket(incoming)
        refusal = check_upgrade(incoming) if websocket else None
        if refusal is not None:
            return plain_answer(refusal.status, refusal.body, headers=refusal.headers)
        try:
            place = host if scheme == "https" else await self._place(Destination(host, port))
            request = _request(Endpoint(scheme, place, port), incoming, body, Endpoint(scheme, host, port).authority)
            timeouts = self._timeouts()
            if websocket:
                request, timeouts = _switching(request), replace(timeouts, header=min(timeouts.header, HANDSHAKE_S))
            answer = await self._transport.send(request, timeouts)
            session = _session(answer) if answer.status == 101 else None
        except DialError as error:
            return unreachable(Destination(host, port), error)
        except TransportError as error:
            status = 504 if error.trouble is Trouble.TIMEOUT else 502
            return faults.fault(status, f"This request could not be passed on: {error}.", "destination_unreachable")
        except (BodyFailedError, UnicodeError) as error:
            return faults.fault(400, f"This request cannot be sent: {error}.", "invalid_http_request")
        passed = _answer(answer)
        if session is not None:
            passed.session, passed.aclose = session, session.aclose
        return passed

    async def _place(self, destination: Destination) -> str:
        """The address that was judged; the name itself where a company's proxy looks it up."""
        addresses = await self._dialer.judged(destination)
        return destination.host if self._dialer.through_proxy else str(addresses[0][4][0])


def _request(endpoint: Endpoint, incoming: Incoming, body: Body, authority: str) -> UpstreamRequest:
    gone = hop_by_hop(incoming.headers) | {b"host", b"content-length", b"transfer-encoding", b"expect"}
    headers = [(name, value) for name, value in incoming.headers if name.lower() not in gone]
    length = incoming.content_length
    if incoming.chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    elif isinstance(body, bytes) and (body or length is not None or incoming.method not in BODILESS):
        headers.append((b"Content-Length", b"%d" % len(body)))
    elif not isinstance(body, bytes):
        headers.append((b"Content-Length", b"%d" % (length or 0)))
    return UpstreamRequest(
        endpoint=endpoint,
        method=incoming.method.encode("ascii"),
        target=incoming.target.encode("utf-8", "surrogateescape"),
        headers=((b"Host", authority.encode("ascii")), *headers),
        body=body,
        chunked=incoming.chunked,
        content_length=length,
    )


def _session(answer: UpstreamAnswer) -> PassedSession:
    try:
        return PassedSession(Link(answer, Limits().replay_body_bytes))
    except BaseException:
        answer.close()
        raise


def _switching(request: UpstreamRequest) -> UpstreamRequest:
    """The same request, asking for a WebSocket of our own."""
    key = new_websocket_key()
    asking = switching(request.headers, key)
    kept = tuple(header for header in request.headers if header[0].lower() not in {*asking, *EXTENSIONS})
    return replace(request, headers=(*kept, *asking.items()), websocket_key=key)


def _answer(answer: UpstreamAnswer) -> Answer:
    gone = hop_by_hop(answer.headers)

    async def aclose() -> None:
        answer.close()

    return Answer(
        status=answer.status,
        reason=answer.reason or _phrase(answer.status),
        headers=tuple((name, value) for name, value in answer.headers if name.lower() not in gone),
        body=answer.__aiter__(),
        aclose=aclose,
        upstream_address=answer.address,
        first_byte_at=time.time(),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
