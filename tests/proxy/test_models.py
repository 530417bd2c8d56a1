"""`GET /v1/models` is what the usable accounts can do together, asked once in five minutes."""

import asyncio
import json
import random

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.clock import SystemClock
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Request
from codex_manager.engine.settings import EngineSettings
from codex_manager.proxy.models import KEEP_S, ModelsUnion, is_models_list
from codex_manager.testing import FakeOpenAI, answers, toxics


LIST = Request(method="GET", target="/v1/models", headers=((b"Accept", b"application/json"), (b"X-Mine", b"1")))
MODELS = {
    "sk-a": ("gpt-4o", "gpt-4o-audio-preview", "o3"),
    "sk-b": ("gpt-4o", "gpt-5", "whisper-1"),
    "sk-c": ("gpt-5", "ft:gpt-4o:acme::x"),
}


class Time:
    """The union's clock, set by hand; the engine's own goes on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    def __init__(self, fake, engine, union, time) -> None:
        self.fake, self.engine, self.union, self.time = fake, engine, union, time

    async def ask(self, request: Request = LIST):
        answer = await self.union.answer(request)
        body = b"".join([chunk async for chunk in answer.body])
        await answer.aclose()
        return answer, json.loads(body)

    async def ids(self) -> list[str]:
        answer, document = await self.ask()
        assert answer.status == 200
        assert document["object"] == "list"
        return [model["id"] for model in document["data"]]

    def asked(self) -> dict[str, int]:
        return dict(self.fake.counts())


def account(key: str, *models: str, **fields) -> Account:
    return Account(id=f"id-{key}", label=key, api_key=Secret(key), models=models, **fields)


@pytest.fixture
async def stage():
    """Make a stage with these accounts; all is closed at the end."""
    made = []

    async def make(*accounts: Account) -> Stage:
        fake = await FakeOpenAI().start()
        for key, models in MODELS.items():
            fake.account(key, models=models)
        settings = EngineSettings(base_url=fake.base_url, max_inline_wait_s=0.0)
        engine = Engine(AiohttpTransport(), settings, accounts, clock=SystemClock(), random=random.Random(1))
        time = Time()
        made.append((fake, engine))
        return Stage(fake, engine, ModelsUnion(engine, time), time)

    yield make
    for fake, engine in made:
        await engine.aclose()
        await fake.stop()


async def test_lists_are_merged_by_id_in_a_stable_order(stage):
    it = await stage(account("sk-a"), account("sk-b"), account("sk-c"))
    assert await it.ids() == ["gpt-4o", "gpt-4o-audio-preview", "o3", "gpt-5", "whisper-1", "ft:gpt-4o:acme::x"]


async def test_only_what_an_accounts_scope_allows_is_shown(stage):
    """What one account may not serve is shown when another may."""
    it = await stage(account("sk-a", "gpt-4o*", "!*audio*"), account("sk-b", "!gpt-4o"))
    assert await it.ids() == ["gpt-4o", "gpt-5", "whisper-1"]


async def test_one_account_with_a_scope_shows_its_scope(stage):
    it = await stage(account("sk-a", "o3"))
    assert await it.ids() == ["o3"]


async def test_each_account_is_asked_once_in_five_minutes(stage):
    it = await stage(account("sk-a"), account("sk-b"))
    for _ in range(3):
        await it.ids()
    assert it.asked() == {"sk-a": 1, "sk-b": 1}
    it.time.now += KEEP_S - 1
    await it.ids()
    assert it.asked() == {"sk-a": 1, "sk-b": 1}
    it.time.now += 1
    await it.ids()
    assert it.asked() == {"sk-a": 2, "sk-b": 2}


async def test_requests_at_the_same_time_share_one_question(stage):
    it = await stage(account("sk-a"), account("sk-b"))
    it.fake.always("sk-a", toxics.delay(0.1))
    lists = await asyncio.gather(*(it.ids() for _ in range(20)))
    assert len({tuple(ids) for ids in lists}) == 1
    assert it.asked() == {"sk-a": 1, "sk-b": 1}


async def test_an_account_that_fails_is_left_out_and_asked_again(stage):
    it = await stage(account("sk-a"), account("sk-b"))
    it.fake.script("sk-a", answers.server_error(500), answers.raw(200, [], b"<html>"))
    assert await it.ids() == ["gpt-4o", "gpt-5", "whisper-1"]
    assert await it.ids() == ["gpt-4o", "gpt-5", "whisper-1"]
    assert "o3" in await it.ids()
    assert it.asked() == {"sk-a": 3, "sk-b": 1}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"data": 1}', b"[" * 100_000, b"\xff", b'{"data": [' + b" " * 5_000_000]
)
async def test_an_answer_that_is_no_list_is_left_out(stage, body):
    it = await stage(account("sk-a"), account("sk-b"))
    it.fake.script("sk-a", answers.raw(200, [("content-type", "application/json")], body))
    assert await it.ids() == ["gpt-4o", "gpt-5", "whisper-1"]


async def test_models_without_an_id_are_left_out(stage):
    it = await stage(account("sk-a"), account("sk-b"))
    it.fake.script("sk-a", answers.raw(200, [], b'{"data": [{"id": 5}, null, {}, {"id": "gpt-x"}]}'))
    assert await it.ids() == ["gpt-x", "gpt-4o", "gpt-5", "whisper-1"]


async def test_when_every_account_fails_the_engine_speaks(stage):
    it = await stage(account("sk-a"), account("sk-b"))
    it.fake.always(None, answers.bad_request())
    answer, document = await it.ask()
    assert answer.status == 400
    assert document["error"]["type"] == "invalid_request_error"


async def test_without_accounts_the_engine_speaks(stage):
    it = await stage()
    answer, document = await it.ask()
    assert answer.status == 503
    assert document["error"]["code"] == "no_available_accounts"


async def test_one_accounts_answer_passes_through(stage):
    """The client's own request goes out and the upstream's own answer comes back."""
    it = await stage(account("sk-a"))
    answer, document = await it.ask()
    assert [model["id"] for model in document["data"]] == list(MODELS["sk-a"])
    assert answer.account_label == "sk-a"
    assert it.fake.log[0].header("x-mine") == "1"


async def test_an_edited_account_is_asked_again(stage):
    it = await stage(account("sk-a"), account("sk-b"))
    await it.ids()
    edited = [account("sk-a", project="proj_other"), account("sk-b", "gpt-5")]
    it.union.forget(edited)
    it.fake.clear()
    it.engine.update(accounts=edited)
    assert (await it.ids())[-1] == "gpt-5"
    assert it.asked()["sk-b"] == 1  # a new scope is applied to what is known
    assert it.asked()["sk-a"] == 2


async def test_a_client_that_leaves_takes_nobody_with_it(stage):
    """The question goes on while somebody waits; when nobody does, it is given up and asked anew by the next."""
    it = await stage(account("sk-a"), account("sk-b"))
    it.fake.script("sk-a", toxics.delay(0.2), toxics.delay(30))
    leaving, staying = asyncio.create_task(it.ids()), asyncio.create_task(it.ids())
    await it.fake.until(lambda: it.fake.counts("sk-a") == 1)
    leaving.cancel()
    assert "o3" in await staying
    assert it.asked()["sk-a"] == 1

    it.time.now += KEEP_S
    alone = asyncio.create_task(it.ids())
    await it.fake.until(lambda: it.fake.counts("sk-a") == 2)
    alone.cancel()
    await asyncio.gather(alone, leaving, return_exceptions=True)
    await it.fake.until(lambda: it.fake.log[-1].aborted or it.fake.log[-2].aborted)
    assert "o3" in await it.ids()


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/v1/models", True),
        ("GET", "/v1/models?limit=5", False),
        ("GET", "/v1/models/gpt-4o", False),
        ("GET", "/v1/models/", False),
        ("HEAD", "/v1/models", False),
        ("POST", "/v1/models", False),
    ],
)
def test_only_the_plain_list_is_made_here(method, target, expected):
    assert is_models_list(method, target) is expected
