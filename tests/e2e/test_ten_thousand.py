"""Ten thousand requests over four accounts, each failing in its own way: the client sees none of it."""

import asyncio

from typing import Any

import openai
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy

from codex_manager.testing import FakeOpenAI, answers, in_thread


CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
PARALLEL = 50
HINTS: list[dict[str, Any]] = [
    {"retry_after": 1},
    {"retry_after_ms": 400},
    {"reset_requests": "600ms"},
    {"reset_tokens": "1s"},
    {"message": "Rate limit reached for gpt-4o-mini on requests per min. Please try again in 300ms."},
    {},
]
KEYS = {name: f"sk-{name}-0123456789abcdef" for name in ("limits", "billing", "unstable", "steady", "refused")}


def stage(fake):
    """Every third answer of one is a 429 with another hint each; one is out of credit or overloaded; one 5xx's."""
    for name, key in KEYS.items():
        fake.account(key, organization=f"org-{name}")
    limited = [answers.rate_limited(**hint) for hint in HINTS]
    fake.cycle(KEYS["limits"], *(step for limit in limited for step in (answers.ok(), answers.ok(), limit)))
    fake.script(KEYS["billing"], *[answers.ok()] * 20)
    fake.always(KEYS["billing"], answers.insufficient_quota())
    fake.script(KEYS["unstable"], *[answers.ok()] * 30, answers.overloaded(retry_after=1), *[answers.ok()] * 30)
    fake.always(KEYS["unstable"], answers.invalid_key())


async def storm(base_url, total, key=LOCAL_KEY):
    """`total` chats, 50 at a time, every tenth a stream; each with an id of its own."""
    errors = []
    numbers = iter(range(total))
    options: dict[str, Any] = {"api_key": key, "base_url": base_url, "timeout": 30, "max_retries": 0}

    async def worker(sdk):
        for number in numbers:
            headers = {"X-Client-Request-Id": f"request-{number}"}
            try:
                if number % 10 == 0:
                    stream = await sdk.chat.completions.create(**CHAT, stream=True, extra_headers=headers)
                    assert [chunk async for chunk in stream]
                else:
                    answer = await sdk.chat.completions.create(**CHAT, extra_headers=headers)
                    assert answer.choices[0].message.content
            except (openai.OpenAIError, AssertionError) as error:
                errors.append((number, repr(error)))

    async with openai.AsyncOpenAI(**options) as sdk:
        await asyncio.gather(*(worker(sdk) for _ in range(PARALLEL)))
    return errors


@pytest.mark.parametrize(
    ("strategy", "total"),
    [
        ("least_utilized", 100),
        pytest.param("round_robin", 500, marks=pytest.mark.slow),
        pytest.param("least_utilized", 10_000, marks=[pytest.mark.slow, pytest.mark.timeout(280)]),
    ],
)
def test_no_error_reaches_the_client_while_one_account_is_healthy(isolated_home, free_port, strategy, total):
    with in_thread(FakeOpenAI()) as fake:
        stage(fake)
        base_urls = {"refused": f"http://127.0.0.1:{free_port}"}
        accounts = [account(name, key, base_url=base_urls.get(name)) for name, key in KEYS.items()]
        home = make_home(
            isolated_home,
            accounts,
            f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: {strategy}\n",
        )
        with running_proxy(home) as proxy:
            errors = asyncio.run(storm(proxy.base_url, total))

        upstream = len(fake.log)
        assert errors == []
        assert fake.duplicates() == {}
        assert upstream <= 1.25 * total, f"{upstream} upstream requests for {total}"
        print(f"\n{total} requests, {upstream} upstream, by account {dict(fake.counts())}")
