"""Every endpoint that says what it used is counted to the token, streamed or not, compressed or not, and nobody can tell.

A real proxy process before the fake OpenAI. What the fake says to a direct call is what has to be in the ledger, and what the client
reads is what a direct call reads, byte for byte, although the proxy asked a stream for its usage.
"""

import asyncio
import base64
import gzip
import http.client
import json
import re

from contextlib import closing
from decimal import Decimal
from typing import Any

import openai
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy, stop, wait_for

from codex_manager.ledger import Reader
from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


KEY = "sk-work-0123456789abcdef"
LONG = "word " * 1500
TALK = [{"role": "user", "content": LONG}]
SEARCH = {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}
HEARD = {"type": "input_audio", "input_audio": {"data": base64.b64encode(bytes(300)).decode(), "format": "wav"}}
GOOD = answers.ok("Words that are the same whatever was asked.")
SOUND = b"\xff\xf3" * 20_000
FORM = "multipart/form-data; boundary=b0"
ID = re.compile(rb'\b((?:resp|msg|ws|cmp)_|(?:chat)?cmpl-|encrypted_content": ")\w+')
"""What the fake makes of a request's bytes, of which a few are ours, and of how many things it has stored."""


def form(file, name="file", **fields):
    parts = [
        f'--b0\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()
    ]
    head = f'--b0\r\nContent-Disposition: form-data; name="{name}"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
    return "".join(parts).encode() + head.encode() + file + b"\r\n--b0--\r\n"


WHOLE: dict[str, tuple[str, Any]] = {
    "chat": ("chat/completions", {"model": "gpt-4o", "messages": TALK}),
    "chat that reasons": ("chat/completions", {"model": "gpt-5", "messages": TALK, "service_tier": "flex"}),
    "chat that hears and speaks": ("chat/completions", {"model": "gpt-4o-audio-preview", "modalities": ["text", "audio"], "messages": [{"role": "user", "content": [HEARD]}]}),
    "completion": ("completions", {"model": "gpt-3.5-turbo-instruct", "prompt": LONG}),
    "response": ("responses", {"model": "gpt-5", "input": LONG}),
    "response that searches": ("responses", {"model": "gpt-5", "input": "news?", **SEARCH}),
    "compaction": ("responses/compact", {"model": "gpt-5", "input": LONG}),
    "embedding": ("embeddings", {"model": "text-embedding-3-small", "input": ["one", LONG]}),
    "image": ("images/generations", {"model": "gpt-image-1", "prompt": "a dot", "n": 2, "quality": "high", "size": "1024x1536"}),
    "image edit": ("images/edits", form(b"\x89PNG", "image", model="gpt-image-1", prompt="a line", quality="low", size="1024x1024")),
    "transcription": ("audio/transcriptions", form(SOUND, model="gpt-4o-transcribe", prompt="names: Ada")),
    "transcription by time": ("audio/transcriptions", form(SOUND, model="whisper-1")),
    "transcription, told more": ("audio/transcriptions", form(SOUND, model="whisper-1", response_format="verbose_json")),
    "translation": ("audio/translations", form(SOUND, model="whisper-1")),
}  # fmt: skip
STREAMED: dict[str, tuple[str, Any]] = {
    name: (path, {**body, "stream": True})
    for name, (path, body) in WHOLE.items()
    if name in {"chat", "chat that reasons", "completion", "response", "response that searches", "image"}
} | {
    "image edit": ("images/edits", form(b"\x89PNG", "image", model="gpt-image-1", prompt="a line", quality="low", size="1024x1024", stream="true", partial_images="2")),
    "transcription": ("audio/transcriptions", form(SOUND, model="gpt-4o-transcribe", prompt="names: Ada", stream="true")),
    "speech": ("audio/speech", {"model": "gpt-4o-mini-tts", "input": "hello there", "voice": "alloy", "stream_format": "sse"}),
}  # fmt: skip
ASKS = {"chat", "chat that reasons", "completion"}
"""Streams that say it only if asked."""
UNSAID: dict[str, tuple[str, Any, dict[str, float]]] = {
    "speech by the character": ("audio/speech", {"model": "tts-1", "input": "hello there", "voice": "alloy"}, {"characters": 11}),
    "pictures by the piece": ("images/generations", {"model": "dall-e-3", "prompt": "a dot", "n": 1}, {"images": 1}),
}  # fmt: skip
"""The answer does not say it, the request does."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One upstream and one proxy for all of these: starting them costs more than what is looked at."""
    with in_thread(FakeOpenAI()) as fake:
        fake.account(KEY, "org-work", "proj_work")
        fake.always(None, GOOD)
        home = make_home(
            tmp_path_factory.mktemp("stage") / "home",
            [account("work", KEY)],
            f"proxy:\n  openai_base_url: {fake.base_url}\n",
        )
        home.environment["HOME"] = str(home.path)
        with running_proxy(home) as proxy:
            yield fake, proxy, home


