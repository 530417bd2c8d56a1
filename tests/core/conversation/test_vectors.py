"""Embeddings and moderations."""

import base64
import json
import struct

from typing import Any

import pytest

from codex_manager.core.conversation import Body, as_text, conversation_of


def told(path, asked, answer=None):
    body = None if answer is None else Body(json.dumps(answer).encode(), "application/json")
    part: Any = "request" if answer is None else "answer"
    return as_text(conversation_of(path, Body(json.dumps(asked).encode(), "application/json"), body), part)


def listed(*vectors):
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}


@pytest.mark.parametrize("packed", [False, True])
def test_dimension_and_norm_instead_of_numbers(packed):
    vector = [0.6, 0.8] + [0.0] * 1534
    given = base64.b64encode(struct.pack("<1536f", *vector)).decode() if packed else vector
    text = told("/v1/embeddings", {}, listed(given, given))
    assert text == (
        "answer: text-embedding-3-small\n\n"
        "embeddings: |\n  2 vectors\n  0: dimension 1,536, norm 1.0000\n  1: dimension 1,536, norm 1.0000\n\n"
        "usage: 8 tokens in, 0 out"
    )


def test_many_vectors_are_summed_up():
    text = told("/v1/embeddings", {}, listed(*([number] for number in range(50))))
    assert "30 more: dimension 1, norms from 20.0000 to 49.0000" in text


def test_vectors_that_are_none():
    text = told("/v1/embeddings", {}, listed(["x"], None, "!!!", "AAA", [1e308, 1e308], [True]))
    assert "0: dimension 1, no numbers" in text
    assert "1: dimension 0, norm 0.0000" in text


def test_what_is_embedded():
    text = told(
        "/v1/embeddings", {"model": "m", "input": ["cat", "dog"], "dimensions": 256, "encoding_format": "base64"}
    )
    assert text == (
        "request: embeddings, m\nsettings: dimensions 256, encoding_format base64\n\ninput: |\n  cat\n\ninput: |\n  dog"
    )
    assert "input: |\n  [3 tokens, given by number]" in told("/v1/embeddings", {"input": [[1, 2, 3]]})
    assert told("/v1/embeddings", {"input": ["x"] * 25}).endswith("input: |\n  [5 more, 25 in all]")


def test_moderation():
    categories = {"hate": False, "violence": True}
    flagged = {"flagged": True, "categories": categories, "category_scores": {"hate": 0.01, "violence": 0.97}}
    clean = {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.01, "violence": 0.02}}
    answer = {"id": "modr-1", "model": "omni-moderation-latest", "results": [flagged, clean]}
    text = told("/v1/moderations", {"input": "x"}, answer)
    assert "moderation: |\n  flagged: violence 0.970" in text
    assert "moderation: |\n  not flagged\n  highest: violence 0.020, hate 0.010" in text
