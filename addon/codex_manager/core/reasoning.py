"""Leaves encrypted reasoning out of a request, so that an account that cannot read it can go on with the conversation.

An item of reasoning goes as a whole: without its content OpenAI would look it up by its id, which the other account does not
have. What is not reasoning is never left out: a `compaction` holds the conversation itself, so a request with one that cannot
be read cannot be helped.

Law: pure; every other byte of the request stays as it is.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from codex_manager.core import json_bytes
from codex_manager.core.resources import digest


__all__ = ["Stripped", "without_reasoning"]

REASONING: Final = b'"reasoning"'


@dataclass(frozen=True, slots=True)
class Stripped:
    """A body without some of its reasoning."""

    body: bytes
    digests: frozenset[str]
    """Of what was left out."""


def without_reasoning(body: bytes, unreadable: Container[str] | None = None) -> Stripped | None:
    """The body without the encrypted reasoning that cannot be read (None: all of it); None where that is not possible.

    `body` is a request's JSON, or the frame of a WebSocket.
    """
    where = _input(body)
    items = None if where is None else json_bytes.items(body, where)
    if not items:
        return None
    gone: set[str] = set()
    kept: list[tuple[int, int]] = []
    for begin, end in items:
        named = _encrypted(body, begin)
        if named is None or (unreadable is not None and named[1] not in unreadable):
            kept.append((begin, end))
        elif named[0] != REASONING:
            return None
        else:
            gone.add(named[1])
    if not gone:
        return None
    text = b", ".join(body[begin:end] for begin, end in kept)
    return Stripped(body[: items[0][0]] + text + body[items[-1][1] :], frozenset(gone))


def _input(body: bytes) -> int | None:
    """Where the list of items begins: at the top, or in the `response` of a frame."""
    at = body.find(b"{")
    found = None if at < 0 else json_bytes.members(body, at)
    if found is not None and "input" not in found and "response" in found:
        found = json_bytes.members(body, found["response"][1])
    return None if found is None or "input" not in found else found["input"][1]


def _encrypted(body: bytes, at: int) -> tuple[bytes, str] | None:
    """Type and digest of an item with encrypted content; None of any other."""
    found = json_bytes.members(body, at)
    if found is None or "encrypted_content" not in found or "type" not in found:
        return None
    _, begin, end = found["encrypted_content"]
    if body[begin : begin + 1] != b'"':
        return None
    _, kind, kind_end = found["type"]
    return body[kind:kind_end], digest(body[begin + 1 : end - 1])