def ask(port, key, path, body):
    """Status, headers, body as it came (its chunks joined)."""
    kind = FORM if isinstance(body, bytes) else "application/json"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind, "Accept-Encoding": "gzip"}
        connection.request("POST", f"/v1/{path}", data, headers)
        answer = connection.getresponse()
        received = answer.read()
    assert answer.status == 200, received
    return answer.headers, received


def usage_in(received):
    """The last `usage` an answer says, as an object."""
    text = received.decode()
    found = None
    for document in [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")] or [
        json.loads(text)
    ]:
        inner = document.get("response") if isinstance(document.get("response"), dict) else document
        found = inner.get("usage") or found
    assert found is not None, text
    return found


def told(usage):
    """What OpenAI's words mean, read by another hand than the product's."""

    def get(*names):
        return next((usage[name] for name in names if usage.get(name) is not None), {})

    read = get("prompt_tokens_details", "input_tokens_details", "input_token_details")
    said = get("completion_tokens_details", "output_tokens_details", "output_token_details")
    return {
        "input": usage.get("prompt_tokens", usage.get("input_tokens", 0)),
        "output": usage.get("completion_tokens", usage.get("output_tokens", 0)),
        "cached": read.get("cached_tokens", 0),
        "reasoning": said.get("reasoning_tokens", 0),
        "input_audio": read.get("audio_tokens", 0),
        "output_audio": said.get("audio_tokens", 0),
        "input_image": read.get("image_tokens", 0),
        "output_image": said.get("image_tokens", 0),
        "seconds": usage.get("seconds", 0),
    }


def counted(record, names):
    return {name: getattr(record.usage, name) for name in names}


def record_of(home, name):
    with Reader.open(home.path / "ledger.db") as reader:
        assert wait_for(lambda: reader.request(name) is not None, 10)
        return reader.request(name)


def plain(received):
    """Unpacked, and without the fake's own ids."""
    body = gzip.decompress(received) if received[:2] == b"\x1f\x8b" else received
    return ID.sub(rb"\1ID", body)


def compare(stage, path, body, expected, *, step=None):
    """The same through the proxy: the client reads what it would directly, and the ledger has what was said."""
    fake, proxy, home = stage
    if step is not None:
        fake.script(KEY, step, step)
    headers, directly = ask(fake.port, KEY, path, body)
    through_headers, through = ask(proxy.port, LOCAL_KEY, path, body)
    assert fake.left() == 0
    assert through_headers.get("content-encoding") == headers.get("content-encoding")
    assert plain(through) == plain(directly)
    record = record_of(home, through_headers["X-Codex-Manager-Request-Id"])
    assert record.usage is not None
    assert counted(record, expected) == expected
    assert (record.estimated, record.priced, record.endpoint, record.open) == (False, True, path, False)
    assert record.cost > 0
    return record


def same(record):
    """What has to be the same however an answer came."""
    return record.cost, record.usage, record.account, record.model


