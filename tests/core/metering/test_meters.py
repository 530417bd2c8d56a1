"""What an answer used is read from its bytes: from every shape, however they come, and from nothing else."""

import json
import random
import tracemalloc

from dataclasses import replace

import pytest

from tests.core.metering.shapes import ANSWERS, STREAMS, WHOLE, data_line, fed, metering, split

from codex_manager.core.endpoint import describe
from codex_manager.core.usage import Usage


CHAT = describe("POST", "/v1/chat/completions")
RESPONSES = describe("POST", "/v1/responses")
STREAM = "text/event-stream; charset=utf-8"

# Every schema of the specification with a `usage` (grep for it there), but four: RunStepObject and EvalRunOutputItem
# report parts of what their run reports; AuditLog and the vector stores use the word for something else.
WITH_USAGE = {
    "Batch", "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "CreateCompletionResponse",
    "CreateEmbeddingResponse", "CreateTranscriptionResponseDiarizedJson", "CreateTranscriptionResponseJson",
    "CreateTranscriptionResponseVerboseJson", "EvalRun", "ImageEditCompletedEvent", "ImageGenCompletedEvent",
    "ImagesResponse", "Response", "RunGraderResponse", "RunObject", "SpeechAudioDoneEvent", "TranscriptTextDoneEvent",
    "CompactResource", "BetaCompactResource", "BetaResponse", "FineTuningJob",
}  # fmt: skip


def chat():
    return metering(CHAT, STREAM, model="gpt-4o")


def test_every_schema_that_reports_usage_is_here():
    assert {shape.schema for shape in ANSWERS} >= WITH_USAGE


@pytest.mark.parametrize("shape", ANSWERS, ids=lambda shape: shape.name)
def test_an_answer_says_what_it_used(shape):
    meter = fed(shape.meter, [shape.body])
    assert meter.usage() == shape.usage
    assert meter.finished


@pytest.mark.parametrize("shape", ANSWERS, ids=lambda shape: shape.name)
def test_an_answer_says_the_same_byte_by_byte(shape):
    if len(shape.body) > 8192:
        pytest.skip("the random splits cut it")
    assert fed(shape.meter, split(shape.body, range(1, len(shape.body)))).usage() == shape.usage


@pytest.mark.parametrize("shape", WHOLE, ids=lambda shape: shape.name)
def test_a_document_says_the_same_when_it_is_large(shape):
    """Above 16 KiB it is stepped through, not parsed."""
    text = shape.body.decode().rstrip()
    for large in (
        '{"padding": "' + 'x\\"\\\\' * 9000 + '", ' + text[1:],
        text[:-1] + ', "padding": [' + '{"a": [1, "]", {}]}, ' * 2000 + "0]}",
    ):
        for pieces in ([large.encode()], split(large.encode(), range(0, len(large.encode()), 1000))):
            meter = fed(shape.meter, pieces)
            assert meter.usage() == shape.usage
            assert meter.finished


