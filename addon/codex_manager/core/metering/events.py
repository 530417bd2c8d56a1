"""What an event of a WebSocket says of the use of one answer.

The same objects as over HTTP, in the events that end an answer: Responses turns, Realtime responses, and what Realtime
heard written down, which another model does and bills by itself.
"""

from typing import Any, Final

from codex_manager.core.metering.figures import read_usage
from codex_manager.core.metering.kinds import RESPONSES, Seen
from codex_manager.core.usage import Usage


__all__ = ["ENDS", "event_usage"]

ENDS: Final = frozenset({
    "response.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "conversation.item.input_audio_transcription.completed",
})  # fmt: skip
"""The types of events that `event_usage` reads."""
_TRANSCRIBER: Final = "gpt-4o-transcribe"
"""The dearest of the models that Realtime lets write down what it hears, for when the session's is not known."""


def event_usage(event: dict[str, Any], *, transcriber: str = "") -> Usage | None:
    """The figures of an event; None when it has none. `transcriber`: the session's model for what it hears, if known."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in ENDS:
        return None
    if kind == "conversation.item.input_audio_transcription.completed":
        said = event.get("usage")
        by_time = isinstance(said, dict) and said.get("type") == "duration"
        return read_usage(said, model=transcriber or ("whisper-1" if by_time else _TRANSCRIBER), hears=True)
    seen = Seen()
    RESPONSES.read(seen, event)
    return seen.usage
