"""The proxy's own pages: who may read them, and what they say of accounts, limits, and whose fault it is."""

import asyncio
import json
import secrets

import pytest

from tests.proxy.runtime_rig import BOUND, ask, code, in_force, incoming, new_home, running

from codex_manager import __version__
from codex_manager.core.incident import Cause
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.testing import answers


API = "/codex-manager/api/v1/"
STATUS, RUNNING, REQUESTS = API + "status", API + "running", API + "requests"


@pytest.fixture
async def home(tmp_path):
    async with new_home(tmp_path) as home:
        home.fake.account("sk-one", organization="org-a", project="proj_a")
        home.fake.account("sk-two", organization="org-b", project="proj_b")
        home.create("sk-one", "sk-two")
        yield home


def question(key, method="GET", target=STATUS, via="base_url", **headers):
    head = {"Host": "127.0.0.1:18080", "Authorization": f"Bearer {key}"} | headers
    return Incoming(
        method=method, target=target, via=via,
        headers=tuple((name.replace("_", "-").encode(), value.encode()) for name, value in head.items()),
    )  # fmt: skip


async def status(runtime):
    found, document = await ask(runtime, question(runtime.control_token.reveal()), b"")
    assert found == 200
    return document


# Who may read --------------------------------------------------------------------------------------------------------


async def test_without_the_token_there_is_nothing_here(home):
    async with running(home) as runtime:
        token = runtime.control_token.reveal()
        nowhere = await ask(runtime, question("sk-codex-manager", target="/nothing"), b"")
        assert nowhere[0] == 404
        wrong = [
            "",
            "sk-codex-manager",
            "sk-one",
            token[:-1],
            token + "x",
            token.swapcase(),
            secrets.token_urlsafe(32),
            "ü",
        ]
        for key in wrong:
            assert await ask(runtime, question(key), b"") == nowhere
        assert await ask(runtime, question(token, target="/v1/../codex-manager/api/v1/status"), b"") != 200
        assert (await status(runtime))["version"] == __version__


