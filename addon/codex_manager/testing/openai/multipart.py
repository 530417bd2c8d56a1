"""Reads multipart/form-data as SDKs send it; lenient where a body was cut to what the journal keeps."""

import re

from dataclasses import dataclass
from email.message import Message


__all__ = ["Part", "fields"]

DISPOSITION = re.compile(
    rb'content-disposition:[^\r\n]*?\bname="([^"]*)"(?:[^\r\n]*?\bfilename="([^"]*)")?', re.IGNORECASE
)
CONTENT_TYPE = re.compile(rb"content-type:\s*([^\r\n;]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form."""

    content: bytes
    filename: str | None
    content_type: str | None


def fields(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields by name, the last of equal names; empty where the form cannot be read."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        return {}
    found: dict[str, Part] = {}
    for raw in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if raw.startswith(b"--"):
            break
        head, separator, content = raw.partition(b"\r\n\r\n")
        match = DISPOSITION.search(head)
        if not separator or match is None:
            continue
        filename = match[2].decode("utf-8", "replace") if match[2] is not None else None
        kind = CONTENT_TYPE.search(head)
        found[match[1].decode("utf-8", "replace")] = Part(content, filename, kind[1].decode() if kind else None)
    return found
