"""Pictures, sound and files, named: what they are and how large, never their bytes.

Law: of base64 nothing is shown; of an address its query is left out, which may be a signature that opens it.
"""

from collections.abc import Sequence
from typing import Any

from codex_manager.core.conversation.documents import base64_size
from codex_manager.core.conversation.model import Block
from codex_manager.core.conversation.values import label, mapping, short


__all__ = ["address", "bytes_of", "media", "opaque", "size", "sound_of"]


def size(count: int) -> str:
    """`812 bytes`, `34.2 kB`, `1.4 MB`."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    for unit in ("kB", "MB", "GB"):
        count_in = count / 1000
        if count_in < 999.95 or unit == "GB":
            return f"{count_in:,.1f} {unit}"
        count = round(count_in)
    raise AssertionError


def media(what: str, *words: str) -> Block:
    """`[image: image/png, 34.2 kB]`."""
    said = ", ".join(word for word in words if word)
    return Block("media", f"[{what}: {said}]" if said else f"[{what}]")


def bytes_of(what: str, data: Any, kind: str = "") -> Block:
    """Something given as base64, or as a `data:` URL."""
    given = data if isinstance(data, str) else ""
    head, comma, rest = given.partition(",") if given[:5].lower() == "data:" else ("", "", "")
    if comma:
        kind, given = short(head[5:].partition(";")[0], 60) or kind, rest
    return media(what, kind, size(base64_size(given)))


def address(what: str, url: Any, *words: str) -> Block:
    """Something given by its address, which may hold it: then by its size."""
    given = url if isinstance(url, str) else ""
    if given[:5].lower() == "data:":
        named = bytes_of(what, given)
        extra = "".join(f", {word}" for word in words if word)
        return Block("media", f"{named.text[:-1]}{extra}]")
    place, mark, _ = given.partition("?")
    return media(what, short(place, 200) + ("?…" if mark else ""), *words)


def opaque(what: str, data: Any) -> Block:
    """What only OpenAI can read."""
    return media(what, f"encrypted, {size(base64_size(data))}" if isinstance(data, str) and data else "")


def sound_of(what: str, given: Any) -> Sequence[Block]:
    """Sound with what was said in it, where that is known: `{"id", "data", "format", "transcript"}`."""
    sound = mapping(given)
    found = []
    if isinstance(sound.get("data"), str):
        found.append(bytes_of(what, sound["data"], label(sound.get("format"))))
    elif sound.get("id"):
        found.append(media(what, label(sound["id"])))
    return found
