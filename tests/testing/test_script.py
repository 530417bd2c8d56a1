"""Who gets which step."""

import asyncio

from tests.testing.raw import CHAT, ask

from codex_manager.testing.answers import bad_request, insufficient_quota, ok, overloaded, rate_limited


async def statuses(fake, count, **kwargs):
    return [(await ask(fake, **kwargs)).status for _ in range(count)]


async def test_a_script_is_played_in_order_and_then_all_is_good(fake):
    fake.script("sk-a", rate_limited(), bad_request(), ok())
    fake.script("sk-a", overloaded())
    assert fake.left("sk-a") == 4
    assert await statuses(fake, 6) == [429, 400, 200, 503, 200, 200]
    assert fake.left() == 0


async def test_a_script_is_for_its_key_alone(fake):
    fake.script("sk-a", rate_limited())
    assert await statuses(fake, 1, key="sk-b") == [200]
    assert await statuses(fake, 1, key="sk-a") == [429]


async def test_a_script_goes_before_a_standing_answer(fake):
    fake.always("sk-a", insufficient_quota())
    fake.script("sk-a", ok())
    assert await statuses(fake, 3) == [200, 429, 429]


async def test_the_newest_standing_answer_wins_until_it_is_cleared(fake):
    fake.always("sk-a", rate_limited())
    fake.always("sk-a", bad_request())
    assert await statuses(fake, 1) == [400]
    fake.clear("sk-a")
    assert await statuses(fake, 1) == [200]


async def test_a_storm_on_all_keys(fake):
    fake.always(None, rate_limited())
    assert await statuses(fake, 1, key="sk-a") == await statuses(fake, 1, key="sk-b") == [429]


async def test_rules_can_be_for_a_path_or_a_model(fake):
    fake.always("sk-a", rate_limited(), model="gpt-5*")
    fake.script("sk-a", overloaded(), path="/v1/models*")
    assert await statuses(fake, 1) == [200]
    assert await statuses(fake, 1, body={**CHAT, "model": "gpt-5-mini"}) == [429]
    assert await statuses(fake, 2, method="GET", path="/v1/models/gpt-4o") == [503, 200]


async def test_a_cycle_begins_again(fake):
    fake.cycle("sk-a", ok(), rate_limited())
    assert await statuses(fake, 5) == [200, 429, 200, 429, 200]


async def test_a_function_decides_for_each_request(fake):
    """An account that fails every third time."""
    fake.always("sk-a", lambda seen: overloaded() if seen.number % 3 == 2 else ok())
    assert await statuses(fake, 6) == [200, 200, 503, 200, 200, 503]


async def test_concurrent_requests_share_no_step(fake):
    fake.script("sk-a", *[rate_limited()] * 20)
    answers = await asyncio.gather(*(ask(fake) for _ in range(40)))
    assert sorted(heard.status for heard in answers) == [200] * 20 + [429] * 20
