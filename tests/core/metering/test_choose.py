"""Each operation of the API has the meter it needs, and no other."""

from pathlib import Path

import pytest

from codex_manager.core.endpoint import describe
from codex_manager.core.metering import meter_for
from codex_manager.core.metering.meters import BytesMeter, JsonMeter, StreamMeter, TextMeter


OPERATIONS = [
    line.rsplit(" ", 1)[0]
    for line in (Path(__file__).parents[1] / "openai_paths.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
USES = {
    "POST /chat/completions", "POST /completions", "POST /responses", "POST /responses/compact", "POST /embeddings",
    "POST /moderations", "POST /images/generations", "POST /images/edits", "POST /images/variations", "POST /audio/speech",
    "POST /audio/transcriptions", "POST /audio/translations", "POST /threads/runs", "POST /threads/{thread_id}/runs",
    "POST /batches", "POST /evals/{eval_id}/runs", "POST /fine_tuning/jobs", "POST /fine_tuning/alpha/graders/run",
    "POST /videos", "POST /videos/edits", "POST /videos/extensions", "POST /videos/{video_id}/remix",
}  # fmt: skip
SHOWS = {
    "GET /responses/{response_id}", "POST /responses/{response_id}/cancel", "GET /batches/{batch_id}",
    "POST /batches/{batch_id}/cancel", "GET /threads/{thread_id}/runs/{run_id}", "POST /threads/{thread_id}/runs/{run_id}",
    "POST /threads/{thread_id}/runs/{run_id}/cancel", "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
    "GET /evals/{eval_id}/runs/{run_id}", "POST /evals/{eval_id}/runs/{run_id}",
    "GET /fine_tuning/jobs/{fine_tuning_job_id}", "POST /fine_tuning/jobs/{fine_tuning_job_id}/cancel",
    "POST /fine_tuning/jobs/{fine_tuning_job_id}/pause", "POST /fine_tuning/jobs/{fine_tuning_job_id}/resume",
    "GET /videos/{video_id}",
}  # fmt: skip
"""What an earlier request made: the figures are that one's."""
DELETED = {"DELETE /evals/{eval_id}/runs/{run_id}"}
"""Its answer has no figures; a meter finds none."""


def test_both_lists_are_of_operations_that_exist():
    assert set(OPERATIONS) >= USES | SHOWS | DELETED


def test_every_operation_has_its_meter_and_no_other():
    found: dict[str, bool] = {}
    for operation in OPERATIONS:
        method, path = operation.split(" ")
        meter = meter_for(describe(method, f"/v1{path}"), "application/json")
        if meter is not None and operation not in DELETED:
            found[operation] = meter.settles
    assert found == dict.fromkeys(USES, False) | dict.fromkeys(SHOWS, True)


@pytest.mark.parametrize(
    ("path", "content_type", "kind"),
    [
        ("chat/completions", "application/json", JsonMeter),
        ("chat/completions", "text/event-stream", StreamMeter),
        ("chat/completions", " Text/Event-Stream; charset=utf-8", StreamMeter),
        ("chat/completions", "", JsonMeter),
        ("chat/completions", None, JsonMeter),
        ("audio/speech", "audio/mpeg", BytesMeter),
        ("audio/speech", "text/event-stream", StreamMeter),
        ("audio/transcriptions", "text/plain; charset=utf-8", TextMeter),
        ("audio/transcriptions", "text/vtt", TextMeter),
        ("audio/transcriptions", "application/json", JsonMeter),
    ],
)
def test_the_answers_type_decides_how_it_is_read(path, content_type, kind):
    assert type(meter_for(describe("POST", f"/v1/{path}"), content_type)) is kind


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/", "/v2/chat/completions", "/v1/unknown", "/v1/threads", "/v1/evals//x"]
)
def test_paths_that_are_none_have_no_meter(path):
    assert meter_for(describe("POST", path), "application/json") is None
