import copy
import json
import random

from typing import Any

import pytest

from codex_manager.core.metering import kinds
from codex_manager.core.metering.glance import chat_answer
from codex_manager.core.metering.kinds import Seen
from codex_manager.core.metering.meters import JsonMeter


USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 50,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 3,
        "rejected_prediction_tokens": 0,
    },
}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": 'say "usage": {"prompt_tokens": 1} \\', "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}


def parsed(document):
    """What the parser's way finds."""
    seen = Seen()
    kinds.CHAT.read(seen, document)
    return seen


def same(data, document):
    found, said = chat_answer(data), parsed(document)
    if found is not None:
        assert found == (said.object_id, said.usage)
    return found is not None


@pytest.mark.parametrize("layout", [{}, {"separators": (",", ":")}, {"indent": 2}])
def test_an_answer_as_openai_writes_it_needs_no_parser(layout):
    assert same(json.dumps(ANSWER, **layout).encode(), ANSWER)
    few = {name: ANSWER[name] for name in ("id", "object", "created", "model", "choices")}
    few["usage"] = {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
    assert same(json.dumps(few, **layout).encode() + b"\n", few)
    assert same(json.dumps(few | {"service_tier": None}, **layout).encode(), few)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-4o-search-preview"},
        {"model": "a\\b"},
        {"model": 4},
        {"id": None},
        {"object": "chat.completion.chunk"},
        {"status": "completed"},
        {"service_tier": {"of": "another kind"}},
        {"choices": []},
        {"choices": [{"finish_reason": "stop", "model": "last"}]},
        {"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 5}}},
        {"usage": USAGE | {"completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 5}}},
        {"usage": USAGE | {"completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 5}}},
        {"usage": USAGE | {"prompt_tokens": 1.5}},
        {"usage": USAGE | {"prompt_tokens": -1}},
        {"usage": USAGE | {"prompt_tokens": 10**13}},
        {"usage": USAGE | {"prompt_tokens": 0, "completion_tokens": 0}},
        {"usage": USAGE | {"input_tokens": 3}},
        {"usage": None},
        {"usage": {}},
    ],
)
def test_what_is_not_as_expected_is_left_to_the_parser(change):
    document = ANSWER | change
    assert not same(json.dumps(document).encode(), document)


def test_members_given_twice_are_left_to_the_parser():
    data = json.dumps(ANSWER)
    assert chat_answer(data.replace('"usage"', '"model":"other","usage"').encode()) is None
    assert chat_answer((data[:-1] + ',"usage":{"prompt_tokens":1}}').encode()) is None
    assert chat_answer(data[:-1].encode()) is None
    assert chat_answer(b"") is None


def test_whatever_the_document_it_is_read_as_by_the_parser():
    rng = random.Random(4)
    pieces = ["usage", '"usage"', "finish_reason", "}],", '"', "\\", "é", "\u2028", "]"]
    glanced = 0
    for _ in range(300):
        document: dict[str, Any] = copy.deepcopy(ANSWER)
        document["choices"][0]["message"]["content"] = "".join(rng.choices(pieces, k=rng.randint(0, 8)))
        if rng.random() < 0.4:
            del document[rng.choice(list(document))]
        if rng.random() < 0.3:
            document[rng.choice(["x", "tier", "status"])] = rng.choice(
                [1, "usage", {"usage": USAGE}, [copy.deepcopy(ANSWER)]]
            )
        if rng.random() < 0.3:
            document = dict(rng.sample(list(document.items()), len(document)))
        if rng.random() < 0.3 and "usage" in document:
            document["usage"][rng.choice(["prompt_tokens", "total_tokens"])] = rng.choice([0, None, "1", 10**40])
        data = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
        glanced += same(data, document)
        meter, said = JsonMeter(kinds.CHAT), parsed(document)
        cut = rng.randint(0, len(data))
        meter.feed(data[:cut])
        meter.feed(data[cut:])
        assert (meter.usage(), meter.object_id, meter.finished) == (said.usage, said.object_id, said.finished)
    assert glanced > 50
