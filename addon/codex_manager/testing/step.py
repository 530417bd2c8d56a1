"""What one scripted request meets: an answer, and what is done to it on its way out.

A `Step` says which answer is given (`answers` has the vocabulary); a `Toxic` changes how it travels (`toxics` has the
vocabulary). They compose with `|`: `ok() | delay(0.2) | slice_into(1)`. Both are frozen and shared freely.
"""

import dataclasses

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal


if TYPE_CHECKING:
    from codex_manager.testing.openai.request import Facts
    from codex_manager.testing.reply import Reply


__all__ = ["Cut", "Good", "Step", "Toxic", "Travel"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where an answer ends before its end."""

    kind: Literal["reset", "close", "hang"]
    """TCP reset, orderly close, or silence until the client leaves."""
    at: int
    of: Literal["wire", "body", "pieces"]
    """What `at` counts: bytes of the whole answer, bytes after the head, or pieces of a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """How an answer travels. The defaults are a healthy network; `toxics` names the rest."""

    delay_s: float = 0.0
    """Before the first byte of the head."""
    body_delay_s: float = 0.0
    """Between head and body."""
    slice_bytes: int = 0
    """Write in segments of this many bytes; 0 is as one likes."""
    slice_pause_s: float = 0.0
    cut: Cut | None = None
    early: bool = False
    """Answer as soon as the request's head is here, without reading its body."""
    close: Literal["", "announced", "silent"] = ""
    """After the answer: close having said `Connection: close`, or without having said so."""
    encoding: str = ""
    """Encode the body: gzip, deflate, br, zstd."""
    extra_headers: tuple[tuple[str, str], ...] = ()


HEALTHY = Travel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """The endpoint's own good answer, with what can be varied about it."""

    text: str | None = None
    """What the model says; by default it names the model and the request's digest."""
    chunks: int = 4
    """Deltas of a stream."""
    every_s: float = 0.0
    """Pause between the pieces of a stream."""
    stamped: bool = False
    """Each event of a stream carries `sent_ns`, the monotonic clock when it was written."""
    error: tuple[str, str, int] | None = None
    """An error inside the 200: code, message, and the number of deltas before it."""
    usage: Mapping[str, Any] | None = None
    """Put over the usage the answer would report; a total that is not given follows."""
    pending: int = 1
    """Times that what is done in the background (a response, a batch) is found unfinished."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Step:
    """One scripted answer. `reply` is None for the endpoint's own good answer."""

    name: str
    reply: "Callable[[Facts], Reply] | None" = None
    good: Good = field(default_factory=Good)
    travel: Travel = HEALTHY

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __or__(self, toxic: "Toxic") -> "Step":
        travel = dataclasses.replace(self.travel, **toxic.changes)  # type: ignore[arg-type]  # made by `toxics` only
        return dataclasses.replace(self, name=f"{self.name} | {toxic.name}", travel=travel)


@dataclass(frozen=True, slots=True, repr=False)
class Toxic:
    """A change of how an answer travels. Alone in a script it applies to the good answer."""

    name: str
    changes: dict[str, object]

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __or__(self, other: "Toxic") -> "Toxic":
        return Toxic(f"{self.name} | {other.name}", {**self.changes, **other.changes})
