"""Two sets of colours of our own, calm ones, and which of them `ui.theme` means. Others are in the command palette."""

import os

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme


__all__ = ["DARK", "LIGHT", "THEMES", "theme_for"]

DARK: Final = "codex-dark"
LIGHT: Final = "codex-light"
THEMES: Final = (
    Theme(
        name=DARK,
        primary="#4c9df3",
        secondary="#7f8ea3",
        accent="#56c8d8",
        success="#6cc58b",
        warning="#e3b262",
        error="#ef7d7d",
        foreground="#d5dae1",
        background="#101318",
        surface="#171b22",
        panel="#1d232c",
        dark=True,
    ),
    Theme(
        name=LIGHT,
        primary="#1264b8",
        secondary="#5b6675",
        accent="#0b7285",
        success="#1f7a42",
        warning="#8f5b00",
        error="#b42323",
        foreground="#1c2128",
        background="#fbfbfa",
        surface="#f1f2f4",
        panel="#e4e7eb",
        dark=False,
    ),
)


def theme_for(wanted: str, environ: Mapping[str, str] = os.environ) -> str:
    """The theme for a value of `ui.theme`; for `system` a light one only where the terminal says that it is light."""
    if wanted in {"dark", "light"}:
        return LIGHT if wanted == "light" else DARK
    background = environ.get("COLORFGBG", "").rpartition(";")[2]  # rxvt, Konsole, iTerm2: `15;0` is white on black
    return LIGHT if background in {"7", "15"} else DARK