def check_splits(count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        shape = rng.choice(STREAMS) if rng.random() < 0.7 else rng.choice(WHOLE)
        cuts = [rng.randrange(len(shape.body) + 1) for _ in range(rng.choice((1, 2, 5, 20, 60)))]
        meter = fed(shape.meter, split(shape.body, cuts))
        assert meter.usage() == shape.usage, (shape.name, cuts)
        assert meter.finished, (shape.name, cuts)


def test_cuts_anywhere_change_nothing():
    check_splits(300, seed=1)


@pytest.mark.slow
def test_ten_thousand_cuts_anywhere_change_nothing():
    check_splits(10_000, seed=2)


@pytest.mark.parametrize("shape", STREAMS, ids=lambda shape: shape.name)
@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_streams_of_other_servers_are_read_too(shape, ending):
    """Other line ends, no space behind the colon, comments between events."""
    text = shape.body.decode().replace("data: ", "data:").replace("\n\n", "\n\n: keep-alive\n\n").replace("\n", ending)
    assert fed(shape.meter, [text.encode()]).usage() == shape.usage


@pytest.mark.parametrize("shape", WHOLE, ids=lambda shape: shape.name)
def test_a_document_that_is_cut_off_says_nothing_wrong(shape):
    """Up to its last brace an answer says what it used, or nothing yet."""
    for end in range(len(shape.body) // 2, len(shape.body), 11):
        usage = fed(shape.meter, [shape.body[:end]]).usage()
        if usage is not None and usage.total + usage.seconds:  # names may come behind the figures
            assert replace(usage, tier="", model="") == replace(shape.usage, tier="", model="")


def test_what_is_asked_in_between_changes_nothing():
    for shape in WHOLE:
        meter = shape.meter
        for piece in split(shape.body, range(0, len(shape.body), 50)):
            meter.feed(piece)
            meter.usage()
            _ = meter.finished, meter.status, meter.object_id
        assert meter.usage() == shape.usage


# --- names and states -----------------------------------------------------------------------------------------------


def test_a_background_response_is_open_until_it_is_shown_completed():
    queued = {"id": "resp_1", "object": "response", "status": "queued", "background": True, "usage": None, "output": []}
    made = fed(metering(RESPONSES, "application/json"), [json.dumps(queued).encode()])
    assert (made.object_id, made.status, made.finished, made.usage(), made.settles) == (
        "resp_1",
        "queued",
        False,
        None,
        False,
    )

    done = {**queued, "status": "completed", "model": "gpt-5", "usage": {"input_tokens": 5, "output_tokens": 7}}
    shown = metering(describe("GET", "/v1/responses/resp_1"), "application/json")
    fed(shown, [json.dumps(done).encode()])
    assert (shown.object_id, shown.status, shown.finished, shown.settles) == ("resp_1", "completed", True, True)
    assert shown.usage() == Usage(input=5, output=7, model="gpt-5")


def test_a_streamed_response_has_a_name_before_it_has_figures():
    meter = metering(RESPONSES, STREAM)
    created = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "model": "gpt-5"}}
    meter.feed(data_line(created).encode())
    assert (meter.object_id, meter.status, meter.finished) == ("resp_1", "in_progress", False)
    assert meter.estimate(10) == Usage(input=10, model="gpt-5", estimated=True)


def test_a_failed_response_without_figures_is_over():
    meter = metering(RESPONSES, STREAM)
    failed = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "usage": None}}
    meter.feed(data_line(failed).encode())
    assert (meter.finished, meter.usage()) == (True, None)


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling"])
def test_a_batch_says_nothing_before_it_is_over(status):
    meter = metering(describe("GET", "/v1/batches/batch_1"), "application/json")
    zero = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    meter.feed(json.dumps({"id": "batch_1", "status": status, "usage": zero}).encode())
    assert (meter.usage(), meter.finished) == (None, False)


def test_jobs_that_failed_cost_nothing():
    for path in ("/v1/batches/batch_1", "/v1/videos/video_1", "/v1/fine_tuning/jobs/ftjob-1"):
        meter = metering(describe("GET", path), "application/json")
        meter.feed(json.dumps({"id": "x", "status": "failed", "model": "m"}).encode())
        usage = meter.usage()
        assert usage is not None
        assert (usage.total, usage.seconds, usage.model) == (0, 0.0, "m")


def test_a_stream_that_draws_several_images_counts_them_all():
    meter = metering(describe("POST", "/v1/images/generations"), STREAM, model="gpt-image-1")
    event = {"type": "image_generation.completed", "usage": {"input_tokens": 5, "output_tokens": 100}}
    meter.feed((data_line(event) * 2).encode())
    assert meter.usage() == Usage(input=10, output=200, output_image=200)


