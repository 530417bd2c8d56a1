"""JSON as bytes: where its members and values begin and end, without building them.

For who must change a few bytes of a document and leave all others as they are, or read a few members of one that is too
large to parse. Knows UTF-8 only. Patterns take what they can and never go back (possessive), so no document is slow.
"""

import json
import re

from typing import Final


__all__ = ["BALANCED", "ITEM", "MEMBER", "PLAIN", "items", "members", "name_of"]

MEMBER: Final = re.compile(rb'[\s,]*+(?:(\})|"((?:[^"\\]++|\\.)*+)"\s*+:\s*+(?=\S))', re.DOTALL)
"""Inside an object: its end (group 1), or a name (group 2) up to the first byte of the value."""
ITEM: Final = re.compile(rb"[\s,]*+(?:(\])|(?=[^\s,\]]))")
"""Inside an array: its end (group 1), or up to the first byte of the next item."""
PLAIN: Final = re.compile(rb"[^\s,\]}]*+")
"""A number, `true`, `false` or `null`."""
STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'


def _balanced(levels: int) -> bytes:
    """A pattern for all that opens and closes in balance, so many levels deep."""
    inner = rb"|[\[{]" + _balanced(levels - 1) + rb"[\]}]" if levels else b""
    return rb'(?:[^"\[\]{}]++|' + STRING + inner + rb")*+"


BALANCED: Final = re.compile(_balanced(4), re.DOTALL)
"""Up to a bracket that has no counterpart here, or a quote that opens a string without an end. Four levels take the
items of `logprobs` in one step, which makes stepping over them three times as quick.
"""
_STRING: Final = re.compile(STRING, re.DOTALL)


def name_of(raw: bytes) -> str:
    """A member's name as JSON means it; `raw` is what stands between its quotes."""
    if b"\\" in raw:
        try:
            return str(json.loads(b'"' + raw + b'"'))
        except ValueError:
            return ""
    return raw.decode("utf-8", "replace")


def members(document: bytes, at: int) -> dict[str, tuple[int, int, int]] | None:
    """The members of the object whose opening brace is at `at`: where the name's quote, the value, and its end are.

    Of a name given twice, the last. None for what is not an object or is cut off; values are not looked into.
    """
    found: dict[str, tuple[int, int, int]] = {}
    if document[at : at + 1] != b"{":
        return None
    at += 1
    while (member := MEMBER.match(document, at)) is not None:
        if member[1] is not None:
            return found
        begin = member.end()
        end = _end_of_value(document, begin)
        if end < 0:
            return None
        found[name_of(member[2])] = (member.start(2) - 1, begin, end)
        at = end
    return None


def items(document: bytes, at: int) -> list[tuple[int, int]] | None:
    """Where each item of the array begins and ends whose opening bracket is at `at`. None for what is not an array or is cut off."""
    found: list[tuple[int, int]] = []
    if document[at : at + 1] != b"[":
        return None
    at += 1
    while (item := ITEM.match(document, at)) is not None:
        if item[1] is not None:
            return found
        begin = item.end()
        at = _end_of_value(document, begin)
        if at <= begin:
            return None
        found.append((begin, at))
    return None


def _end_of_value(document: bytes, at: int) -> int:
    """Where a value ends; -1 if it does not."""
    first = document[at]
    if first == 0x22:
        string = _STRING.match(document, at)
        return -1 if string is None else string.end()
    if first not in b"{[":
        plain = PLAIN.match(document, at)
        return -1 if plain is None else plain.end()
    depth = 0
    while True:
        if document[at] in b"{[":
            depth += 1
        elif document[at] in b"}]":
            depth -= 1
        else:
            return -1  # a string without an end
        at += 1
        if not depth:
            return at
        run = BALANCED.match(document, at)
        at = run.end() if run is not None else at
        if at >= len(document):
            return -1
