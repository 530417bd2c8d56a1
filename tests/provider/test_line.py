"""One connection for several questions, each with an end, and no word of a key in what goes wrong."""

import http.client
import ssl
import threading
import time

import pytest

from codex_manager.core.secret import Secret
from codex_manager.provider.line import BODY_MAX, Line, Way, reason, within
from codex_manager.testing import answers, in_thread
from codex_manager.testing.toxics import close_silently, hang, reset_before_headers


KEY = Secret("sk-line-0123456789abcdef")


@pytest.fixture
def openai():
    with in_thread() as fake:
        fake.account(KEY.reveal(), "org-a")
        yield fake


@pytest.fixture
def line(openai):
    with Line(Way(f"{openai.base_url}/"), timeout_s=5) as made:
        yield made


def test_questions_share_a_connection_and_carry_the_key(openai, line):
    for _ in range(3):
        assert line.get("/v1/models", KEY, parameters=[("a", "b c"), ("a", "ü")]).status == 200
    assert len({seen.connection for seen in openai.log}) == 1
    assert {seen.query for seen in openai.log} == {"a=b+c&a=%C3%BC"}
    assert {seen.key for seen in openai.log} == {KEY.reveal()}


def test_a_redirect_is_an_answer_like_another(openai, line):
    openai.always(None, answers.raw(307, [("location", "http://127.0.0.1:1/v1/models")]))
    assert line.get("/v1/models", KEY).status == 307
    assert len(openai.log) == 1


def test_an_answer_without_end_is_cut_and_the_next_question_goes_elsewhere(openai, line):
    openai.script(None, answers.blob(BODY_MAX * 2, chunked=True))
    assert len(line.get("/v1/models", KEY).body) == BODY_MAX
    assert line.get("/v1/models", KEY).status == 200
    assert len({seen.connection for seen in openai.log}) == 2


def test_a_kept_connection_that_died_is_replaced_once_and_a_new_one_is_not(openai, line):
    openai.script(None, close_silently(), answers.ok())
    assert [line.get("/v1/models", KEY).status for _ in range(2)] == [200, 200]
    openai.script(None, reset_before_headers(), reset_before_headers())
    with pytest.raises(ConnectionError):
        line.get("/v1/models", KEY)
    assert openai.counts(KEY.reveal()) == 4


def test_closing_ends_who_waits_on_it(openai, line):
    openai.always(None, hang())
    threading.Timer(0.1, line.close).start()
    before = time.monotonic()
    with pytest.raises((OSError, http.client.HTTPException, AttributeError, ValueError)):
        line.get("/v1/models", KEY)
    assert time.monotonic() - before < 4
    with pytest.raises(TimeoutError):
        line.get("/v1/models", KEY)


def test_headers_that_cannot_be_shown_are_none(openai, line):
    openai.always(None, answers.raw(200, [("x-long", "a" * 300), ("x-odd", "a\tb"), ("X-Plain", "yes")]))
    found = line.get("/v1/models", KEY)
    assert (found.header("x-long"), found.header("x-odd"), found.header("x-plain"), found.header("x-none")) == (
        None,
        None,
        "yes",
        None,
    )


def test_work_that_takes_too_long_is_left_and_told_so():
    gate = threading.Event()
    left: list[int] = []

    def give_up():
        left.append(1)
        gate.set()

    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(0.05, lambda: gate.wait(10), name="slow", give_up=give_up)
    assert left == [1]
    assert within(5, lambda: 7, name="quick") == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0, name="wrong")


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"Invalid header value b'Bearer {KEY.reveal()}'"), http.client.BadStatusLine(KEY.reveal()), OSError(KEY.reveal()),
        TimeoutError(KEY.reveal()), ConnectionResetError(104, "Connection reset by peer", KEY.reveal()), ssl.SSLError(1, "wrong version number"),
        UnicodeError(KEY.reveal()),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_reason_has_no_word_of_what_was_sent(error):
    assert KEY.reveal() not in reason(error)
    assert reason(error)