def test_models_that_search_before_they_answer_are_billed_for_it():
    said = {"model": "gpt-4o-search-preview-2025-03-11", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    meter = fed(metering(CHAT, "application/json", model="gpt-4o-search-preview"), [json.dumps(said).encode()])
    usage = meter.usage()
    assert usage is not None
    assert usage.calls == (("web_search_preview", 1),)


def test_the_older_search_costs_more_with_models_that_do_not_reason():
    usage = {"input_tokens": 1, "output_tokens": 2}
    for model, name in (("gpt-4.1-2025-04-14", "web_search_preview"), ("o4-mini", "web_search")):
        said = {
            "id": "resp_1", "status": "completed", "model": model, "usage": usage,
            "tools": [{"type": "web_search_preview_2025_03_11"}],
            "output": [{"type": "web_search_call", "action": {"type": "search"}}],
        }  # fmt: skip
        figures = fed(metering(RESPONSES, "application/json"), [json.dumps(said).encode()]).usage()
        assert figures is not None
        assert figures.calls == ((name, 1),)


# --- estimates ------------------------------------------------------------------------------------------------------


def chunk(content: str) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return data_line({"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [delta]}).encode()


def test_a_chat_that_breaks_off_is_estimated_by_its_tokens():
    meter = fed(chat(), [chunk(""), *[chunk("token ") for _ in range(100)]])
    assert meter.usage() is None
    assert 100 <= meter.output_estimate() <= 160
    assert meter.estimate(50) == Usage(
        input=50, output=meter.output_estimate(), model="gpt-4o-2024-08-06", estimated=True
    )


def test_a_server_that_sends_many_tokens_at_once_is_estimated_by_the_length():
    meter = fed(chat(), [chunk(""), *[chunk("four" * 50) for _ in range(10)]])
    assert 450 <= meter.output_estimate() <= 550


def test_a_response_that_breaks_off_is_estimated_by_its_tokens():
    event = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": "token "}
    meter = fed(metering(RESPONSES, STREAM), [b"event: response.output_text.delta\n" + data_line(event).encode()] * 100)
    assert 100 <= meter.output_estimate() <= 150


def test_a_document_without_usage_is_estimated_by_its_length():
    said = {"choices": [{"message": {"content": "word " * 400}}]}
    meter = fed(metering(CHAT, "application/json", model="gpt-4o"), [json.dumps(said).encode()])
    assert meter.usage() is None
    assert 300 <= meter.output_estimate() <= 600


def test_vectors_are_no_output():
    meter = metering(describe("POST", "/v1/embeddings"), "application/json", model="text-embedding-3-small")
    meter.feed(b'{"data":[{"embedding":[' + b"0.1," * 5000)
    assert meter.estimate(7) == Usage(input=7, model="text-embedding-3-small", estimated=True)


# --- hostile --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        None, [], "many", 7, True, {}, {"input_tokens": None}, {"input_tokens": -5, "output_tokens": "9"},
        {"prompt_tokens": 1e400, "completion_tokens": float("nan")}, {"input_tokens": 10**300}, {"seconds": "NaN"},
        {"seconds": -1}, {"input_tokens": True}, {"input_tokens": [1]}, {"input_tokens_details": 3, "input_tokens": {}},
    ],
)  # fmt: skip
def test_nonsense_counts_as_nothing(usage):
    for endpoint in ("chat/completions", "responses", "images/generations", "audio/transcriptions", "embeddings"):
        body = json.dumps({"usage": usage}).encode()
        said = fed(metering(describe("POST", f"/v1/{endpoint}"), "application/json"), [body]).usage()
        assert said is None or (said.total == 0 and said.seconds == 0)


def test_a_part_is_never_more_than_its_whole():
    said = {
        "input_tokens": 10, "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99, "audio_tokens": 7, "image_tokens": 99,
                                 "cached_tokens_details": {"audio_tokens": 50, "image_tokens": 50}},
        "output_tokens_details": {"reasoning_tokens": 99, "audio_tokens": 4, "image_tokens": 99},
    }  # fmt: skip
    body = json.dumps({"id": "resp_1", "status": "completed", "usage": said}).encode()
    usage = fed(metering(RESPONSES, "application/json"), [body]).usage()
    assert usage is not None
    assert (usage.cached, usage.cache_write, usage.input_audio, usage.input_image) == (10, 0, 7, 3)
    assert (usage.cached_audio, usage.cached_image) == (7, 3)
    assert (usage.reasoning, usage.output_audio, usage.output_image) == (5, 4, 1)


