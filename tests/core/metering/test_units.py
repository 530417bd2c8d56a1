"""What a request says of prices that are not by the token."""

import io
import json
import random
import struct
import wave

import pytest

from codex_manager.core.endpoint import describe
from codex_manager.core.metering import NO_UNITS, Units, request_units
from codex_manager.core.metering.sound import duration
from codex_manager.core.metering.units import FREE, image_tokens


def units(path: str, body, content_type: str = "application/json", method: str = "POST") -> Units:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    return request_units(describe(method, f"/v1/{path}"), content_type, raw)


def form(file: bytes = b"", **fields: str) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return b"".join(parts) + (head + file + b"\r\n" if file else b"") + b"--x--\r\n"


FORM = "multipart/form-data; boundary=x"


def wav(seconds: float, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\0" * int(seconds * rate))
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("audio/speech", {"input": "é" * 30, "model": "tts-1"}, Units(characters=30, spoken_s=2.0)),
        ("audio/speech", {"input": "x" * 30, "speed": 2}, Units(characters=30, spoken_s=1.0)),
        ("audio/speech", {"input": "x" * 30, "speed": "fast"}, Units(characters=30, spoken_s=2.0)),
        ("audio/speech", {"input": ["x"]}, NO_UNITS),
        ("audio/speech", b"{", NO_UNITS),
        ("audio/speech", b"[]", NO_UNITS),
        ("images/generations", {"prompt": "x"}, Units(images=1, image_kind="standard 1024x1024")),
        (
            "images/generations",
            {"n": 3, "size": "1024x1792", "quality": "hd"},
            Units(images=3, image_kind="hd 1024x1792"),
        ),
        (
            "images/generations",
            {"n": 10**9, "size": 5, "quality": "auto"},
            Units(images=100, image_kind="standard 1024x1024"),
        ),
        ("images/generations", {"n": True}, Units(images=1, image_kind="standard 1024x1024")),
        ("images/generations", {"n": -1, "size": "auto"}, Units(images=1, image_kind="standard 1024x1024")),
        ("videos", {"seconds": "8", "size": "1280x720"}, Units(heard_s=8.0, image_kind="1280x720")),
        ("videos", {"prompt": "x"}, Units(heard_s=4.0, image_kind="720x1280")),
        ("moderations", {"input": "x"}, FREE),
        ("chat/completions", {"n": 3, "input": "x"}, NO_UNITS),
        ("responses", {"input": "x"}, NO_UNITS),
    ],
)
def test_json_requests(path, body, expected):
    assert units(path, body) == expected


def test_forms():
    drawing = form(b"png", n="2", size="512x512", prompt="x" * 100)
    assert units("images/edits", drawing, FORM) == Units(images=2, image_kind="standard 512x512")
    assert units("audio/transcriptions", form(wav(3), model="whisper-1"), FORM) == Units(heard_s=3.0)
    assert units("audio/translations", form(wav(1.5)), FORM) == Units(heard_s=1.5)
    assert units("audio/transcriptions", b"no form", FORM) == NO_UNITS
    assert units("audio/transcriptions", form(model="whisper-1"), FORM) == NO_UNITS


def test_what_is_not_asked_for_or_not_at_hand_has_no_units():
    assert units("videos", {"seconds": "8"}, method="GET") == NO_UNITS
    assert request_units(describe("POST", "/v1/audio/speech"), "application/json", None) == NO_UNITS
    assert request_units(describe("POST", "/v1/audio/speech"), None, b"") == NO_UNITS


def test_images_take_as_many_tokens_as_the_guide_says():
    assert image_tokens(Units(images=2, image_kind="low 1024x1024")) == 544
    assert image_tokens(Units(images=1, image_kind="medium 1024x1536")) == 1584
    assert image_tokens(Units(images=1, image_kind="standard 1024x1024")) == 4160, "unsaid: the dearest"


# --- how long a sound is --------------------------------------------------------------------------------------------


def flac(seconds: float) -> bytes:
    packed = 44100 << 44 | 1 << 41 | 15 << 36 | int(seconds * 44100)
    return b"fLaC\0\0\0\x22" + struct.pack(">HH", 4096, 4096) + b"\0" * 6 + struct.pack(">Q", packed) + b"\0" * 60_000


def ogg(seconds: float) -> bytes:
    def page(position: int, body: bytes) -> bytes:
        return b"OggS\0\0" + struct.pack("<q", position) + b"\0" * 12 + b"\1" + bytes([len(body)]) + body

    return page(0, b"OpusHead\1\1\0\0\x80\xbb\0\0\0\0\0") + b"\0" * 40_000 + page(int(seconds * 48000), b"end")


def mp4(seconds: float, wide: bool) -> bytes:
    head = b"\0\0\0\x20ftypM4A \0\0\0\0" + b"\0" * 16
    if wide:
        moov = b"mvhd\1\0\0\0" + b"\0" * 16 + struct.pack(">IQ", 1000, int(seconds * 1000))
    else:
        moov = b"mvhd\0\0\0\0" + b"\0" * 8 + struct.pack(">II", 1000, int(seconds * 1000))
    return head + b"\0" * 100_000 + moov


def mp3(seconds: float, frames: int | None = None, tag: bool = False) -> bytes:
    """64 kbit/s, MPEG 1 layer III, 44.1 kHz."""
    begin = b"ID3\4\0\0\0\0\1\0" + b"\0" * 128 if tag else b""
    info = b"\0" * 32 + b"Xing" + struct.pack(">II", 1, frames) if frames else b""
    frame = b"\xff\xfb\x50\xc0" + info
    return begin + frame + b"\0" * (int(seconds * 8000) - len(frame))


@pytest.mark.parametrize(
    ("file", "seconds"),
    [
        (wav(2.5), 2.5),
        (wav(60, rate=1000), 60.0),
        (flac(12), 12.0),
        (ogg(9), 9.0),
        (mp4(20, wide=False), 20.0),
        (mp4(20, wide=True), 20.0),
        (mp3(10), 10.0),
        (mp3(10, tag=True), 10.0),
        (mp3(10, frames=766), 20.0),
        (b"\x1aE\xdf\xa3" + b"\0" * 39_996, 10.0),
        (b"", 0.0),
    ],
)
def test_a_sound_says_how_long_it_is(file, seconds):
    assert duration(memoryview(file)) == pytest.approx(seconds, rel=0.01)


def test_a_file_is_not_believed_to_be_longer_than_it_can_be():
    assert duration(memoryview(flac(10**6))) < 100
    assert duration(memoryview(mp4(4 * 10**6, wide=False))) < 100


def test_broken_files_have_some_length():
    rng = random.Random(5)
    for make in (wav(1), flac(1), ogg(1), mp4(1, wide=True), mp3(1, frames=38, tag=True)):
        for _ in range(60):
            broken = bytearray(make[: rng.choice((4, 13, 30, 64, len(make)))])
            for _ in range(3):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            assert 0 <= duration(memoryview(bytes(broken))) <= len(broken) / 250 + 1
