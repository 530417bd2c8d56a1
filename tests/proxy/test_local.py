"""What the proxy says about itself, without a key and without a label."""

import json

import pytest

from codex_manager import __version__
from codex_manager.proxy.local import Capacity, local_answer


WELL = Capacity(accounts=3, available=2, locked=False, recording="ok")


async def ask(method: str, target: str, capacity: Capacity = WELL):
    answer = local_answer(method, target, capacity, uptime_s=12.9)
    assert answer is not None
    body = b"".join([chunk async for chunk in answer.body])
    await answer.aclose()
    return answer, body


@pytest.mark.parametrize("path", ["/health", "/healthz", "/health?verbose=1"])
async def test_health_is_seven_facts_and_no_label(path):
    answer, body = await ask("GET", path)
    assert answer.status == 200
    assert json.loads(body) == {
        "status": "ok",
        "version": __version__,
        "accounts": 3,
        "available": 2,
        "uptime_seconds": 12,
        "recording": "ok",
        "blame": "nobody",
    }


@pytest.mark.parametrize(
    ("capacity", "status", "ready", "reason"),
    [
        (WELL, "ok", 200, None),
        (Capacity(accounts=2, available=0, locked=False), "degraded", 503, "no_usable_account"),
        (Capacity(accounts=0, available=0, locked=False), "degraded", 503, "no_available_accounts"),
        (Capacity(accounts=0, available=0, locked=True), "degraded", 503, "vault_locked"),
        (Capacity(accounts=2, available=2, locked=True), "degraded", 503, "vault_locked"),
    ],
)
async def test_alive_is_not_ready(capacity, status, ready, reason):
    """`/health` is 200 as long as the program lives; `/ready` is for who sends traffic."""
    answer, body = await ask("GET", "/health", capacity)
    assert (answer.status, json.loads(body)["status"]) == (200, status)
    answer, body = await ask("GET", "/ready", capacity)
    assert (answer.status, json.loads(body).get("reason")) == (ready, reason)


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ready"])
async def test_head_is_get_without_the_body(path):
    got, body = await ask("GET", path)
    head, nothing = await ask("HEAD", path)
    assert (head.status, head.headers, nothing) == (got.status, got.headers, b"")
    assert (b"Content-Length", str(len(body)).encode()) in head.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
async def test_other_methods_are_told_which_ones_work(method):
    answer, body = await ask(method, "/health")
    assert answer.status == 405
    assert (b"Allow", b"GET, HEAD") in answer.headers
    assert json.loads(body)["error"]["message"] == "/health answers GET and HEAD only."


@pytest.mark.parametrize("path", ["/", "/v1/models", "/health/", "/healthy", "/Health"])
def test_other_paths_are_not_ours(path):
    assert local_answer("GET", path, WELL, uptime_s=0) is None
