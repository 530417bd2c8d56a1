"""What a turn on a socket names is where the turn goes; what its answer shows is known afterwards."""

from typing import Any

import pytest

from tests.proxy.websocket_rig import open_socket, through

from codex_manager.core.resources import Learned, digest
from codex_manager.core.weather import Weather
from codex_manager.testing import FakeOpenAI, answers


FRAMES = "*#create"
THINKING: dict[str, Any] = {"include": ["reasoning.encrypted_content"], "store": False}


@pytest.fixture
async def fake():
    async with FakeOpenAI() as server:
        yield server


def served_by(turn, fake, key):
    return turn[-1]["response"]["metadata"]["served_by"] == fake._accounts[key].marker


def knows(proxy, label, *names, family="response"):
    """As if an answer of this account had shown these."""
    engine = proxy.runtime._engine
    account = next(c.account for c in engine.candidates if c.account.label == label)
    domain = engine.state.accounts[account.id].domain
    engine.state.owners.note([Learned(name, family) for name in names], domain, account.id, 1.0)


async def made_by_b(fake, proxy, **fields):
    """An answer of the second account's, on a socket that is gone again."""
    fake.script("sk-a", answers.server_error(500), path=FRAMES)
    async with open_socket(proxy.port) as client:
        turn = await client.turn(**fields)
    assert served_by(turn, fake, "sk-b")
    for standing in proxy.state.accounts.values():
        standing.weather = Weather()  # the failure is past
    return turn[-1]["response"]


async def test_a_stored_answer_is_continued_where_it_is(fake, tmp_path):
    """On another socket, which was opened with another account: nobody sees it move."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        name = (await made_by_b(fake, proxy, store=True))["id"]
        async with open_socket(proxy.port) as client:
            assert served_by(await client.turn(), fake, "sk-a")
            turn = await client.turn(previous_response_id=name, store=True)
            assert served_by(turn, fake, "sk-b")
            assert served_by(await client.turn(previous_response_id=turn[-1]["response"]["id"]), fake, "sk-b")
        await proxy.until_idle()


async def test_what_is_not_stored_is_only_the_socket_s(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        await made_by_b(fake, proxy, store=False)
        assert not len(proxy.state.owners)


async def test_an_owner_that_is_limited_is_named_in_an_error_frame(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        knows(proxy, "b", "resp_1")
        fake.script("sk-b", answers.rate_limited(retry_after=30))
        async with open_socket(proxy.port) as client:
            error = (await client.turn(previous_response_id="resp_1"))[-1]
            assert (error["type"], error["status"]) == ("error", 429)
            assert error["error"]["message"].startswith("resp_1 belongs to 'b'. b: rate limited, again in ")
            assert served_by(await client.turn(), fake, "sk-a")


async def test_things_of_two_accounts_are_a_conflict(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        knows(proxy, "a", "resp_1")
        knows(proxy, "b", "vs_1", family="vector_store")
        tools = [{"type": "file_search", "vector_store_ids": ["vs_1"]}]
        async with open_socket(proxy.port) as client:
            error = (await client.turn(previous_response_id="resp_1", tools=tools))[-1]
            assert (error["status"], error["error"]["code"]) == (409, "account_conflict")
            assert [seen for seen in fake.log if seen.method == "WS"] == []


async def test_reasoning_goes_back_to_its_origin(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        thought = (await made_by_b(fake, proxy, **THINKING))["output"][0]
        assert proxy.state.owners.owner(digest(thought["encrypted_content"].encode())) is not None
        async with open_socket(proxy.port) as client:
            turn = await client.turn(input=[{"role": "user", "content": "hi"}, thought], **THINKING)
            assert served_by(turn, fake, "sk-b")


async def test_reasoning_is_left_out_when_its_origin_cannot_serve_and_it_may_be(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b", config="  encrypted_reasoning: strip\n") as proxy:
        thought = (await made_by_b(fake, proxy, **THINKING))["output"][0]
        fake.script("sk-b", answers.rate_limited(retry_after=30))
        async with open_socket(proxy.port) as client:
            turn = await client.turn(input=[{"role": "user", "content": "hi"}, thought], **THINKING)
            assert served_by(turn, fake, "sk-a")
    assert b"encrypted_content" not in fake.log[-1].body.replace(b"reasoning.encrypted_content", b"")
