"""What counts as output, what as a failure before it, and the bounds of holding back."""

import json
import random

import pytest

from codex_manager.core.failure import FailureClass
from codex_manager.core.hold import MOST_BYTES, MOST_EVENTS, Hold, Holding, JsonHold, holds, late_failure


def sse(*events, named=True, end="\n\n"):
    parts = []
    for event in events:
        name = f"event: {event['type']}{end[: len(end) // 2]}" if named and "type" in event else ""
        parts.append(f"{name}data: {json.dumps(event)}{end}")
    return "".join(parts).encode()


CREATED = {"type": "response.created", "response": {"id": "resp_1", "instructions": "x" * 3000}}
PROGRESS = {"type": "response.in_progress", "response": {"id": "resp_1"}}
DELTA = {"type": "response.output_text.delta", "delta": "h"}
LIMITED = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed",
           "error": {"code": "rate_limit_exceeded", "message": "Rate limit reached. Please try again in 1.898s."}}}  # fmt: skip
OVERLOADED = {"type": "error", "code": "server_is_overloaded", "message": "Our servers are currently overloaded."}


def chunk(delta=None, finish=None, **more):
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **more,
    }


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})


def judge(data, size=None):
    hold = Hold()
    for at in range(0, len(data), size or len(data)):
        hold.feed(data[at : at + (size or len(data))])
    return hold


@pytest.mark.parametrize(
    "events",
    [
        [CREATED], [CREATED, PROGRESS], [ROLE], [chunk()], [{"choices": [], "usage": None}], [{"type": "codex.rate_limits"}],
        [{"object": "text_completion", "choices": [{"index": 0, "text": "", "finish_reason": None}]}], [{"type": "response.queued"}],
    ],
)  # fmt: skip
def test_announcements_are_held(events):
    assert judge(sse(*events)).state is Holding.HOLD
    assert judge(sse(*events, named=False)).state is Holding.HOLD


@pytest.mark.parametrize(
    "event",
    [
        DELTA, chunk({"content": "h"}), chunk({"tool_calls": [{"index": 0}]}), chunk({"refusal": "no"}), chunk({}, "stop"),
        chunk({"reasoning_content": "hm"}), {"type": "response.output_item.added"}, {"type": "response.completed"}, {"anything": 1},
        {"object": "text_completion", "choices": [{"index": 0, "text": "h", "finish_reason": None}]}, {"type": "something.new"},
        {"choices": "odd"}, {"choices": [7]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
def test_output_and_everything_unknown_is_let_go(event, named):
    assert judge(sse(CREATED, ROLE, event, named=named)).state is Holding.RELEASE


@pytest.mark.parametrize("raw", [b"data: [DONE]\n\n", b"data: {broken\n\n", b"data: 7\n\n", b"data: [1]\n\n"])
def test_what_is_no_event_is_let_go(raw):
    assert judge(raw).state is Holding.RELEASE


@pytest.mark.parametrize("raw", [b": keep-alive\n\n", b"\n\n\n\n", b"retry: 10\n\n", b"id: 1\n\n"])
def test_comments_and_settings_are_no_output(raw):
    assert judge(raw).state is Holding.HOLD


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (LIMITED, FailureClass.RATE), (OVERLOADED, FailureClass.OVERLOAD),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}}, FailureClass.TRANSIENT),
        ({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}, FailureClass.BILLING),
        ({"type": "error", "error": {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "x"}}, FailureClass.CALLER),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_failure_before_output_is_told(event, failure, named, end):
    data = sse(CREATED, PROGRESS, event, named=named, end=end)
    for size in (None, 1, 7):
        hold = judge(data, size)
        assert hold.state is Holding.FAILED
        assert hold.verdict is not None
        assert hold.verdict.failure is failure


def test_a_failure_after_output_is_nobodys_business():
    assert judge(sse(DELTA, LIMITED)).state is Holding.RELEASE


def test_hints_in_the_event_are_kept():
    hold = judge(sse({**OVERLOADED, "headers": {"Retry-After-Ms": 1500}}))
    assert hold.hints == {"retry-after-ms": "1500"}


def test_the_bounds():
    assert judge(sse(CREATED) * 2).state is Holding.HOLD
    assert judge(sse(PROGRESS) * (MOST_EVENTS - 1)).state is Holding.HOLD
    assert judge(sse(PROGRESS) * MOST_EVENTS).state is Holding.RELEASE
    assert judge(b"data: " + b"x" * MOST_BYTES, 1000).state is Holding.RELEASE


