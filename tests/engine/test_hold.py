"""A failure inside a 200: before the first output the request moves on, after it the client hears of it."""

import asyncio
import json

import pytest

from tests.engine.screenplay import play, post, stage
from tests.engine.till import FlatPricing

from codex_manager.engine import early
from codex_manager.testing import answers, toxics


RATE = answers.error_in_stream()
OVERLOADED = answers.error_in_stream("server_is_overloaded", "Our servers are currently overloaded.")
BROKEN = answers.error_in_stream("server_error", "The server had an error.")
QUOTA = answers.error_in_stream("insufficient_quota", "You exceeded your current quota.")
TOO_LONG = answers.error_in_stream("context_length_exceeded", "Too long.")


def streamed(path="responses", **more):
    said = {"input": "hi"} if path == "responses" else {"messages": [{"role": "user", "content": "hi"}]}
    return post(f"/v1/{path}", json.dumps({"model": "gpt-4o", "stream": True, **said, **more}).encode())


@pytest.mark.parametrize("path", ["responses", "chat/completions"])
@pytest.mark.parametrize("failure", [RATE, QUOTA, BROKEN, answers.error_in_stream("model_not_found", "no")])
async def test_before_the_first_output_it_moves_on(path, failure):
    got = await play([failure, 200], request=streamed(path), expect="200 by b after a")
    assert b"error" not in got.body.replace(b'"error":null', b"").replace(b'"error": null', b"")
    assert b"org-a" not in got.body


@pytest.mark.parametrize("path", ["responses", "chat/completions"])
async def test_overload_is_tried_once_more_with_the_same(path):
    await play([[OVERLOADED, OVERLOADED], 200], request=streamed(path), expect="200 by b after a a")
    await play([[OVERLOADED, 200], 200], request=streamed(path), expect="200 by a after a")


async def test_a_callers_mistake_is_not_repeated():
    got = await play([TOO_LONG, 200], request=streamed(), expect="200 by a")
    assert b"context_length_exceeded" in got.body


async def test_after_the_first_output_nothing_moves():
    got = await play([answers.error_in_stream(after=2), 200], request=streamed(), expect="200 by a")
    assert b"response.output_text.delta" in got.body
    assert b"rate_limit_exceeded" in got.body


async def test_the_account_is_marked_as_by_a_status():
    async with stage("ab") as there:
        there.fake.script("sk-a", RATE)
        assert (await there.ask(streamed())).by == "b"
        assert there.engine.state.scope("org-a/proj-a", "gpt-4o").cooling.width
        there.fake.script("sk-a", QUOTA)
        there.engine.state.scope("org-a/proj-a", "gpt-4o").cooling.lift()
        assert (await there.ask(streamed())).by == "b"
        assert there.engine.state.purses


async def test_when_all_fail_so_it_is_told_as_by_a_status():
    got = await play([RATE, RATE], request=streamed(), expect="429 ours after a b")
    assert got.error["code"] == "rate_limit_exceeded"
    assert float(got.headers["retry-after-ms"]) > 0


async def test_a_server_error_everywhere_is_handed_on_as_it_came():
    got = await play([BROKEN, BROKEN, 200], request=streamed(), expect="200 by b after a")
    assert b"server_error" in got.body
    assert got.body.count(b"response.created") == 2  # event line and type


async def test_a_response_that_is_told_whole_may_fail_too():
    failed = {"id": "resp_1", "object": "response", "status": "failed", "output": [],
              "error": {"code": "rate_limit_exceeded", "message": "Rate limit reached."}}  # fmt: skip
    whole = answers.raw(200, [("Content-Type", "application/json")], json.dumps(failed).encode())
    await play([whole, 200], request=streamed(stream=False), expect="200 by b after a")


async def test_a_call_that_creates_something_is_not_made_twice_after_a_server_error():
    await play([BROKEN, 200], request=streamed(background=True), expect="200 by a")
    await play([RATE, 200], request=streamed(background=True), expect="200 by b after a")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_compressed_streams_are_understood_and_handed_on_as_they_came(encoding):
    got = await play(
        [RATE | toxics.encoded(encoding), answers.ok() | toxics.encoded(encoding)],
        request=streamed(),
        expect="200 by b after a",
    )
    assert got.headers["content-encoding"] == encoding
    assert b"response.created" not in got.body


