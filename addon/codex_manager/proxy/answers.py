"""Answers of our own: small, complete, in OpenAI's shape where they are errors.

Law: no CORS header ever, `Content-Length` always, and a HEAD gets the headers of the GET without its body.
"""

import json

from collections.abc import AsyncIterator
from http import HTTPStatus

from codex_manager.engine.messages import Answer, Headers


__all__ = ["json_answer", "plain_answer"]


def plain_answer(
    status: int,
    body: bytes,
    *,
    headers: Headers = (),
    head: bool = False,
    content_type: bytes = b"application/json",
    failure: str = "",
) -> Answer:
    """An answer whose whole body is at hand; JSON if nothing else is said. `failure` is the code of a refusal."""
    own = (
        (b"Content-Type", content_type),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
    )
    return Answer(
        status=status,
        reason=HTTPStatus(status).phrase,
        headers=own + headers,
        body=_once(b"" if head else body),
        aclose=_nothing,
        failure=failure,
    )


def json_answer(status: int, document: object, *, headers: Headers = (), head: bool = False) -> Answer:
    """The same from a document."""
    return plain_answer(status, json.dumps(document).encode(), headers=headers, head=head)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _nothing() -> None:
    """Nothing is held open for an answer of our own."""
