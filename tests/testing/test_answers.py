"""Every scripted answer says what OpenAI says: status, type, code and the headers that clients read."""

import gzip
import json
import zlib

import brotli  # type: ignore[import-untyped]  # has no types
import pytest
import zstandard

from tests.testing.raw import CHAT, ask, request, say

from codex_manager.testing import answers
from codex_manager.testing.toxics import encoded


TABLE = [
    (answers.rate_limited(retry_after=2), 429, "requests", "rate_limit_exceeded", {"retry-after": "2"}),
    (answers.rate_limited(retry_after_ms=1500), 429, "requests", "rate_limit_exceeded", {"retry-after-ms": "1500"}),
    (
        answers.rate_limited(retry_after="Sat, 21 Nov 2026 10:00:00 GMT"),
        429,
        "requests",
        "rate_limit_exceeded",
        {"retry-after": "Sat, 21 Nov 2026 10:00:00 GMT"},
    ),
    (
        answers.rate_limited(reset_requests="6m0s"),
        429,
        "requests",
        "rate_limit_exceeded",
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
    ),
    (
        answers.rate_limited(reset_tokens="120ms", kind="tokens"),
        429,
        "tokens",
        "rate_limit_exceeded",
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"},
    ),
    (answers.slow_down(), 503, "slow_down", "slow_down", {}),
    (answers.insufficient_quota(), 429, "insufficient_quota", "insufficient_quota", {}),
    (answers.spend_limit(), 429, "insufficient_quota", "project_spend_limit_exceeded", {}),
    (answers.spend_limit("organization"), 429, "insufficient_quota", "organization_spend_limit_exceeded", {}),
    (answers.payment_required(), 402, "billing_not_active", "billing_not_active", {}),
    (answers.invalid_key(), 401, "invalid_request_error", "invalid_api_key", {}),
    (answers.deactivated(), 401, "invalid_request_error", "account_deactivated", {}),
    (answers.forbidden(), 403, "invalid_request_error", "insufficient_permissions", {}),
    (answers.model_not_found(), 404, "invalid_request_error", "model_not_found", {}),
    (answers.not_found(), 404, "invalid_request_error", None, {}),
    (answers.bad_request(), 400, "invalid_request_error", "invalid_value", {}),
    (answers.context_length(), 400, "invalid_request_error", "context_length_exceeded", {}),
    (answers.overloaded(retry_after=1), 503, "server_error", "server_is_overloaded", {"retry-after": "1"}),
    (answers.server_error(), 500, "server_error", None, {}),
    (answers.server_error(502), 502, "server_error", None, {}),
    (answers.server_error(504), 504, "server_error", None, {}),
]


@pytest.mark.parametrize(
    ("step", "status", "kind", "code", "headers"), TABLE, ids=lambda value: getattr(value, "name", None)
)
async def test_a_refusal_has_openais_status_type_code_and_hints(fake, step, status, kind, code, headers):
    fake.script("sk-a", step)
    heard = await ask(fake)
    assert heard.status == status
    assert (heard.error["type"], heard.error["code"]) == (kind, code)
    assert set(heard.error) == {"message", "type", "param", "code"}
    assert headers.items() <= heard.headers.items()
    assert fake.log[0].processed is False


@pytest.mark.parametrize(
    "step", [answers.cloudflare_429(), answers.server_error(520), answers.server_error(524)], ids=str
)
async def test_the_edge_answers_html_without_an_openai_body(fake, step):
    fake.script("sk-a", step)
    heard = await ask(fake)
    assert heard.headers["content-type"].startswith("text/html")
    assert b"<html>" in heard.body
    assert "openai-organization" not in heard.headers


DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("encoding", DECODERS)
async def test_an_encoded_refusal_decodes_to_the_same_words(fake, encoding):
    """OpenAI's edge compresses error bodies too: a reader must decode before it looks for a code."""
    fake.script("sk-a", answers.insufficient_quota() | encoded(encoding))
    heard = await ask(fake)
    assert heard.headers["content-encoding"] == encoding
    assert b"insufficient_quota" not in heard.body
    assert json.loads(DECODERS[encoding](heard.body))["error"]["code"] == "insufficient_quota"


@pytest.mark.parametrize("encoding", DECODERS)
async def test_an_encoded_stream_arrives_event_by_event(fake, encoding):
    """Each piece is flushed: the first event can be read before the second is written."""
    fake.script("sk-a", answers.ok(chunks=2, every=0.03) | encoded(encoding))
    heard = await ask(fake, body={**CHAT, "stream": True})
    decoded = DECODERS[encoding](heard.body)
    assert decoded.endswith(b"data: [DONE]\n\n")
    assert decoded.count(b"data: ") == 5
    assert heard.times[-1] - heard.times[0] >= 0.1


async def test_raw_goes_out_exactly_as_given(fake):
    fake.script("sk-a", answers.raw(418, {"X-Tea": "yes"}, {"short": "stout"}))
    heard = await ask(fake)
    assert (heard.status, heard.json, heard.headers["x-tea"]) == (418, {"short": "stout"}, "yes")
    assert set(heard.headers) == {"x-tea", "content-type", "content-length"}


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_blob_is_as_large_and_as_its_digest_says(fake, chunked):
    import hashlib

    fake.script("sk-a", answers.blob(300_001, chunked=chunked))
    heard = await ask(fake, "GET", "/v1/files/file-x/content")
    assert len(heard.body) == 300_001
    assert hashlib.sha256(heard.body).hexdigest() == heard.headers["x-fake-sha256"]
    assert ("content-length" in heard.headers) is not chunked


async def test_garbage_is_no_http(fake):
    fake.script("sk-a", answers.garbage())
    heard = await say(fake, request(), whole=False)
    assert not heard.data.startswith(b"HTTP/")
    assert heard.end == "eof"


async def test_an_error_can_come_inside_a_200(fake):
    """OpenAI may answer 200 and then say `response.failed`, before or after the first output."""
    body = {"model": "gpt-4o", "input": "hi", "stream": True}
    fake.script("sk-a", answers.error_in_stream(), answers.error_in_stream("server_is_overloaded", "Busy.", after=2))
    first = await ask(fake, path="/v1/responses", body=body)
    second = await ask(fake, path="/v1/responses", body=body)
    assert b"output_text.delta" not in first.body
    assert b"event: response.failed" in first.body
    assert b"Please try again in 1.898s" in first.body
    assert second.body.count(b"event: response.output_text.delta") == 2
    assert b"response.completed" not in first.body + second.body


async def test_every_name_of_the_vocabulary_is_exported():
    public = {
        name
        for name, value in vars(answers).items()
        if getattr(value, "__module__", "") == answers.__name__ and name.islower()
    }
    assert public == set(answers.__all__)
