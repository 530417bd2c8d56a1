"""Which calls may be sent twice: every operation of the published API, and what is not in it."""

from pathlib import Path

import pytest

from codex_manager.core.endpoint import FAMILIES, STATELESS, describe, name_of


TABLE = [
    line.split()
    for line in (Path(__file__).parent / "openai_paths.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def concrete(path):
    """`/files/{file_id}/content` with an id as one of OpenAI's."""
    return "/v1" + "/".join("id_0123abcd" if segment.startswith("{") else segment for segment in path.split("/"))


def test_the_list_is_whole():
    """281 operations: 288 in the specification, 7 of them written a second time with `?beta=true`."""
    assert len(TABLE) == len({(method, path) for method, path, _ in TABLE}) == 281


@pytest.mark.parametrize(("method", "path", "replay"), TABLE)
def test_every_published_operation_is_judged_as_listed(method, path, replay):
    endpoint = describe(method, concrete(path))
    assert endpoint.replay == replay
    assert endpoint.family == path.split("/")[1]
    assert describe(method, concrete(path) + "?beta=true").replay == replay


def test_the_table_names_nothing_that_does_not_exist():
    paths = {path for method, path, _ in TABLE if method == "POST"}
    assert {f"/{name}" for name in STATELESS} <= paths
    assert {path.split("/")[1] for _, path, _ in TABLE} == FAMILIES


@pytest.mark.parametrize(
    ("method", "target", "replay", "family"),
    [
        ("POST", "/v1/something/new", "state_creating", "other"),
        ("POST", "/v1/", "state_creating", "other"),
        ("POST", "/", "state_creating", "other"),
        ("POST", "", "state_creating", "other"),
        ("POST", "*", "state_creating", "other"),
        ("POST", "/chat/completions", "state_creating", "other"),
        ("POST", "/v2/chat/completions", "state_creating", "other"),
        ("POST", "/v1/chat/completions/", "stateless", "chat"),
        ("POST", "/v1/chat/completions?x=/v1/files", "stateless", "chat"),
        ("POST", "/v1/chat/completions/../files", "state_creating", "chat"),
        ("POST", "/v1/vector_stores/vs_1/searching", "state_creating", "vector_stores"),
        ("POST", "/v1/vector_stores/vs_1/x/search", "state_creating", "vector_stores"),
        ("PUT", "/v1/chat/completions", "state_creating", "chat"),
        ("PATCH", "/v1/responses", "state_creating", "responses"),
        ("DELETE", "/v1/files/file-1", "state_creating", "files"),
        ("post", "/v1/chat/completions", "state_creating", "chat"),
        ("BREW", "/v1/models", "state_creating", "models"),
        ("HEAD", "/v1/models", "read", "models"),
        ("OPTIONS", "/v1/chat/completions", "read", "chat"),
        ("GET", "/anything", "read", "other"),
    ],
)
def test_what_is_not_in_the_table_is_judged_conservatively(method, target, replay, family):
    endpoint = describe(method, target)
    assert (endpoint.replay, endpoint.family) == (replay, family)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/v1/models", True),
        ("GET", "/v1/models?limit=3", True),
        ("GET", "/v1/models/", True),
        ("GET", "/v1/models/gpt-4o", False),
        ("HEAD", "/v1/models", False),
        ("POST", "/v1/models", False),
        ("GET", "/models", False),
    ],
)
def test_the_models_list_is_recognised(method, target, expected):
    assert describe(method, target).is_models_list is expected


def test_the_path_is_kept_without_its_query():
    assert describe("GET", "/v1/files?limit=2#x").path == "/v1/files"


@pytest.mark.parametrize(
    ("method", "target", "creates_state", "replay"),
    [
        ("POST", "/v1/responses", False, "stateless"),
        ("POST", "/v1/responses", True, "state_creating"),
        ("POST", "/v1/files", True, "state_creating"),
        ("POST", "/v1/files", False, "state_creating"),
        ("GET", "/v1/responses/resp_1", True, "read"),
    ],
)
def test_a_body_that_leaves_something_behind_makes_a_call_state_creating(method, target, creates_state, replay):
    assert describe(method, target).replay_with(creates_state=creates_state) == replay


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "chat/completions"),
        ("/v1/responses", "responses"),
        ("/v1/responses/resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b", "responses"),
        ("/v1/responses/resp_1/cancel", "responses/cancel"),
        ("/v1/files/file-abc/content", "files/content"),
        ("/v1/threads/thread_1/runs/run_1/steps/step_1", "threads/runs/steps"),
        ("/v1/models/gpt-4o", "models"),
        ("/v1/fine_tuning/jobs/ftjob-1/events", "fine_tuning/jobs/events"),
        ("/v1/nothing/known", "other"),
        ("/v2/files", "other"),
        ("", "other"),
        ("/v1/files/" + "files/" * 500, "files"),
    ],
)
def test_the_name_of_an_endpoint_has_no_id(path, name):
    assert name_of(path) == name


def test_all_published_paths_have_few_names():
    names = {name_of(concrete(path)) for _, path, _ in TABLE}
    assert len(names) < 130
    assert not any("0123" in name for name in names)