@pytest.mark.parametrize("path", ["responses", "chat/completions"])
async def test_a_stream_cut_before_its_first_output_moves_on(path):
    await play([answers.ok() | toxics.reset_mid_stream(1), 200], request=streamed(path), expect="200 by b after a")


async def test_the_bytes_are_the_upstreams_own():
    async with stage("a") as there:
        raw = b'event: response.created\r\ndata: {"type":"response.created"}\r\n\r\n: hi\r\n\r\ndata:{"type":"response.output_text.delta"}\r\n\r\n'
        there.fake.always("sk-a", answers.raw(200, [("Content-Type", "text/event-stream")], raw))
        assert (await there.ask(streamed())).body == raw


# --- headers that go out early ---


SLOW = {"hold_headers_s": 0.05}


@pytest.fixture
def lively(monkeypatch):
    monkeypatch.setattr(early, "KEEP_ALIVE_S", 0.1)


async def test_headers_go_out_before_a_slow_first_word(lively):
    async with stage("a", **SLOW) as there:
        there.fake.script("sk-a", answers.ok(every=0.2))
        answer = await there.engine.handle(streamed())
        assert (answer.status, answer.account_label) == (200, "a")
        first = await anext(answer.body)
        assert first == early.COMMENT
        body = b"".join([piece async for piece in answer.body])
        await answer.aclose()
        events = body.replace(early.COMMENT, b"")
        assert events.startswith(b"event: response.created")
        assert b"response.completed" in events


async def test_a_failure_after_the_headers_still_moves(lively):
    async with stage("ab", pricing=FlatPricing(), **SLOW) as there:
        there.fake.script("sk-a", answers.error_in_stream(every=0.15))
        got = await there.ask(streamed())
        assert got.status == 200
        assert got.answer.account_label == "b"
        assert b"rate_limit_exceeded" not in got.body
        assert got.body.count(b"event: response.created") == 1
        assert there.asked() == "a b"
    record = there.till.records[-1]
    assert [attempt.failure for attempt in record.attempts] == ["rate", ""]
    assert record.account == "b"


async def test_when_nobody_can_after_the_headers_the_failed_stream_is_told(lively):
    async with stage("ab", **SLOW) as there:
        for key in ("sk-a", "sk-b"):
            there.fake.script(key, answers.error_in_stream(every=0.15))
        got = await there.ask(streamed())
        assert got.status == 200
        assert got.body.replace(early.COMMENT, b"").startswith(b"event: response.created")
        assert b"rate_limit_exceeded" in got.body


async def test_a_client_that_leaves_while_it_is_held_leaves_nothing_behind(lively):
    async with stage("a", pricing=FlatPricing(), **SLOW) as there:
        there.fake.script("sk-a", answers.ok(every=5.0))
        answer = await there.engine.handle(streamed())
        assert await anext(answer.body) == early.COMMENT
        await answer.aclose()
        async with asyncio.timeout(5):
            await asyncio.to_thread(lambda: None)
            while not there.fake.log[0].aborted:
                await asyncio.sleep(0.01)
    record = there.till.records[-1]
    assert (record.failure, record.estimated) == ("gone", True)
    assert record.cost > 0


async def test_a_client_that_leaves_before_the_headers_leaves_nothing_behind():
    async with stage("a", pricing=FlatPricing()) as there:
        there.fake.script("sk-a", answers.ok(every=5.0))
        task = asyncio.create_task(there.engine.handle(streamed()))
        async with asyncio.timeout(5):
            while not there.fake.log:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert there.till.records[-1].failure == "gone"


async def test_a_failed_stream_that_is_handed_on_shows_no_usage_the_client_did_not_ask_for():
    async with stage("a", pricing=FlatPricing()) as there:
        there.fake.script("sk-a", answers.ok() | toxics.reset_mid_stream(1))
        got = await there.ask(streamed("chat/completions"))
        assert got.cut
        assert got.body.startswith(b"data: ")
        assert b"usage" not in got.body
        there.fake.script("sk-a", answers.ok() | toxics.reset_mid_stream(1))
        asked = streamed("chat/completions", stream_options={"include_usage": True})
        assert b'"usage":null' in (await there.ask(asked)).body


async def test_a_failed_stream_costs_nothing():
    async with stage("ab", pricing=FlatPricing()) as there:
        there.fake.script("sk-a", RATE)
        assert (await there.ask(streamed())).by == "b"
    assert [record.account for record in there.till.records] == ["b"]
