"""A conversation as it can be read: who said what, which tools were called, how it ended, what it used.

Plain values, made by the readers beside this file and written down by `core.conversation.text`. Law: no base64 and no
key is ever in it; pictures, sound and files are named by what they are and how large.
"""

from dataclasses import dataclass, field
from typing import Literal

from codex_manager.core.usage import Usage


__all__ = ["Bill", "Block", "Conversation", "Kind", "Problem", "Side", "State", "Turn"]

type Kind = Literal["text", "reasoning", "refusal", "call", "result", "media", "note"]
type State = Literal["none", "whole", "running", "cut"]
"""Of an answer: there is none yet; it came to its end; it is still coming; it ended before its end."""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of what somebody said."""

    kind: Kind
    text: str = ""
    name: str = ""
    """Of the tool that is called."""
    ref: str = ""
    """The id by which a call and its result belong together."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of them said at a time."""

    role: str
    blocks: tuple[Block, ...]
    note: str = ""
    """What tells it from others of its role: `choice 2`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as OpenAI, or codex-manager in its manner, words it."""

    message: str
    type: str = ""
    code: str = ""
    param: str = ""


@dataclass(slots=True)
class Side:
    """What the request, or its answer, says; readers fill it."""

    model: str = ""
    settings: list[str] = field(default_factory=list)
    """The request's, in the API's own words: `temperature 0.2`."""
    tools: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    ending: str = ""
    """Why an answer ended, in the API's own word: `stop`, `completed`, `incomplete (max_output_tokens)`."""
    usage: Usage | None = None
    problem: Problem | None = None
    notes: list[str] = field(default_factory=list)
    id: str = ""
    finished: bool = False
    """The answer said that this is its end."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What codex-manager counted; None where it did not."""

    usd: float | None = None
    estimated: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request and its answer."""

    endpoint: str
    """`chat/completions`, `responses` …"""
    request: Side | None = None
    answer: Side | None = None
    state: State = "none"
    status: int = 0
    """The answer's, where it is known."""
    bill: Bill = field(default_factory=Bill)
    is_socket: bool = False
    """The answer holds both sides, in the order in which they spoke."""