def test_every_endpoint_that_says_what_it_used_is_counted(stage):
    for name, (path, body) in WHOLE.items():
        _, directly = ask(stage[0].port, KEY, path, body)
        expected = told(usage_in(directly))
        assert any(expected.values()), name
        record = compare(stage, path, body, expected)
        assert not record.streamed
        zipped = compare(stage, path, body, expected, step=GOOD | toxics.encoded("gzip"))
        assert same(zipped) == same(record), name


def test_a_stream_is_counted_to_the_token_as_the_whole_answer_and_reads_as_without_us(stage):
    for name, (path, body) in STREAMED.items():
        asking = {**body, "stream_options": {"include_usage": True}} if name in ASKS else body
        _, directly = ask(stage[0].port, KEY, path, asking)
        expected = told(usage_in(directly))
        assert any(expected.values()), name
        if name == "speech":
            expected["output_audio"] = expected["output"]
        if name in WHOLE:
            _, whole = ask(stage[0].port, KEY, *WHOLE[name])
            assert told(usage_in(whole)) == expected
        record = compare(stage, path, body, expected)
        assert record.streamed
        sliced = compare(stage, path, body, expected, step=GOOD | toxics.slice_into(7))
        assert same(sliced) == same(record), name
        if name in ASKS:
            assert b'"include_usage": true' not in json.dumps(body).encode()
            assert b'"include_usage":true' in stage[0].log[-1].body
            chosen = compare(stage, path, asking, expected)
            assert same(chosen) == same(record), "who asks gets it"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_stream_that_comes_compressed_is_counted_too(stage, encoding):
    fake, proxy, home = stage
    for name in ("response", "chat"):
        path, body = STREAMED[name]
        asking = {**body, "stream_options": {"include_usage": True}} if name in ASKS else body
        _, directly = ask(fake.port, KEY, path, asking)
        fake.script(KEY, *[GOOD | toxics.encoded(encoding)] * 2)
        _, packed = ask(fake.port, KEY, path, asking)
        headers, through = ask(proxy.port, LOCAL_KEY, path, asking)
        assert fake.left() == 0
        assert through == packed or name == "response", "byte for byte; a response has an id of its own"
        record = record_of(home, headers["X-Codex-Manager-Request-Id"])
        assert (counted(record, told(usage_in(directly))), record.estimated) == (told(usage_in(directly)), False)


def test_what_only_the_request_says_is_counted(stage):
    _, proxy, home = stage
    for path, body, expected in UNSAID.values():
        headers, _ = ask(proxy.port, LOCAL_KEY, path, body)
        record = record_of(home, headers["X-Codex-Manager-Request-Id"])
        assert counted(record, expected) == expected
        assert record.cost > 0
    headers, _ = ask(proxy.port, LOCAL_KEY, "moderations", {"input": "hello"})
    record = record_of(home, headers["X-Codex-Manager-Request-Id"])
    assert (record.usage.total, record.cost, record.estimated) == (0, 0, False)


def test_the_sdk_reads_what_is_written_down(stage):
    """And finds no usage it did not ask for."""
    _, proxy, home = stage
    with openai.OpenAI(api_key=LOCAL_KEY, base_url=proxy.base_url, timeout=15, max_retries=0) as sdk:
        messages: Any = TALK
        told_whole: Any = sdk.chat.completions.with_raw_response.create(model="gpt-4o", messages=messages)
        usage = told_whole.parse().usage
        whole = record_of(home, told_whole.headers["x-codex-manager-request-id"])
        raw: Any = sdk.chat.completions.with_raw_response.create(model="gpt-4o", messages=messages, stream=True)
        chunks = list(raw.parse())
        streamed = record_of(home, raw.headers["x-codex-manager-request-id"])
        assert all("usage" not in chunk.model_fields_set and chunk.choices for chunk in chunks)
        assert (whole.usage.input, whole.usage.output) == (usage.prompt_tokens, usage.completion_tokens)
        assert (streamed.usage, streamed.cost) == (whole.usage, whole.cost)


