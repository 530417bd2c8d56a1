"""What the list of `codex-manager web` says of real traffic: who, why, which try, how much; kept, bounded, sent again."""

import asyncio
import contextlib
import http.client
import re

from typing import Any

import openai
import pytest

from tests.support import LOCAL_KEY, account, make_home, wait_for
from tests.web_support import Site, running_web

from codex_manager.testing import FakeOpenAI, answers, in_thread


KEYS = {"Work": "sk-work-0123456789abcdef", "Home": "sk-home-0123456789abcdef"}
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
CONFIG = """\
proxy:
  openai_base_url: {url}
routing:
  strategy: priority
inspection:
  body_kib: 1
"""


@contextlib.contextmanager
def page(folder):
    with in_thread(FakeOpenAI()) as fake:
        for key in KEYS.values():
            fake.account(key, organization=f"org-{key}")
        accounts = [account(label, key, priority=9 - number) for number, (label, key) in enumerate(KEYS.items())]
        with running_web(make_home(folder / "home", accounts, CONFIG.format(url=fake.base_url))) as site:
            yield fake, site


def flows(site: Site) -> list[dict[str, Any]]:
    return site.ask("GET", "/flows").json()


def flow(site: Site, number: int = -1, **wanted: Any) -> dict[str, Any]:
    """The flow of that number, once it says what is wanted: what happens within a moment is told at once."""

    def found() -> bool:
        there = flows(site)
        return bool(there) and all(there[number].get(name) == value for name, value in wanted.items())

    assert wait_for(found), flows(site)[number]
    return flows(site)[number]


def comment(site: Site, end: str, number: int = -1) -> str:
    assert wait_for(lambda: flows(site) and flows(site)[number]["comment"].endswith(end)), flows(site)[number][
        "comment"
    ]
    return str(flows(site)[number]["comment"])


@pytest.mark.slow
def test_the_columns_say_who_served_and_for_how_much(tmp_path):
    with page(tmp_path) as (fake, site):
        sdk = openai.OpenAI(api_key=LOCAL_KEY, base_url=site.proxy.base_url, max_retries=0)
        sdk.chat.completions.create(**CHAT)
        assert comment(site, "tok · <$0.0001").startswith("Work · priority · gpt-4o-mini · ")
        assert flow(site)["marked"] == ""

        fake.script(KEYS["Work"], answers.rate_limited(retry_after=0.2))
        text = "".join(
            c.choices[0].delta.content or "" for c in sdk.chat.completions.create(**CHAT, stream=True) if c.choices
        )
        assert comment(site, "tok · <$0.0001").startswith("Home · priority · 2nd try (Work 429) · gpt-4o-mini · ")
        assert flow(site)["marked"] == "🔀"
        kept = site.ask("GET", f"/flows/{flow(site)['id']}/response/content.data").body
        assert len(kept) == 1024
        assert kept.startswith(b"data: ")
        assert text

        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(api_key="sk-nobody", base_url=site.proxy.base_url, max_retries=0).models.list()
        assert comment(site, "invalid_api_key") == "refused: invalid_api_key"
        assert flow(site)["marked"] == "⛔"

        first = flows(site)[0]
        assert site.ask("POST", f"/flows/{first['id']}/replay", {}).status == 200
        again = flow(site, 3, is_replay="request")
        assert re.match(r"(Work|Home) · priority · gpt-4o-mini · ", comment(site, "tok · <$0.0001", 3))
        assert again["id"] != first["id"]
        assert len(flows(site)) == 4

        connection = http.client.HTTPConnection("127.0.0.1", site.proxy.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
        assert len(flows(site)) == 4


@pytest.mark.slow
def test_the_answers_on_a_websocket_add_up(tmp_path):
    async def talk(base_url: str) -> None:
        async with (
            openai.AsyncOpenAI(api_key=LOCAL_KEY, base_url=base_url, max_retries=0) as sdk,
            sdk.responses.connect() as socket,
        ):
            for _ in range(2):
                await socket.send({"type": "response.create", "model": "gpt-4o-mini", "input": "hello"})
                async for event in socket:
                    if event.type == "response.completed":
                        break

    with page(tmp_path) as (_, site):
        asyncio.run(asyncio.wait_for(talk(site.proxy.base_url), 20))
        said = comment(site, "tok · <$0.0001")
        assert said.startswith("Work · priority · gpt-4o-mini · ")
        assert flows(site)[0]["websocket"]["messages_meta"]["count"] > 2


@pytest.mark.slow
def test_a_stream_can_be_read_while_it_runs(tmp_path):
    with page(tmp_path) as (fake, site):
        fake.script(KEYS["Work"], answers.ok(text="word " * 8, chunks=8, every=0.4))
        sdk = openai.OpenAI(api_key=LOCAL_KEY, base_url=site.proxy.base_url, max_retries=0)
        stream = iter(sdk.chat.completions.create(**CHAT, stream=True))
        next(stream)

        def content() -> bytes:
            there = flows(site)
            return site.ask("GET", f"/flows/{there[0]['id']}/response/content.data").body if there else b""

        assert wait_for(lambda: b"word" in content())
        assert b"[DONE]" not in content()
        assert not flows(site)[0]["comment"].endswith("$0.0001")
        for _ in stream:
            pass
