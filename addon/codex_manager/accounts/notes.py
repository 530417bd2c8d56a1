"""What somebody should hear about a change that works: said as it happens on a terminal, gathered for a page."""

from collections.abc import Callable
from dataclasses import dataclass


__all__ = ["Note", "Tell"]


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence, lower-case, without a full stop."""

    text: str
    is_warning: bool = False


type Tell = Callable[[Note], None]
"""Takes each note when it is due."""