def test_usage_in_a_text_is_no_usage():
    trap = '{"usage": {"prompt_tokens": 999, "completion_tokens": 999}} data: {"usage": {}} \n\ndata: [DONE]\n\n'
    assert fed(chat(), [chunk(trap)] * 3).usage() is None
    said = {
        "choices": [{"message": {"content": trap, "usage": {"prompt_tokens": 999}}}],
        "metadata": {"usage": {"total_tokens": 9}},
    }
    assert fed(metering(CHAT, "application/json"), [json.dumps(said).encode()]).usage() is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\0", b"{", b"}", b"[]", b"null", b'"', b"{]", b'{"usage"', b'{"usage":', b'{"usage":{', b'{"usage":}',
        b"<html>", b"data", b"data:", b"data: ", b"data: {\n\n", b"data: []\n\n", b"data: {}\n\n", b"\n" * 1000, b"\r" * 1000,
        b"data: " + b"[" * 5_000 + b"\n\n", b'{"a":' + b"[" * 5_000, b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"' + b"k" * 50_000 + b'":1}', b'{"a":"' + b"\\" * 50_001, b'{"a":' + b"9" * 50_000 + b"}", b"x" * 100_000,
        b": " + b"comment" * 10_000 + b"\n\n", b'{"usage":' + b'{"a":' * 500, b"\xff\xfe{\0}\0", b"\xef\xbb\xbf",
        b'{"usage":{"input_tokens":1}' + b" " * 100_000, b'data: {"usage":{"prompt_tokens":' + b"9" * 50_000 + b"}}\n\n",
    ],
)  # fmt: skip
def test_whatever_comes_nothing_is_raised(body):
    for endpoint in (
        "chat/completions",
        "responses",
        "images/generations",
        "audio/speech",
        "audio/transcriptions",
        "threads/runs",
    ):
        for content_type in ("application/json", STREAM, "text/plain", "audio/mpeg", "", None):
            for step in (len(body) or 1, 4096) if len(body) > 4096 else (1,):
                meter = metering(describe("POST", f"/v1/{endpoint}"), content_type, model="m")
                fed(meter, split(body, range(step, len(body), step)))
                usage = meter.usage()
                assert usage is None or usage.total <= 1
                assert meter.estimate(5).total >= 5
                _ = meter.finished, meter.status, meter.object_id


def test_random_bytes_raise_nothing():
    rng = random.Random(3)
    for _ in range(300):
        shape = rng.choice(ANSWERS)
        if len(shape.body) > 8000:
            continue
        body = bytearray(shape.body)
        for _ in range(rng.randrange(1, 30)):
            body[rng.randrange(len(body))] = rng.choice(b'"{}[]\\:,\n\0\xff0truens')
        cuts = [rng.randrange(len(body)) for _ in range(5)]
        meter = fed(shape.meter, split(bytes(body), cuts))
        meter.usage()
        assert meter.output_estimate() >= 0


@pytest.mark.parametrize(
    ("path", "content_type", "begin", "piece", "end"),
    [
        ("images/generations", "application/json", b'{"data":[{"b64_json":"', b"A" * 65536, b'"}],"usage":{"input_tokens":3}}'),
        ("images/generations", STREAM, b'data: {"type":"image_generation.completed","b64_json":"', b"A" * 65536,
         b'","usage":{"input_tokens":3}}\n\n'),
        ("embeddings", "application/json", b'{"data":[{"embedding":[', b"0.123456789," * 5461, b'0]}],"usage":{"prompt_tokens":3}}'),
        ("responses", "application/json", b'{"status":"completed","output":[', b'{"type":"message","a":[{"b":"c"}]},' * 1900,
         b'{}],"usage":{"input_tokens":3}}'),
        ("chat/completions", STREAM, b'data: {"choices":[],"metadata":{', b'"k":{"a":[1,2]},' * 4096,
         b'"z":0},"usage":{"prompt_tokens":3}}\n\n'),
        ("audio/transcriptions", STREAM, b": ", b"comment " * 8192, b'\n\ndata: {"type":"transcript.text.done","usage":{"input_tokens":3}}\n\n'),
        ("chat/completions", "application/json", b'{"usage":{"prompt_tokens":3},"', b"k" * 65536, b'":1}'),
    ],
    ids=["image", "image stream", "vectors", "many items", "large event", "comment", "long name"],
)  # fmt: skip
def test_no_answer_is_held_in_memory(path, content_type, begin, piece, end):
    """A megabyte passes by; 64 KiB may stay."""
    meter = metering(describe("POST", f"/v1/{path}"), content_type, model="m")
    meter.feed(begin)
    meter.feed(piece)
    tracemalloc.start()
    try:
        for _ in range(8):
            meter.feed(piece)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept <= 64 * 1024
    assert peak <= 64 * 1024 + 4 * len(piece)  # while a piece is looked at
    meter.feed(end)
    usage = meter.usage()
    assert usage is not None
    assert usage.input == 3


@pytest.mark.slow
def test_a_hundred_thousand_events_leave_no_trace():
    meter = fed(chat(), [chunk("x")])
    event = chunk("token")
    for _ in range(1000):
        meter.feed(event)
    tracemalloc.start()
    try:
        for _ in range(100_000):
            meter.feed(event)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept <= 4096