@pytest.mark.slow
async def test_each_answer_on_a_websocket_is_counted(stage):
    _, proxy, home = stage
    said = []
    async with (
        openai.AsyncOpenAI(
            api_key=LOCAL_KEY,
            base_url=proxy.base_url,
            websocket_base_url=proxy.base_url.replace("http", "ws"),
            timeout=15,
        ) as sdk,
        sdk.realtime.connect(model="gpt-realtime") as session,
    ):
        for text in (LONG, "again"):
            await session.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            )
            await session.response.create()
            async for event in session:
                if event.type == "response.done":
                    assert event.response.usage is not None
                    said.append(told(event.response.usage.model_dump()))
                    break

    def records():
        with Reader.open(home.path / "ledger.db") as reader:
            return [r for r in reader.requests(endpoint="realtime", limit=10) if r.usage is not None]

    assert await asyncio.to_thread(wait_for, lambda: len(records()) == 2, 10)
    assert said[1]["cached"] > 0
    assert [counted(record, said[0]) for record in records()[::-1]] == said


@pytest.mark.slow
def test_what_runs_in_the_background_is_settled_once_also_over_a_restart(isolated_home):
    """A response and a batch: an estimate first, the real figure when an answer tells of the end, and nothing when it tells again."""
    with in_thread(FakeOpenAI()) as fake:
        fake.account(KEY, "org-work", "proj_work")
        home = make_home(isolated_home, [account("work", KEY)], f"proxy:\n  openai_base_url: {fake.base_url}\n")
        lines = [
            {"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o", "messages": TALK}}
            for n in range(3)
        ]  # fmt: skip
        content = "\n".join(map(json.dumps, lines)).encode()
        fake.script(KEY, answers.ok("Done.", pending=2), path="/v1/responses")
        with running_proxy(home) as proxy, client(proxy) as sdk:
            raw = sdk.responses.with_raw_response.create(model="gpt-5", input=LONG, background=True)
            made, number = raw.parse(), raw.headers["x-codex-manager-request-id"]
            file = sdk.files.create(file=("in.jsonl", content), purpose="batch")
            raw_batch = sdk.batches.with_raw_response.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            batch, batch_number = raw_batch.parse(), raw_batch.headers["x-codex-manager-request-id"]
            assert sdk.responses.retrieve(made.id).status == "in_progress"
            assert stop(proxy.process) == 0
        before = record_of(home, number)
        assert (before.open, before.estimated, before.object_id) == (True, True, made.id)
        assert record_of(home, batch_number).open
        with running_proxy(home) as proxy, client(proxy) as sdk:
            assert [sdk.responses.retrieve(made.id).status for _ in range(3)] == [
                "in_progress",
                "completed",
                "completed",
            ]
            usage = sdk.responses.retrieve(made.id).usage.model_dump()
            assert [sdk.batches.retrieve(batch.id).status for _ in range(3)] == [
                "in_progress",
                "completed",
                "completed",
            ]
            batch_usage = sdk.batches.retrieve(batch.id).usage.model_dump()
            assert stop(proxy.process) == 0
        with running_proxy(home) as proxy, client(proxy) as sdk:  # told once more to one who was not there
            assert sdk.responses.retrieve(made.id).status == sdk.batches.retrieve(batch.id).status == "completed"
        response, many = record_of(home, number), record_of(home, batch_number)
        for record, says in ((response, usage), (many, batch_usage)):
            assert (record.open, record.estimated) == (False, False)
            assert counted(record, told(says)) == told(says)
        with Reader.open(home.path / "ledger.db") as reader:
            (row,) = reader.usage()
            assert (row.usd, row.estimated_usd) == (response.cost + many.cost, Decimal(0))
            assert (row.input, row.output) == (
                response.usage.input + many.usage.input,
                response.usage.output + many.usage.output,
            )
            assert len([r for r in reader.requests(limit=100) if r.usage is not None]) == 2


def client(proxy):
    return openai.OpenAI(api_key=LOCAL_KEY, base_url=proxy.base_url, timeout=15, max_retries=0)