async def test_it_opens_nothing_else_and_another_run_has_another(home):
    async with running(home) as runtime:
        token = runtime.control_token.reveal()
        assert (await code(runtime, question(token, target="/v1/models")))[0] == 401
        assert await ask(runtime, question(token, target="/codex-manager/api/v1/nothing"), b"") == (
            404,
            {"error": {"message": f"There is no such page; there is {STATUS}, {RUNNING}, {REQUESTS}.",
                       "type": "invalid_request_error", "param": None, "code": "unknown_url"}},
        )  # fmt: skip
        assert (await code(runtime, question(token, "POST")))[0] == 405
        assert token not in repr(runtime.__dict__)
    async with running(home) as runtime:
        assert runtime.control_token.reveal() != token
        assert (await code(runtime, question(token)))[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:18080"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
async def test_no_page_and_no_other_name_gets_at_it(home, headers):
    async with running(home) as runtime:
        assert (await code(runtime, question(runtime.control_token.reveal(), **headers)))[0] == 403


async def test_as_a_forward_proxy_it_is_never_reached(home):
    async with running(home) as runtime:
        for host in ("api.openai.com", "127.0.0.1:18080"):
            request = question(runtime.control_token.reveal(), via="forward", Host=host)
            admitted = runtime.admit(request)
            assert not (isinstance(admitted, Admission) and admitted.local)


async def test_a_head_is_told_without_a_body(home):
    async with running(home) as runtime:
        admitted = runtime.admit(question(runtime.control_token.reveal(), "HEAD"))
        answer = await runtime.carry(admitted, b"")
        assert answer.status == 200
        assert [piece async for piece in answer.body] == []


# What it says --------------------------------------------------------------------------------------------------------


async def test_all_is_well(home):
    with home.vault() as vault:
        vault.update(vault.account("One").replace(daily_limit_usd=5.0))
    async with running(home) as runtime:
        for _ in range(3):
            assert await code(runtime) == (200, None)
        found = await status(runtime)
        health = (await ask(runtime, incoming("GET", "/health")))[1]
    assert (found["available"], found["in_flight"], found["waiting"], found["locked"]) == (2, 0, 0, False)
    assert found["blame"] == {"who": "nobody", "why": "", "accounts": []}
    assert health["blame"] == "nobody"
    one, two = found["accounts"]
    assert (one["label"], one["state"], one["retry_at"], one["domain"]) == ("One", "ready", None, "org-a/proj_a")
    ((limit,), none) = one["limits"], two["limits"]
    assert none == []
    assert (limit["window"], limit["limit_usd"]) == ("day", 5.0)
    assert limit["turns_at"].endswith("T00:00:00Z")
    assert 0 < one["used"] < 0.01
    assert [model["model"] for model in one["models"]] == ["gpt-4o"]
    assert found["ledger"]["ok"] is True
    assert found["ledger"]["dropped"] == 0
    for secret in ("sk-one", "sk-two", "hello"):
        assert secret not in json.dumps(found)


async def test_limited_accounts_are_to_blame_themselves(home):
    home.fake.always(None, answers.rate_limited(retry_after=60.0))
    async with running(home) as runtime:
        _, document = await ask(runtime)
        found = await status(runtime)
        assert (await ask(runtime, incoming("GET", "/health")))[1]["blame"] == "account"
    assert found["blame"]["who"] == "account"
    assert found["blame"]["why"] == "One: rate limited; Two: rate limited"
    assert found["blame"]["accounts"] == ["One", "Two"]
    assert {each["state"] for each in found["accounts"]} == {"limited"}
    assert all(each["retry_at"] for each in found["accounts"])
    assert "neither with OpenAI nor with your network" in document["error"]["message"]


async def test_both_failing_it_is_openai_and_one_failing_it_is_that_one(home):
    home.fake.always(None, answers.server_error())
    async with running(home) as runtime:
        assert (await code(runtime))[0] == 500
        assert (await status(runtime))["blame"]["who"] == "OpenAI"
        assert (await status(runtime))["incident"] == "OpenAI"
        home.fake.clear(None)
        for account in (await status(runtime))["accounts"]:
            runtime._engine.state.incidents.went_well(Cause.OPENAI, account["domain"])
        home.fake.always("sk-two", answers.server_error())
        for _ in range(4):
            await code(runtime)
        found = (await status(runtime))["blame"]
        assert (found["who"], found["accounts"]) == ("account", ["Two"])
        assert "fails where others do not" in found["why"]


async def test_an_overloaded_model_is_named(home):
    home.fake.always(None, answers.overloaded(20.0))
    home.configure("routing: {attempt_budget_s: 1}")
    async with running(home) as runtime:
        assert (await code(runtime))[0] == 503
        found = await status(runtime)
    assert [each["model"] for each in found["models"]] == ["gpt-4o"]
    assert found["blame"]["who"] == "OpenAI"


async def test_what_cannot_be_reached_is_the_networks_fault(home):
    home.configure(openai_base_url=f"http://127.0.0.1:{BOUND[0][1] + 1}")
    async with running(home) as runtime:
        status_code, document = await ask(runtime)
        assert status_code == 502
        found = await status(runtime)
    assert found["blame"]["who"] == "network"
    assert "connections" in found["blame"]["why"]
    assert "no account" in document["error"]["message"]


async def test_an_address_that_is_limited_is_the_networks_fault(home):
    home.fake.always(None, answers.cloudflare_429())
    home.configure("routing: {max_inline_wait_s: 0}")
    async with running(home) as runtime:
        with pytest.raises(json.JSONDecodeError):
            await ask(runtime)  # the edge's own page
        _, document = await ask(runtime)
        found = await status(runtime)
    assert found["blame"]["who"] == "network"
    assert "this machine's address" in found["blame"]["why"]
    assert "your network" in document["error"]["message"]
    assert {each["state"] for each in found["accounts"]} == {"egress"}


async def test_a_locked_vault_and_none_at_all_are_said(home):
    with home.vault() as vault:
        vault.lock()
    async with running(home) as runtime:
        found = await status(runtime)
    assert (found["locked"], found["accounts"]) == (True, [])


# Requests ------------------------------------------------------------------------------------------------------------


async def page(runtime, name):
    found, document = await ask(runtime, question(runtime.control_token.reveal(), target=API + name), b"")
    assert found == 200, document
    return document


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "limit=0", "limit=1001", "after=1&after=2", "other=1", "after=", "after=" + "9" * 19,
     "limit=%D9%A1"],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_refused(home, query):
    async with running(home) as runtime:
        target = f"{REQUESTS}?{query}"
        status_code, refusal = await code(runtime, question(runtime.control_token.reveal(), target=target))
        assert (status_code, refusal) == (400, "invalid_query")


