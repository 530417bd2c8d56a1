"""A few small members of a JSON document of any size, read as its bytes pass by.

Answers carry photographs in base64, thousands of floats and whole conversations around the forty bytes that say what
they cost. A `Skimmer` is told which members are wanted, keeps those, and steps over the rest without holding it.

Law: never raises; at most `HELD` bytes and `ITEMS` items are kept whatever the document; what is found is what
`json.loads` finds at the same places (of a member given twice, the last), also when the document is cut off: then what
came whole. A document that is not JSON yields whatever is taken for a member; its reader must believe no value.
"""

import json
import re

from typing import Any, Final

from codex_manager.core.json_bytes import BALANCED, ITEM, MEMBER, PLAIN, name_of


__all__ = ["EACH", "KEEP", "Skimmer", "Wanted"]

type Wanted = str | dict[str, Wanted] | list[Wanted]
"""What is wanted of a value: `KEEP` all of it, of an object some members, of an array something of each item. `EACH` of
an array's items keeps a None, so that they can be counted.
"""
KEEP: Final = "keep"
EACH: Final = "each"

HELD: Final = 32 * 1024
"""Bytes of kept values together. The longest `usage` object has under 1 KiB."""
ITEMS: Final = 1024
"""Items of all arrays together. A response that called tools more often than this has run for days."""
LONGEST_KEY: Final = 4096
"""A wanted member's name has under 32 bytes; nobody names the ones beside it with thousands."""

_OPENED: Final = re.compile(rb"[\[{]++")
_BOM: Final = b"\xef\xbb\xbf"

_QUOTE, _BRACE, _BRACKET = b'"{['
_BETWEEN, _STRING, _NESTED, _PLAIN, _OVER = range(5)
"""Where the next byte belongs: between values of a wanted container; into a string; into a container that is stepped
over or kept; into a number or a literal; behind the end (or there was no beginning).
"""


