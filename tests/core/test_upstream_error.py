"""Reading an error body: every shape it comes in, however broken, and nothing dangerous comes out."""

import json

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.secret import MASK
from codex_manager.core.upstream_error import READ_BYTES, UpstreamError, error_of, read_error


ERROR = {"message": "Rate limit reached", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
READ = UpstreamError(code="rate_limit_exceeded", type="requests", message="Rate limit reached", is_openai=True)
TEXT = json.dumps({"error": ERROR}, indent=2)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (TEXT.encode(), READ),
        (TEXT.encode("utf-8-sig"), READ),
        (TEXT.encode("utf-16"), READ),
        (b"\n\n  " + TEXT.encode(), READ),
        (json.dumps([{"error": ERROR}]).encode(), READ),
        (json.dumps({"error": ERROR, "more": {"error": {"code": "x"}}}).encode(), READ),
        (b'{"error":{"message":"a\xffb","code":"c"}}', UpstreamError(code="c", message="a\ufffdb", is_openai=True)),
        (b'{"error":{"code":429,"message":"m"}}', UpstreamError(code="429", message="m", is_openai=True)),
        (b'{"error":{"message":null,"code":"c","type":7}}', UpstreamError(code="c", type="7", is_openai=True)),
        (b'{"error":{"message":["m"],"code":true}}', UpstreamError()),
        (b'{"error":{}}', UpstreamError()),
        (b'{"error":"no more"}', UpstreamError(message="no more", is_openai=True)),
        (b'{"error":"no more","code":"c"}', UpstreamError(code="c", message="no more", is_openai=True)),
        (b'{"error":""}', UpstreamError()),
        (b'{"error":null}', UpstreamError()),
        (b'{"error":[1]}', UpstreamError()),
        (b'{"detail":"Not Found"}', UpstreamError(message="Not Found")),
        (b'{"message":"no Route matched"}', UpstreamError(message="no Route matched")),
        (b'{"title":"Error 1015","status":429,"error_code":1015}', UpstreamError(status=429)),
        (b'"a text"', UpstreamError(message="a text")),
        (b"[]", UpstreamError()),
        (b"[1]", UpstreamError()),
        (b"null", UpstreamError()),
        (b"7", UpstreamError()),
        (b"", UpstreamError()),
        (b" \r\n ", UpstreamError()),
        (b"error code: 1015", UpstreamError()),
        (b"<!DOCTYPE html><title>502</title>", UpstreamError()),
        (b"\x1f\x8b\x08\x00garbage", UpstreamError()),
        (b"\x00\xff\xfe", UpstreamError()),
    ],
)
def test_a_body_reads_as(body, expected):
    assert read_error(body) == expected


@pytest.mark.parametrize("cut", range(TEXT.index('"rate_limit_exceeded"') + 21, len(TEXT)))
def test_a_body_that_is_cut_off_keeps_what_had_come(cut):
    assert read_error(TEXT.encode()[:cut]) == READ


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"message":"You exceeded your', UpstreamError(message="You exceeded your", is_openai=True)),
        (b'{"error":{"message":"quote \\" and \\u00e9", "co', UpstreamError(message='quote " and é', is_openai=True)),
        (b'{"error":{"message":"cut in an escape \\u00', UpstreamError(message="cut in an escape", is_openai=True)),
        (b'{"error":{"code":429,', UpstreamError(code="429", is_openai=True)),
        (b'{"error":{', UpstreamError()),
        (b'{"error', UpstreamError()),
        (b'[{"error":{"code":"c"', UpstreamError(code="c", is_openai=True)),
        (b'data: {"error":{"code":"c"', UpstreamError()),
    ],
)
def test_a_cut_off_body_is_salvaged(body, expected):
    found = read_error(body)
    assert (found.code, found.is_openai) == (expected.code, expected.is_openai)
    assert found.message.startswith(expected.message)


def test_an_absurdly_nested_body_is_salvaged():
    nested = b'{"error":{"code":"insufficient_quota","x":' + b"[" * 60000
    assert read_error(nested).code == "insufficient_quota"
    assert read_error(b"[" * 60000) == UpstreamError()


def test_only_the_first_64_kib_are_read():
    padding = b'{"error":{"code":"early","message":"' + b"x" * READ_BYTES + b'","type":"late"}}'
    assert read_error(padding).code == "early"
    assert read_error(padding).type == ""


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "error", "code": "server_error", "message": "m", "param": None, "sequence_number": 3}, UpstreamError(code="server_error", message="m", is_openai=True)),
        ({"type": "error", "status": 429, "error": ERROR}, UpstreamError(**{name: getattr(READ, name) for name in ("code", "type", "message", "is_openai")}, status=429)),
        ({"type": "error", "status_code": 401, "error": {"code": "invalid_api_key"}}, UpstreamError(code="invalid_api_key", is_openai=True, status=401)),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}, UpstreamError(code="server_error", message="m", is_openai=True)),
        ({"type": "response.failed", "response": {"error": None}}, UpstreamError()),
        ({"type": "response.failed", "response": None}, UpstreamError()),
        ({"type": "response.created", "response": {"id": "resp_1"}}, UpstreamError()),
        ({"error": ERROR, "status": True}, READ),
        ({"error": ERROR, "status": 7}, READ),
        ({"error": ERROR, "status": "429"}, READ),
    ],
)  # fmt: skip
def test_an_event_or_frame_reads_as(event, expected):
    assert error_of(event) == expected


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcDEF0123456789_-xyz",
        "sk-abcd",
        "sk-abc********wxyz",
        "sess-0123456789",
        "rk-0123456789",
        "ek-0123456789",
    ],
)
def test_keys_in_texts_are_masked(key):
    error = error_of({"error": {"message": f"Incorrect API key provided: {key}. You can", "code": key, "type": "t"}})
    assert key not in repr(error)
    assert error.message.startswith(f"Incorrect API key provided: {MASK}")


def test_texts_are_safe_to_put_into_a_log_line():
    """No line breaks, no terminal escapes, nothing that cannot be encoded, no flood."""
    error = error_of({"error": {"message": "a\r\nb\x1b[31m\ud800c\u202e" + "x" * 9000, "code": "c" * 9000}})
    assert error.message.isprintable()
    assert error.message.startswith("a b [31m c")
    error.message.encode()
    assert len(error.message) <= 4000
    assert len(error.code) <= 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["error", "code", "type", "message", "response", "status", "x"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_whatever_json_it_is_reading_never_raises(data):
    error = error_of(data)
    assert read_error(json.dumps(data).encode()).code == error.code


@given(st.binary(max_size=300))
def test_whatever_bytes_it_is_reading_never_raises(body):
    read_error(body)
    read_error(b'{"error":{' + body)
    read_error(b'{"error":{"message":"' + body)