async def test_requests_are_told_from_the_first_question_on_and_in_short(home):
    home.fake.always("sk-one", answers.rate_limited(retry_after=60.0))
    home.configure("routing: {strategy: priority}")
    async with running(home) as runtime:
        assert runtime._accounting.book.watched is None
        await code(runtime)
        first = await page(runtime, "requests")
        assert (first["number"], first["missed"], first["recorded"], first["requests"]) == (0, 0, True, [])
        await code(runtime)
        await ask(runtime, incoming("GET", "/health"))
        told = await page(runtime, "requests?after=0")
        assert (told["number"], told["since"]) == (1, first["since"])
        assert await page(runtime, "requests?after=1") == told | {"requests": []}
        assert await page(runtime, "requests?after=7000") == told  # a number of another run
        (found,) = told["requests"]
    assert len(found.pop("id")) == 32
    assert found.pop("time").endswith("+00:00")
    assert 0 < found.pop("first_byte_s") <= found.pop("duration_s") < 10
    assert found.pop("cost_usd") > 0
    assert len(found.pop("account_id")) == 36
    assert found == {
        "number": 1, "client": "default", "method": "POST", "endpoint": "chat/completions", "model": "gpt-4o",
        "streamed": False, "websocket": False, "account": "Two", "by": "only", "strategy": "priority", "status": 200,
        "failure": None, "attempts": [{"account": "Two", "by": "only", "status": 200, "failure": None}],
        "input_tokens": found["input_tokens"], "cached_tokens": 0, "output_tokens": found["output_tokens"],
        "estimated": False, "attempt_of": None,
    }  # fmt: skip


async def test_what_was_kept_for_somebody_is_forgotten_when_they_stay_away(home, monkeypatch):
    monkeypatch.setattr("codex_manager.proxy.audience.PATIENCE_S", 0.05)
    async with running(home) as runtime:
        await page(runtime, "requests")
        await code(runtime)
        assert runtime._accounting.book.watched is not None
        await in_force(lambda: asyncio.sleep(0, runtime._accounting.book.watched is None))
        await code(runtime)
        again = await page(runtime, "requests")
        assert again["requests"] == []
        await code(runtime)
        assert [each["number"] for each in (await page(runtime, "requests"))["requests"]] == [2]


async def test_without_metering_nothing_is_recorded_and_that_is_said(home):
    home.configure("metering: {enabled: false}")
    async with running(home) as runtime:
        await page(runtime, "requests")
        await code(runtime)
        assert (await page(runtime, "requests"))["recorded"] is False
        assert await page(runtime, "running") == {"count": 0, "requests": []}


async def test_what_is_on_its_way_is_told_with_whom_it_is(home):
    home.fake.always(None, answers.ok(chunks=50, every=0.05))
    body = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()
    async with running(home) as runtime:
        answer = await runtime.carry(runtime.admit(incoming()), body)
        await anext(answer.body)
        told = await page(runtime, "running")
        (found,) = told["requests"]
        assert told["count"] == 1
        assert found["account"] in {"One", "Two"}
        assert found["bytes"] > 0
        assert found["seconds"] >= 0
        kept = {
            name: found[name] for name in ("client", "endpoint", "model", "stage", "attempts", "status", "streamed")
        }
        assert kept == {
            "client": "default", "endpoint": "chat/completions", "model": "gpt-4o", "stage": "answering", "attempts": 1,
            "status": 200, "streamed": True,
        }  # fmt: skip
        await answer.aclose()
        assert await page(runtime, "running") == {"count": 0, "requests": []}
        waiting = asyncio.create_task(ask(runtime))
        await in_force(lambda: asyncio.sleep(0, runtime.engine.metering.running))
        assert (await page(runtime, "running?limit=1"))["requests"][0]["stage"] in {"deciding", "asked"}
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await page(runtime, "running"))["count"] == 0