def test_the_end_of_the_stream():
    hold = judge(sse(CREATED))
    assert hold.end() is Holding.RELEASE
    hold = judge(sse(CREATED) + sse(LIMITED).rstrip(b"\n"))
    assert hold.state is Holding.HOLD
    assert hold.end() is Holding.FAILED
    assert hold.end() is Holding.FAILED


@pytest.mark.parametrize("seed", range(50))
def test_the_pieces_do_not_matter(seed):
    cuts = random.Random(seed)
    for data, expected in (
        (sse(CREATED, PROGRESS, LIMITED), Holding.FAILED),
        (sse(CREATED, ROLE, DELTA), Holding.RELEASE),
    ):
        hold, at = Hold(), 0
        while at < len(data):
            size = cuts.choice([1, 2, 5, 50, 500])
            hold.feed(data[at : at + size])
            at += size
        assert hold.state is expected


@pytest.mark.parametrize(
    ("method", "target", "kind", "length", "held"),
    [
        ("POST", "/v1/responses", "text/event-stream; charset=utf-8", None, "stream"),
        ("POST", "/v1/chat/completions?x=1", "text/event-stream", None, "stream"),
        ("POST", "/v1/responses", "application/json", "2000", "json"),
        ("POST", "/v1/responses", "application/json", None, "json"),
        ("POST", "/v1/responses", "application/json", "9999999", None),
        ("POST", "/v1/responses", "application/json", "-1", None),
        ("POST", "/v1/chat/completions", "application/json", "2000", None),
        ("GET", "/v1/responses/resp_1", "text/event-stream", None, None),
        ("POST", "/v1/audio/speech", "text/event-stream", None, None),
        ("POST", "/v1/threads/thread_1/runs", "text/event-stream", None, None),
    ],
)
def test_only_generation_is_held(method, target, kind, length, held):
    assert holds(method, target, kind, length) == held


FAILED = {"id": "resp_1", "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Rate limit reached"}}


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (FAILED, Holding.FAILED),
        ({"id": "resp_1", "status": "completed", "output": [{"text": '"failed"'}]}, Holding.RELEASE),
        ({"id": "resp_1", "status": "failed", "error": None}, Holding.RELEASE),
        ({"status": "completed", "metadata": {"status": "failed"}}, Holding.RELEASE),
        (["failed"], Holding.RELEASE),
    ],
)
def test_a_whole_response_may_have_failed_too(document, state):
    hold = JsonHold()
    data = json.dumps(document).encode()
    assert hold.feed(data[:7]) is Holding.HOLD
    assert hold.feed(data[7:]) is Holding.HOLD
    assert hold.end() is state
    assert (hold.verdict is not None) == (state is Holding.FAILED)


def test_a_long_one_is_not_kept():
    hold = JsonHold()
    assert hold.feed(b"x" * (MOST_BYTES + 1)) is Holding.RELEASE
    assert hold.end() is Holding.RELEASE


LIMITED_LINE = b'data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Slow."}}}'
DELTA_LINE = b'data: {"type":"response.output_text.delta","delta":"error, error"}'


@pytest.mark.parametrize(
    ("tail", "failure"),
    [
        (b"", None),
        (DELTA_LINE + b"\n\n", None),
        (DELTA_LINE + b"\n\n" + LIMITED_LINE + b"\n\n", "rate"),
        (DELTA_LINE + b"\r\n\r\nevent: response.failed\r\n" + LIMITED_LINE, "rate"),
        (b'\n\ndata: {"error":{"code":"server_error","message":"x"}}\n\ndata: [DONE]\n\n', "transient"),
        (LIMITED_LINE + b"\n\n" + 5 * (DELTA_LINE + b"\n\n"), None),
        (b'data: {"type":"response.completed","response":{"error":null}}\n\n', None),
        (b'data: {"type":"response.output_text.delta","delta":"{\\"type\\":\\"response.failed\\"}"}\n\n', None),
        (b'rror": {"code":"server_error"}}\n\n\xff\x00rror\n\ndata: {"error": [[[[', None),
    ],
)
def test_how_a_stream_has_failed_is_in_its_last_words(tail, failure):
    found = late_failure(tail)
    assert (found and str(found[0].failure)) == failure
