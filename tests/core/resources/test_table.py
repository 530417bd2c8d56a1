"""The table of families against all operations of the published specification."""

import re

from pathlib import Path

import pytest

from codex_manager.core.resources import BY_NAME, FAMILIES, ids_in_path, kind_of, list_family


OPERATIONS = [
    tuple(line.split()[:2])
    for line in (Path(__file__).parents[1] / "openai_paths.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PATHS = sorted({path for _, path in OPERATIONS})
ADMIN = ("/organization/", "/projects/")
"""Read and changed with an admin key, which clients of ours do not have."""
OF_FAMILY = {
    "assistant_id": "assistant", "consent_id": "voice_consent", "batch_id": "batch", "completion_id": "chat_completion",
    "session_id": "chatkit_session", "thread_id": "thread", "container_id": "container", "conversation_id": "conversation",
    "eval_id": "eval", "file_id": "file", "fine_tuned_model_checkpoint": "model", "fine_tuning_job_id": "fine_tuning_job",
    "call_id": "call", "response_id": "response", "skill_id": "skill", "upload_id": "upload", "vector_store_id": "vector_store",
    "character_id": "character", "video_id": "video",
}  # fmt: skip
INNER = {"item_id", "run_id", "output_item_id", "permission_id", "version", "message_id", "step_id"}
"""Found by the thing in front of it."""
NOT_LISTED_TOGETHER = {"/models", "/organization", "/projects"}


def example(parameter):
    return "ft:gpt-4o:acme::abc" if parameter in {"model", "fine_tuned_model_checkpoint"} else f"x-{parameter}"


@pytest.mark.parametrize("path", [path for path in PATHS if "{" in path and not path.startswith(ADMIN)])
def test_the_ids_of_every_path_of_the_specification_are_found(path):
    parameters = re.findall(r"\{(\w+)\}", path)
    concrete = "/v1" + re.sub(r"\{(\w+)\}", lambda found: example(found[1]), path)
    found = ids_in_path(concrete)
    outer = parameters[0]
    family = "chatkit_thread" if path.startswith("/chatkit/threads") else OF_FAMILY.get(outer, "model")
    assert found[0] == (family, example(outer))
    for parameter, (inner_family, name) in zip(parameters[1:], found[1:], strict=False):
        assert (inner_family, name) == (OF_FAMILY[parameter], example(parameter))
    left = set(parameters[1 : 1 + len(parameters) - len(found)]) if len(found) < len(parameters) else set()
    assert left <= INNER | {"file_id", "batch_id"}
    if "file_id" in parameters[1:]:
        assert ("file", "x-file_id") in found or path.startswith("/containers"), "a container's files are its own"


@pytest.mark.parametrize("path", [path for path in PATHS if "{" not in path or path.startswith(ADMIN)])
def test_paths_without_an_id_of_an_account_name_none(path):
    assert ids_in_path("/v1" + re.sub(r"\{(\w+)\}", lambda found: example(found[1]), path)) == ()


def test_every_list_of_the_specification_is_in_the_table_or_is_no_accounts():
    lists = {
        path
        for method, path in OPERATIONS
        if method == "GET" and "{" not in path and not path.startswith((*ADMIN, "/organization"))
    }
    known = {f"/{family.listed}" for family in FAMILIES if family.listed is not None}
    assert known <= lists
    assert lists - known <= {"/models", "/responses", "/realtime"}  # the union of models; WebSocket handshakes


def test_every_item_path_is_an_operation_of_the_specification():
    shapes = {re.sub(r"\{\w+\}", "{}", path) for method, path in OPERATIONS if method == "GET"}
    for family in FAMILIES:
        if family.item is not None:
            assert f"/{family.item}" in shapes, family.name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("file-abc", "file"), ("file_abc", "file"), ("resp_1", "response"), ("ftjob-1", "fine_tuning_job"),
        ("ft:gpt-4o-mini:acme::x1", "model"), ("vsfb_1", "vector_store_file_batch"), ("vs_1", "vector_store"),
        ("thread_1", "thread"), ("evalrun_1", "eval_run"), ("cfile_1", "container_file"), ("rs_1", "item"),
        ("gpt-4o", None), ("file-", None), ("", None), ("sk-proj-abc", None), ("call_abc", None), ("req_1", None),
    ],
)  # fmt: skip
def test_an_id_is_known_by_its_beginning(name, family):
    assert kind_of(name) == family


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/v1/", "/v1//", "/v1/files", "/v1/files/", "/v2/files/file-1", "/v1/models/gpt-4o"]
)
def test_odd_paths_name_nothing(path):
    assert ids_in_path(path) == ()


def test_lists():
    assert list_family("/v1/files") is BY_NAME["file"]
    assert list_family("/v1/fine_tuning/jobs/") is BY_NAME["fine_tuning_job"]
    assert list_family("/v1/files/file-1") is None
    assert list_family("/v1/vector_stores/vs_1/files") is None
    assert all(family.listed is not None for family in FAMILIES if family.merged)
