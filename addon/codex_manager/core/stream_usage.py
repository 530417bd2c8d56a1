"""Asking a stream for its usage where the client did not, and taking the answer out again.

A streamed chat says what it used only when `stream_options.include_usage` is set. `inject` sets it in the request's
bytes; the upstream then sends one more event with the figures and adds `"usage":null` to all others. `UsageRemover`
takes out both, and the client reads what it would have read without us.

Law: bytes are inserted and cut out, never written anew, so that whatever else is in a request or an event stays as it
was sent. Whatever looks unusual is left alone: then the usage is estimated, which is better than a broken stream.
"""

import json
import re

from typing import Any, Final

from codex_manager.core.json_bytes import members


__all__ = ["UsageRemover", "inject"]

# --- the request ----------------------------------------------------------------------------------------------------

_ASK: Final = b'"stream_options":{"include_usage":true},'
_BEGIN: Final = re.compile(rb"\s*+(?:\xef\xbb\xbf)?\s*+\{(?!\x00)")


def inject(body: bytes, *, streams: bool | None = None, options: bool | None = None) -> bytes | None:
    """The request with the question for usage in it; None when there is nothing to ask or the body is odd.

    `streams` and `options`: what `core.body.facts` found in this very body (`stream`, `stream_options`), so that it need
    not be parsed again.
    """
    if streams is False:
        return None
    opening = _BEGIN.match(body)
    if opening is None:
        return None
    at = opening.end()
    if streams and options is False:
        return body[:at] + _ASK + body[at:]
    return _injected_with_care(body, at)


class _Members(list[tuple[str, Any]]):
    """An object as it is written: a name may occur twice."""

    def all(self, name: str) -> list[Any]:
        return [value for key, value in self if key == name]


def _injected_with_care(body: bytes, at: int) -> bytes | None:
    try:
        document = json.loads(body, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, _Members) or document.all("stream") != [True]:
        return None
    options = document.all("stream_options")
    if not options:
        return body[:at] + _ASK + body[at:]
    if len(options) > 1:
        return None
    place = (members(body, at - 1) or {}).get("stream_options")
    if place is None:
        return None
    _, begin, end = place
    if options[0] is None:
        return body[:begin] + b'{"include_usage":true}' + body[end:]
    if not isinstance(options[0], _Members):
        return None
    asked = options[0].all("include_usage")
    if not asked:
        comma = b"," if options[0] else b""
        return body[: begin + 1] + b'"include_usage":true' + comma + body[begin + 1 :]
    if len(asked) > 1 or (asked[0] is not False and asked[0] is not None):
        return None
    inner = (members(body, begin) or {}).get("include_usage")
    return None if inner is None else body[: inner[1]] + b"true" + body[inner[2] :]


# --- the answer -----------------------------------------------------------------------------------------------------

LONGEST_EVENT: Final = 1024 * 1024
"""Bytes. A chunk of a chat has hundreds, one with a second of audio a hundred thousand."""
_LAST: Final = b',"usage":null}\n\n'
_END: Final = re.compile(rb"\n\r?\n|\r\r")
_NULL: Final = re.compile(
    # The member, then only plain members up to the object's end: so it is one of the object itself.
    rb'"usage"\s*+:\s*+null(?=(?:\s*+,\s*+"[^"\\\n]*+"\s*+:\s*+(?:"(?:[^"\\\n]++|\\.)*+"|[\w.+-]++))*+\s*+\}[ \t]*+[\r\n])'
)


class UsageRemover:
    """Cuts out of a stream what was only added because `inject` asked for it."""

    __slots__ = ("_held", "_passing", "_searched")

    def __init__(self) -> None:
        self._held = bytearray()
        """The beginning of an event whose end has not come."""
        self._searched = 0
        """Up to where it has no end."""
        self._passing = False
        """The event was too long to be held: its rest goes on as it comes."""

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the stream; returns those that may go on to the client."""
        if not self._held and not self._passing and 0 < data.find(b"\n\n") == len(data) - 2:
            # One event by itself, as OpenAI flushes them; mostly the member is the last of its object.
            if (
                data.endswith(_LAST)
                and data.find(b'"usage"') == len(data) - len(_LAST) + 1
                and data.startswith(b"data:")
            ):
                return data[: -len(_LAST)] + b"}\n\n"
            return _without_usage(data)
        held = self._held
        held += data
        out: list[bytes] = []
        begin = 0
        while (end := _END.search(held, max(self._searched, begin))) is not None:
            event = bytes(held[begin : end.end()])
            begin = end.end()
            self._searched = begin
            out.append(event if self._passing else _without_usage(event))
            self._passing = False
        del held[:begin]
        self._searched = max(len(held) - 2, 0)
        if self._passing or len(held) > LONGEST_EVENT:
            # The last bytes stay, so that an end that is cut in two is still seen.
            self._passing = True
            keep = min(len(held), 2)
            out.append(bytes(held[: len(held) - keep]))
            del held[: len(held) - keep]
            self._searched = 0
        return b"".join(out)

    def close(self, *, cut: bool = False) -> bytes:
        """The stream is over: what is still held. Of one that was cut nothing: half an event says nothing, and may be what was added."""
        rest = bytes(self._held)
        self._held.clear()
        self._searched = 0
        if self._passing:
            return rest
        return b"" if cut else _without_usage(rest)


def _without_usage(event: bytes) -> bytes:
    """An event without what `inject` caused in it; as it is where it has none of it."""
    at = event.find(b'"usage"')
    if at < 0 or len(event) > LONGEST_EVENT:
        return event
    null = _NULL.match(event, at)
    if null is not None and event.startswith(b"data:"):
        before = event[:at].rstrip(b" \t")
        if before.endswith(b",") and event.find(b'"usage"', null.end()) < 0:
            return before[:-1] + event[null.end() :]
    return _taken_apart(event)


def _taken_apart(event: bytes) -> bytes:
    """The same for an event that has its members in another order, or the figures themselves."""
    line = event.find(b"data:")
    if line != 0 and event[line - 1 : line] not in {b"\n", b"\r"}:
        return event
    begin = event.find(b"{", line)
    if begin < 0 or event[line + 5 : begin].strip(b" \t"):
        return event
    end = min((at for at in (event.find(b"\n", begin), event.find(b"\r", begin)) if at >= 0), default=len(event))
    if b"data:" in event[end : end + 7]:  # the data goes on in another line
        return event
    try:
        document = json.loads(event[begin:end], object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return event
    usage = document.all("usage") if isinstance(document, _Members) else []
    if len(usage) != 1:
        return event
    if usage[0] is None:
        return _without_member(event, begin, "usage")
    if isinstance(usage[0], _Members) and document.all("choices") == [[]]:
        return b""
    return event


def _without_member(event: bytes, begin: int, name: str) -> bytes:
    place = (members(event, begin) or {}).get(name)
    if place is None:
        return event
    before, after = event[: place[0]].rstrip(b" \t"), event[place[2] :]
    if before.endswith(b","):
        return before[:-1] + after
    rest = after.lstrip(b" \t")
    return event[: place[0]] + (rest[1:].lstrip(b" \t") if rest.startswith(b",") else after)
