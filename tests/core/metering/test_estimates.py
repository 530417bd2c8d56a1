"""An estimate is never nothing, and says that it is one."""

import pytest

from tests.core.metering.shapes import metering

from codex_manager.core.endpoint import describe
from codex_manager.core.metering import NO_UNITS, Units, estimated
from codex_manager.core.metering.units import FREE
from codex_manager.core.usage import Usage


SPEECH = Units(characters=300, spoken_s=20.0)
DRAWING = Units(images=2, image_kind="standard 1024x1024")
SOUND = Units(heard_s=30.0)
FILM = Units(heard_s=8.0, image_kind="1280x720")


@pytest.mark.parametrize(
    ("asked", "out", "units", "model", "expected"),
    [
        (100, 20, NO_UNITS, "gpt-4o", Usage(input=100, output=20)),
        (0, 0, NO_UNITS, "", Usage(input=1)),
        (0, 5, NO_UNITS, "", Usage(output=5)),
        (100, -5, NO_UNITS, "", Usage(input=100)),
        (100, 0, SPEECH, "tts-1-hd", Usage(characters=300)),
        (100, 0, SPEECH, "gpt-4o-mini-tts", Usage(input=75, output=416, output_audio=416)),
        (9, 0, DRAWING, "dall-e-3", Usage(images=2, image_kind="standard 1024x1024")),
        (9, 0, DRAWING, "gpt-image-1", Usage(input=9, output=8320, output_image=8320)),
        (0, 0, SOUND, "whisper-1", Usage(seconds=30.0)),
        (0, 0, SOUND, "", Usage(seconds=30.0)),
        (0, 80, SOUND, "gpt-4o-transcribe", Usage(input=300, input_audio=300, output=80)),
        (9, 0, FILM, "sora-2", Usage(seconds=8.0, image_kind="1280x720")),
    ],
)
def test_by_the_unit_the_model_is_billed_by(asked, out, units, model, expected):
    usage = estimated(asked, out, units=units, model=model, tier="flex")
    assert usage.estimated
    assert (usage.model, usage.tier) == (model, "flex")
    assert estimated(asked, out, units=units) != Usage()
    assert usage == Usage(**{
        **{name: getattr(expected, name) for name in Usage.__slots__}, "model": model, "tier": "flex", "estimated": True,
    })  # fmt: skip


def test_what_is_free_costs_nothing_and_is_no_estimate():
    assert estimated(1000, 5, units=FREE, model="omni-moderation-latest") == Usage(model="omni-moderation-latest")


def test_speech_by_the_character_is_known_from_its_first_byte():
    meter = metering(describe("POST", "/v1/audio/speech"), "audio/mpeg", units=SPEECH, model="tts-1")
    assert meter.usage() is None
    meter.feed(b"\xff\xfb")
    assert meter.usage() == Usage(characters=300)
    assert meter.finished


def test_speech_by_the_token_is_estimated_from_its_text():
    meter = metering(describe("POST", "/v1/audio/speech"), "audio/mpeg", units=SPEECH, model="gpt-4o-mini-tts")
    meter.feed(b"\xff\xfb" * 1000)
    assert meter.usage() is None
    assert meter.estimate(100).output_audio == 416


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1\n00:00:00,000 --> 00:00:03,319\nThe beach\n\n2\n00:59:58,000 --> 01:00:04,500\nwas popular\n\n", 3604.5),
        (b"WEBVTT\n\n00:00.000 --> 00:12.340\nThe beach\n", 12.34),
        (b"no times at all", 30.0),
        (b"", 30.0),
    ],
)
def test_subtitles_say_how_long_the_sound_was(text, seconds):
    meter = metering(describe("POST", "/v1/audio/transcriptions"), "text/plain", units=SOUND, model="whisper-1")
    for byte in text:
        meter.feed(bytes([byte]))
    assert meter.estimate(0) == Usage(seconds=seconds, model="whisper-1", estimated=True)
