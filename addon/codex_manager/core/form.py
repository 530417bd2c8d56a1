"""The parts of a `multipart/form-data` body, by where they are: nothing is copied and files are not looked into.

Law: never raises; None for what claims to be a form and is not.
"""

import re

from dataclasses import dataclass


__all__ = ["Part", "parts"]

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,100})"|([^\s";,]{1,100}))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"^content-disposition\s*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(rb'[;\s]name\s*=\s*(?:"([^"\r\n]{0,100})"|([^\s";]{1,100}))', re.IGNORECASE)
_FILE = re.compile(rb"[;\s]filename\*?\s*=", re.IGNORECASE)
_MOST_PARTS = 256
_LONGEST_HEAD = 8192


@dataclass(frozen=True, slots=True)
class Part:
    """One field or file; `begin` and `end` are where its content is in the body."""

    name: str
    is_file: bool
    begin: int
    end: int


def parts(content_type: str, body: bytes) -> list[Part] | None:
    """The named parts in their order."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return None
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("utf-8", "replace")
    found: list[Part] = []
    at = 0 if body.startswith(delimiter) else _next(body, delimiter, 0)
    if at < 0:
        return None
    for _ in range(_MOST_PARTS):
        at += len(delimiter)
        if body.startswith(b"--", at):  # the closing delimiter
            break
        head_end = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        following = _next(body, delimiter, max(head_end, at))
        if head_end < 0 or following < 0:
            return None
        disposition = _DISPOSITION.search(body[at:head_end])
        head = disposition[1] if disposition else b""
        name = _NAME.search(head)
        if name is not None:
            text = (name[1] or name[2] or b"").decode("utf-8", "replace")
            found.append(Part(text, _FILE.search(head) is not None, head_end + 4, max(following - 2, head_end + 4)))
        at = following
    return found


def _next(body: bytes, delimiter: bytes, begin: int) -> int:
    """Where the next delimiter line begins; one that goes on with other letters is a file's own bytes."""
    while (at := body.find(b"\r\n" + delimiter, begin)) >= 0:
        after = at + 2 + len(delimiter)
        if body[after : after + 2] in {b"--", b"\r\n"} or body[after : after + 1] in {b" ", b"\t"}:
            return at + 2
        begin = after
    return -1
