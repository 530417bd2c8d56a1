"""The openai SDK's own WebSocket clients through the proxy, unchanged but for key and base URL."""

import asyncio

from typing import Any

import openai
import pytest

from tests.proxy.websocket_rig import KEY, through

from codex_manager.testing import FakeOpenAI, answers


def told(event) -> dict[str, Any]:
    return event.to_dict()


@pytest.fixture
async def fake():
    async with FakeOpenAI() as server:
        yield server


async def test_responses_connect_goes_on_when_its_account_is_limited(fake, tmp_path):
    """Three turns on one socket over two accounts; the second is limited in the middle."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        async with (
            openai.AsyncOpenAI(api_key=KEY, base_url=proxy.base_url, max_retries=0) as client,
            client.responses.connect() as connection,
        ):
            served = []
            for number in range(3):
                if number == 1:
                    fake.script("sk-a", answers.insufficient_quota(), path="*#create")
                await connection.send({"type": "response.create", "model": "gpt-5", "input": f"{number}"})
                async for event in connection:
                    if event.type == "response.completed":
                        served.append(told(event)["response"]["metadata"]["served_by"])
                        break
        markers = [fake._accounts[key].marker for key in ("sk-a", "sk-b", "sk-b")]
        assert served == markers
        await proxy.until_idle()


async def test_realtime_connect_speaks_and_closes(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", answers.rate_limited(retry_after=30))
        async with (
            openai.AsyncOpenAI(api_key=KEY, base_url=proxy.base_url, max_retries=0) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
            await connection.response.create()
            heard = []
            async for event in connection:
                heard.append(event.type)
                if event.type == "response.done":
                    break
            assert heard[:2] == ["session.created", "session.updated"]
            assert told(event)["response"]["status"] == "completed"
        await proxy.until_idle()
    assert [(seen.key, seen.status) for seen in fake.log if seen.method == "GET"] == [("sk-a", 429), ("sk-b", 101)]
    assert fake.log[1].close_code == 1000


async def test_the_synchronous_client_works_too(fake, tmp_path):
    def talk(base_url):
        with (
            openai.OpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client,
            client.responses.connect() as connection,
        ):
            connection.send({"type": "response.create", "model": "gpt-5", "input": "hello"})
            for event in connection:
                if event.type == "response.completed":
                    return event.response.output_text
        return None

    async with through(fake, tmp_path, "sk-a") as proxy:
        assert "gpt-5 answers" in await asyncio.to_thread(talk, proxy.base_url)


async def test_a_refused_key_is_a_401_in_the_sdk(fake, tmp_path):
    import websockets

    async with (
        through(fake, tmp_path, "sk-a") as proxy,
        openai.AsyncOpenAI(api_key="sk-mine", base_url=proxy.base_url, max_retries=0) as client,
    ):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            await client.realtime.connect(model="gpt-realtime").enter()
        assert refused.value.response.status_code == 401
    assert fake.log == []


def issue(base_url):
    with openai.OpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client:
        return client.realtime.client_secrets.create(session={"type": "realtime"}).value


async def test_a_client_secret_made_by_the_sdk_opens_a_session(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        secret = await asyncio.to_thread(issue, proxy.base_url)
        async with (
            openai.AsyncOpenAI(api_key=secret, base_url=proxy.base_url, max_retries=0) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            assert (await connection.recv()).type == "session.created"
