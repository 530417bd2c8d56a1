"""What the events of a WebSocket say of use."""

import pytest

from tests.core.metering.shapes import EVENTS

from codex_manager.core.metering import event_usage
from codex_manager.core.usage import Usage


@pytest.mark.parametrize(("schema", "event", "usage"), EVENTS)
def test_an_event_says_what_was_used(schema, event, usage):
    assert event_usage(event) == usage


def test_who_writes_down_what_is_heard_has_its_own_price():
    event = {
        "type": "conversation.item.input_audio_transcription.completed",
        "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 2},
    }
    assert event_usage(event, transcriber="gpt-4o-mini-transcribe") == Usage(
        input=5, input_audio=5, output=2, model="gpt-4o-mini-transcribe"
    )


@pytest.mark.parametrize(
    "event",
    [
        {}, {"type": None}, {"type": []}, {"type": "response.done"}, {"type": "response.done", "response": None},
        {"type": "response.done", "response": {"usage": None}}, {"type": "response.created", "response": {"usage": {"input_tokens": 1}}},
        {"type": "response.completed", "usage": {"input_tokens": 1}}, {"type": "session.updated"}, {"type": "error", "usage": {}},
        {"type": "conversation.item.input_audio_transcription.completed", "usage": 3},
    ],
)  # fmt: skip
def test_other_events_say_nothing(event):
    assert event_usage(event) is None
