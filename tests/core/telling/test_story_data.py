"""One request as data: the names stay, and it is JSON."""

import json

from tests.core.telling.recorded import ID, OLD, record

from codex_manager.core.telling.story import Story
from codex_manager.core.telling.story_data import as_data


def test_it_is_json_with_the_names_that_programs_rely_on():
    told = as_data(Story(record(detail={"saved": "0.5", "x": 1}), lost=(record(f"{ID}-2"),), labels={OLD: "old"}))
    assert json.loads(json.dumps(told)) == told
    assert list(told) == [
        "id", "time", "client", "method", "endpoint", "model", "streamed", "websocket", "conversation", "strategy", "attempts",
        "refused", "answer", "usage", "cost_usd", "estimated", "priced", "open", "object_id", "lost", "saved_usd", "detail",
    ]  # fmt: skip
    assert told["attempts"][0]["out"][0]["account"] == "old"
    assert (told["lost"], told["saved_usd"], told["detail"]) == (
        [{"account": "home", "cost_usd": 0.0123}],
        0.5,
        {"x": 1},
    )


def test_what_a_request_did_not_have_is_null():
    told = as_data(Story(record(usage=None, status=0, first_byte_s=None, strategy="")))
    assert (told["usage"], told["answer"]["status"], told["answer"]["first_byte_s"], told["strategy"]) == (None,) * 4
