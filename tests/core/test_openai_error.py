"""Errors of our own look like OpenAI's: the SDK raises the right exception, and nobody comes back too early."""

import contextlib
import json
import re
import threading

from http.server import BaseHTTPRequestHandler, HTTPServer

import openai
import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core import openai_error
from codex_manager.core.failure import FailureClass, classify
from codex_manager.core.hints import cooling_hint
from codex_manager.core.openai_error import ADVICE, ErrorAnswer, error_body, retry_headers, try_again_in


CODES = [
    "invalid_api_key",
    "no_available_accounts",
    "no_usable_account",
    "vault_locked",
    "upstream_unreachable",
    "request_too_large",
    "model_not_allowed",
    "account_conflict",
    "rate_limit_exceeded",
    "insufficient_quota",
]


def headers_of(answer):
    return {name.decode(): value.decode() for name, value in answer.headers}


@contextlib.contextmanager
def serving(answer):
    """A real server that gives this answer once."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args):
            """Tests are quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.timeout = 5
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread.join()


def test_the_body_has_openais_keys_in_openais_order():
    text = error_body("gone", type="server_error", code="x", param="model").decode()
    assert json.loads(text) == {"error": {"message": "gone", "type": "server_error", "param": "model", "code": "x"}}
    assert re.findall(r'"(\w+)":', text) == ["error", "message", "type", "param", "code"]


def test_a_body_is_always_utf_8():
    assert json.loads(error_body("ü\ud800", type="t", code=None))["error"] == {
        "message": "ü?",
        "type": "t",
        "param": None,
        "code": None,
    }


def test_every_code_has_its_advice():
    assert set(ADVICE) == set(CODES)
    assert {getattr(openai_error, code.upper()) for code in CODES} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_answer_says_what_happened_and_what_to_do(code):
    answer = ErrorAnswer.of(code, "Something happened.")
    error = json.loads(answer.body)["error"]
    assert error["code"] == code
    assert error["message"].startswith("Something happened.")
    assert error["message"].endswith(ADVICE[code].cure)
    assert headers_of(answer)["content-length"] == str(len(answer.body))
    assert headers_of(answer)["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("code", "status", "should_retry"),
    [
        ("invalid_api_key", 401, None),
        ("no_available_accounts", 503, "false"),
        ("no_usable_account", 403, "false"),
        ("vault_locked", 503, "false"),
        ("upstream_unreachable", 502, None),
        ("request_too_large", 413, None),
        ("model_not_allowed", 403, "false"),
        ("account_conflict", 409, "false"),
        ("rate_limit_exceeded", 429, "true"),
        ("insufficient_quota", 429, "false"),
    ],
)
def test_status_and_retry_advice_belong_to_the_code(code, status, should_retry):
    answer = ErrorAnswer.of(code, "x")
    assert answer.status == status
    assert headers_of(answer).get("x-should-retry") == should_retry


def test_a_timeout_has_its_own_status():
    assert ErrorAnswer.of("upstream_unreachable", "It took too long.", status=504).status == 504


def test_the_time_is_told_in_all_three_ways():
    answer = ErrorAnswer.of("rate_limit_exceeded", "Every account is limited.", retry_after_s=1.8975)
    headers = headers_of(answer)
    assert headers["retry-after"] == "2"
    assert headers["retry-after-ms"] == "1898"
    message = json.loads(answer.body)["error"]["message"]
    assert message == "Every account is limited. Please try again in 1.898s."
    assert re.findall(r"(?i)try again in\s*(\d+(?:\.\d+)?)\s*(s|ms|seconds?)", message) == [("1.898", "s")]


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, b"0", b"0"), (-3.0, b"0", b"0"), (0.2, b"1", b"200"), (20.0, b"20", b"20000"), (20.01, b"21", b"20010")],
)
def test_nobody_is_told_to_come_early(seconds, whole, milliseconds):
    assert retry_headers(seconds) == [(b"retry-after", whole), (b"retry-after-ms", milliseconds)]


@given(st.floats(0, 100_000))
def test_what_we_say_is_what_our_own_reader_reads(seconds):
    """A codex-manager behind another one understands it."""
    answer = ErrorAnswer.of("rate_limit_exceeded", "Busy.", retry_after_s=seconds)
    verdict = classify(answer.status, headers_of(answer), answer.body)
    assert verdict.failure is FailureClass.RATE
    in_message = cooling_hint({}, verdict.message, 0).seconds
    in_all = cooling_hint(headers_of(answer), verdict.message, 0).seconds
    assert in_message is not None
    assert in_all is not None
    assert seconds - 1e-6 <= in_message <= seconds + 0.001
    assert in_message <= in_all <= seconds + 1.0


def test_the_sentence_is_never_negative():
    assert try_again_in(-1) == "Please try again in 0.000s."


@pytest.mark.parametrize(
    ("code", "exception"),
    [
        ("invalid_api_key", openai.AuthenticationError),
        ("no_usable_account", openai.PermissionDeniedError),
        ("account_conflict", openai.ConflictError),
        ("rate_limit_exceeded", openai.RateLimitError),
        ("insufficient_quota", openai.RateLimitError),
        ("vault_locked", openai.InternalServerError),
        ("no_available_accounts", openai.InternalServerError),
        ("upstream_unreachable", openai.InternalServerError),
        ("request_too_large", openai.APIStatusError),
    ],
)
def test_the_official_sdk_raises_the_right_exception_and_shows_our_code(code, exception):
    """The SDK itself over a socket; it tries once, so that no retry hides the first answer."""
    answer = ErrorAnswer.of(code, "Something happened.", retry_after_s=0.01 if code == "rate_limit_exceeded" else None)
    with serving(answer) as base_url:
        client = openai.OpenAI(api_key="sk-codex-manager", base_url=base_url, max_retries=0, timeout=5)
        with client, pytest.raises(exception) as caught:
            client.models.list()
    assert caught.value.code == code
    assert "Something happened." in str(caught.value)
    assert caught.value.status_code == answer.status
