"""The estimate of tokens errs to the safe side, and not absurdly."""

import base64
import json

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.tokens import IMAGE_TOKENS, estimate


def chat(content, **more):
    return json.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}, ensure_ascii=False
    ).encode()


PICTURE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64," + base64.b64encode(bytes(300_000)).decode()},
}

# Counted by hand from above: a token for each word and the full stop, one for each Chinese character.
PROSE = "The quick brown fox jumps over the lazy dog. " * 200  # 10 a sentence
CHINESE = "快速的棕色狐狸跳过了懒狗。" * 200  # 13 a sentence


@pytest.mark.parametrize(("text", "tokens"), [(PROSE, 2000), (CHINESE, 2600)])
def test_the_estimate_is_not_below_and_not_far_above(text, tokens):
    assert tokens <= estimate(chat(text)) <= 2 * tokens


def test_an_empty_body_costs_nothing():
    assert estimate(b"") == 0


def test_the_output_asked_for_counts():
    assert estimate(b"abc", max_output_tokens=100) == 101


def test_a_picture_counts_as_a_picture_not_as_its_letters():
    with_picture = estimate(chat([{"type": "text", "text": "what is this?"}, PICTURE]))
    without = estimate(chat([{"type": "text", "text": "what is this?"}]))
    assert without + IMAGE_TOKENS <= with_picture <= without + IMAGE_TOKENS + 100


def test_several_pictures_count_each():
    assert 3 * IMAGE_TOKENS < estimate(chat([PICTURE] * 3)) < 3 * IMAGE_TOKENS + 400


def test_a_picture_that_is_cut_off_is_still_one():
    assert estimate(b'"data:image/png;base64,' + b"A" * 90_000) < 2 * IMAGE_TOKENS


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=B", " Multipart/mixed"])
def test_files_are_not_text(content_type):
    assert estimate(b"x" * 1_000_000, content_type=content_type) == 0


@given(st.binary(max_size=300), st.none() | st.integers(0, 1000))
def test_every_body_has_an_estimate(body, cap):
    assert estimate(body, max_output_tokens=cap) >= 0


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_a_longer_text_never_costs_less(one, other):
    assert estimate(b"a" * min(one, other)) <= estimate(b"a" * max(one, other))
