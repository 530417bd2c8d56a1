"""What a message may quote of somebody's input. Pure."""

from typing import Final

from codex_manager.core.secret import mask_keys


__all__ = ["shorten"]

LOOKED_AT: Final = 4096
"""Characters looked through for keys beyond those that are shown; no key is longer."""


def shorten(text: str, limit: int = 40) -> str:
    """What a message may quote of somebody's input: printable, never a wall of it, and no key in the wrong place."""
    text = mask_keys(text[: limit + LOOKED_AT])
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: limit + 1])
    return shown if len(text) <= limit else shown[:limit] + "…"