class Skimmer:
    """Feed it a document in pieces; `found` has what was wanted of it so far."""

    __slots__ = (
        "_depth",
        "_escaped",
        "_held",
        "_items",
        "_kept",
        "_place",
        "_rest",
        "_stack",
        "_state",
        "_wanted",
        "found",
        "is_whole",
    )

    def __init__(self, wanted: dict[str, Wanted]) -> None:
        self.found: dict[str, Any] = {}
        self.is_whole = False
        """The document came to its end."""
        self._wanted = wanted
        self._state = _BETWEEN
        self._stack: list[tuple[dict[str, Wanted] | list[Wanted], dict[str, Any] | list[Any]]] = []
        """The wanted containers that are open, outermost first."""
        self._place: str | None = None
        """Name of the member whose value is being read; None for an item."""
        self._depth = 0
        """Of what is stepped over or kept, inside the innermost wanted container."""
        self._escaped = False
        """A backslash was the last byte of a string's piece."""
        self._kept: list[bytes] | None = None
        """Pieces of the value being read, if it is kept."""
        self._held = 0
        self._items = 0
        self._rest = b""
        """The beginning of a name that is not complete."""

    def feed(self, data: bytes) -> None:
        """The next piece, of any length."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        while at < end:
            state = self._state
            if state == _BETWEEN:
                at = self._between(data, at)
            elif state == _STRING:
                at = self._string(data, at)
            elif state == _NESTED:
                at = self._nested(data, at)
            elif state == _PLAIN:
                at = self._plain(data, at)
            else:
                return

    def _between(self, data: bytes, at: int) -> int:
        """Up to the beginning of the next value, or to the end of a container."""
        if not self._stack:
            return self._begin(data, at)
        wanted, container = self._stack[-1]
        found = (MEMBER if isinstance(wanted, dict) else ITEM).match(data, at)
        if found is None:
            if len(data) - at > LONGEST_KEY:
                self._state = _OVER
            else:
                self._rest = data[at:]
            return len(data)
        at = found.end()
        if found[1] is not None:
            self._stack.pop()
            if not self._stack:
                self._state = _OVER
                self.is_whole = True
            return at
        if isinstance(wanted, dict):
            self._place = name_of(found[2])
            part = wanted.get(self._place)
            if part is not None and isinstance(container, dict):
                container.pop(self._place, None)  # given twice: the last counts, even if it is not kept
        else:
            self._place = None
            part = wanted[0]
        return self._value(data, at, part, container)

    def _begin(self, data: bytes, at: int) -> int:
        """The document's opening brace, after white space or a byte order mark."""
        head = data[at:].lstrip()
        if head.startswith(_BOM):
            head = head[3:].lstrip()
        if head[:1] == b"{":
            self._stack.append((self._wanted, self.found))
            return len(data) - len(head) + 1
        if len(head) < 3 and _BOM.startswith(head):
            self._rest = head
        else:
            self._state = _OVER
        return len(data)

    def _value(self, data: bytes, at: int, part: Wanted | None, container: dict[str, Any] | list[Any]) -> int:
        """A value begins: go into it, keep it, or step over it."""
        first = data[at]
        if self._place is None:
            self._items += 1
            if self._items > ITEMS:
                part = None
        if (isinstance(part, dict) and first == _BRACE) or (isinstance(part, list) and first == _BRACKET):
            inner: dict[str, Any] | list[Any] = {} if first == _BRACE else []
            self._put(container, inner)
            self._stack.append((part, inner))
            return at + 1
        if part == EACH:
            self._put(container, None)
        self._kept = [] if part == KEEP else None
        self._depth = 0
        if first == _QUOTE:
            self._state = _STRING
        elif first in {_BRACE, _BRACKET}:
            self._state = _NESTED
            self._depth = 1
        elif first in b"]},:":  # no value begins so
            self._state = _OVER
            return at
        else:
            self._state = _PLAIN
            return at
        self._keep(data, at, at + 1)
        return at + 1

    def _string(self, data: bytes, at: int) -> int:
        """Up to the quote that ends the string. Only the C functions look at its bytes, however many there are."""
        begin = at
        if self._escaped:
            self._escaped = False
            at += 1
        while True:
            quote = data.find(b'"', at)
            end = quote if quote >= 0 else len(data)
            odd = (end - at - len(data[at:end].rstrip(b"\\"))) % 2 if data[end - 1 : end] == b"\\" and end > at else 0
            if quote < 0:
                self._escaped = bool(odd)
                self._keep(data, begin, end)
                return end
            at = quote + 1
            if not odd:
                break
        self._keep(data, begin, at)
        self._state = _NESTED
        if not self._depth:
            self._close()
        return at

    def _nested(self, data: bytes, at: int) -> int:
        """Up to the end of a container, or into a string of it that goes on in the next piece."""
        begin = at
        while True:
            run = BALANCED.match(data, at)
            at = run.end() if run is not None else at  # it matches the empty text at least
            if at == len(data):
                self._keep(data, begin, at)
                return at
            byte = data[at]
            if byte == _QUOTE:
                at += 1
                self._keep(data, begin, at)
                self._state = _STRING
                return at
            opened = _OPENED.match(data, at)
            if opened is not None:
                self._depth += opened.end() - at
                at = opened.end()
                continue
            at += 1
            self._depth -= 1
            if not self._depth:
                self._keep(data, begin, at)
                self._close()
                return at

    def _plain(self, data: bytes, at: int) -> int:
        run = PLAIN.match(data, at)
        end = run.end() if run is not None else at
        self._keep(data, at, end)
        if end < len(data):
            self._close()
        return end

    def _keep(self, data: bytes, begin: int, end: int) -> None:
        if self._kept is not None:
            self._held += end - begin
            if self._held > HELD:
                self._kept = None
            else:
                self._kept.append(data[begin:end])

    def _close(self) -> None:
        """The value is over."""
        self._state = _BETWEEN
        if self._kept is None:
            return
        raw, self._kept = b"".join(self._kept), None
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            return
        self._put(self._stack[-1][1], value)

    def _put(self, container: dict[str, Any] | list[Any], value: Any) -> None:
        if isinstance(container, list):
            container.append(value)
        elif self._place is not None:
            container[self._place] = value
