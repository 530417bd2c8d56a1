"""Pictures and sound."""

import json

from tests.core.conversation.bodies import sse

from codex_manager.core.conversation import Body, as_text, conversation_of


FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
    + b"\xff" * 2500
    + b"\r\n--XX--\r\n"
)
PICTURE = "iVBO" * 500


def told(path, answer, content_type="application/json", **options):
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return as_text(conversation_of(path, None, Body(data, content_type), **options))


def test_a_form():
    asked = Body(FORM, "multipart/form-data; boundary=XX")
    assert as_text(conversation_of("/v1/audio/transcriptions", asked), "request") == (
        "request: audio/transcriptions, whisper-1\nsettings: language en\n\nfiles: |\n  [file: 2.5 kB]"
    )
    cut = Body(FORM[:300], "multipart/form-data; boundary=XX")
    assert "that cannot be taken apart" in as_text(conversation_of("/v1/audio/transcriptions", cut), "request")


def test_pictures():
    path = "/v1/images/generations"
    body = {"model": "gpt-image-1", "prompt": "A cat", "n": 2, "size": "1024x1024"}
    assert as_text(conversation_of(path, Body(json.dumps(body).encode())), "request") == (
        "request: images/generations, gpt-image-1\nsettings: n 2, size 1024x1024\n\nprompt: |\n  A cat"
    )
    image = {"b64_json": PICTURE, "revised_prompt": "A grey cat"}
    usage = {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282}
    answer = {"data": [image, {"url": "https://x.org/a.png?se=SECRET"}], "output_format": "png", "size": "1024x1024"}
    text = told(path, {**answer, "quality": "low", "usage": usage})
    assert "image: |\n  [image: image/png, 1.5 kB, 1024x1024, low]\n  drawn from: A grey cat" in text
    assert "image: |\n  [image: https://x.org/a.png?…, 1024x1024, low]" in text
    assert "usage: 10 tokens in, 272 out (272 of images)" in text
    assert "SECRET" not in text


def test_a_picture_that_becomes_clearer():
    partial = {"type": "image_generation.partial_image", "b64_json": PICTURE, "partial_image_index": 0}
    done = {"type": "image_generation.completed", "b64_json": PICTURE, "output_format": "png", "size": "1024x1024"}
    text = told("/v1/images/generations", sse(partial, partial, done), "text/event-stream")
    assert text == "note: 2 images on the way\n\nimage: |\n  [image: image/png, 1.5 kB, 1024x1024]"


def test_transcripts():
    path = "/v1/audio/transcriptions"
    usage = {"type": "duration", "seconds": 3}
    verbose = {"text": "Good day.", "language": "english", "duration": 2.5, "segments": [{}, {}], "usage": usage}
    assert told(path, verbose) == (
        "transcript: |\n  Good day.\n  [english, 2.5 s, 2 segments]\n\nusage: 3.0 s of sound"
    )
    assert told(path, b"Good day.\n", "text/plain; charset=utf-8") == "transcript: |\n  Good day."
    deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in ("Good ", "day.")]
    assert "cut off before its end\n\ntranscript: |\n  Good day." in told(path, sse(*deltas), "text/event-stream")
    done = {"type": "transcript.text.done", "text": "Good day!", "usage": usage}
    assert "transcript: |\n  Good day!" in told(path, sse(*deltas, done), "text/event-stream")


def test_speech():
    path = "/v1/audio/speech"
    assert "answer: |\n  [audio: audio/mpeg, 24.0 kB]" in told(path, b"\xff\xf3" * 12_000, "audio/mpeg")
    part = as_text(conversation_of(path, None, Body(b"\xff" * 10, "audio/mpeg", (10, 24_000)), running=True))
    assert part.startswith("answer: still running\nnote: only the first 10 bytes of 24.0 kB were kept")
    delta = {"type": "speech.audio.delta", "audio": "AAAA" * 1000}
    text = told(path, sse(delta, delta, {"type": "speech.audio.done"}), "text/event-stream")
    assert text == "speech: |\n  [audio: 6.0 kB]"
