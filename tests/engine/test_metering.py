"""Every way a request can end costs what it should, once: over real sockets, with a book that sees whether it adds up."""

import asyncio
import contextlib
import gzip
import json
import random
import re

from decimal import Decimal

import brotli  # type: ignore[import-untyped]  # comes with mitmproxy
import pytest
import zstandard

from tests.engine.screenplay import CHAT, STATUS, chat, get, play, post, stage, upload
from tests.engine.test_carry import ROWS
from tests.engine.till import FlatPricing

from codex_manager.engine.messages import Request
from codex_manager.engine.settings import ClientLimits
from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t


LIMITED = {label: {"daily_limit_usd": 10_000.0, "monthly_limit_usd": 90_000.0} for label in "abcdef"}
METERED = {"pricing": FlatPricing(), "accounts": LIMITED}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500}
"""A dollar in, a dollar out."""
COST = Decimal(2)
STREAM = {"stream": True, "max_tokens": 1000}


def metered(labels="ab", **settings):
    return stage(labels, **(METERED | settings))


# --- every failure, in every phase ---


@pytest.mark.parametrize(("upstream", "expect"), ROWS.values(), ids=ROWS)
async def test_a_failure_costs_nothing_and_the_answer_what_it_says(upstream, expect):
    """`stage` looks at the end whether all that was set aside is settled or released."""
    got = await play(upstream, expect=expect, pricing=FlatPricing(), accounts=LIMITED)
    assert got.answer.request_id


async def test_a_good_answer_is_a_record_with_every_attempt():
    async with metered() as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=20))
        there.fake.script("sk-b", a.ok(usage=USAGE))
        got = await there.ask(chat(max_tokens=1000))
        (record,) = there.till.records
        assert (record.id, record.status, record.failure) == (got.answer.request_id, 200, "")
        assert (record.account, record.account_id, record.domain) == ("b", "id-b", "org-b/proj-b")
        assert (record.endpoint, record.model, record.method, record.client) == (
            "chat/completions", "gpt-4o", "POST", "default",
        )  # fmt: skip
        assert (record.cost, record.estimated, record.priced, record.streamed) == (COST, False, True, False)
        assert (record.usage.input, record.usage.output, record.usage.model) == (1000, 500, "gpt-4o")
        first, second = record.attempts
        assert (first.label, first.status, first.failure, first.code) == ("a", 429, "rate", "rate_limit_exceeded")
        assert (second.label, second.status, second.failure, second.by) == ("b", 200, "", "only")
        ((out, obstacle, _, until),) = second.out
        assert (out, obstacle) == ("id-a", "rate")
        assert 15 < until - record.time < 25
        assert 0 <= first.began_s <= second.began_s <= record.first_byte_s <= record.duration_s
        assert there.till.reserved_ids == [record.id, f"{record.id}-2"]


async def test_refusals_of_ours_are_records_that_cost_nothing():
    async with metered("a", accounts={"a": {"enabled": False}}) as there:
        await there.ask()
        record = there.till.last
        assert (record.status, record.failure, record.account, record.cost) == (403, "no_usable_account", None, 0)
        assert record.detail["out"] == [["id-a", "disabled", "", None]]
        there.engine.update(accounts=None)
        got = await there.ask()
        assert (there.till.last.failure, there.till.last.id) == ("vault_locked", got.answer.request_id)


async def test_nobody_knows_what_a_lost_answer_cost_so_its_input_is_booked():
    async with metered() as there:
        there.fake.script("sk-a", t.reset_before_headers())
        await there.ask()
        record = there.till.last
        assert (record.status, record.failure, record.account, record.estimated) == (504, "ambiguous", "a", True)
        assert record.usage.output == 0
        assert record.cost == Decimal(record.usage.input) / 1000 > 0


async def test_what_is_sent_again_after_a_lost_answer_is_two_records():
    async with metered(ambiguous_replay="stateless") as there:
        there.fake.script("sk-a", t.reset_before_headers())
        there.fake.script("sk-b", a.ok(usage=USAGE))
        await there.ask()
        lost, good = there.till.records
        assert (lost.account, lost.failure, lost.estimated, lost.detail) == (
            "a",
            "ambiguous",
            True,
            {"attempt_of": good.id},
        )
        assert (good.account, good.failure, good.cost, len(good.attempts)) == ("b", "", COST, 2)


async def test_a_request_that_never_arrived_costs_nothing():
    async with metered("a", accounts={"a": {"base_url": "http://127.0.0.1:9", "daily_limit_usd": 50.0}}) as there:
        assert (await there.ask()).status == 502
        assert (there.till.last.failure, there.till.last.cost, there.till.last.account) == ("pre_dispatch", 0, None)


async def test_what_costs_nothing_sets_nothing_aside():
    async with metered() as there:
        await there.ask(get())
        await there.ask(upload())
        assert there.till.reserved_ids == []
        assert [(record.endpoint, record.usage, record.cost) for record in there.till.records] == [
            ("models", None, 0), ("files", None, 0),
        ]  # fmt: skip


async def test_without_metering_nothing_is_written_down_and_no_limit_held():
    async with metered("a", metering=False, accounts={"a": {"daily_limit_usd": 0.01}}) as there:
        got = await there.ask(chat(stream=True))
        assert got.status == 200
        assert b"stream_options" not in there.fake.log[0].body
        assert (there.till.records, there.till.reserved_ids, got.answer.request_id) == ([], [], "")


# --- streams ---


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
async def test_a_stream_costs_what_the_whole_answer_does_and_reads_as_without_us(target):
    asked = {"model": "gpt-4o", "messages": [], "prompt": "x", "input": "x"}
    bodies = []
    for pricing in (FlatPricing(), None):
        async with stage("a", pricing=pricing, accounts=LIMITED if pricing else {}) as there:
            there.fake.always("sk-a", a.ok("hello", usage=USAGE | {"input_tokens": 1000, "output_tokens": 500}))
            got = await there.ask(post(target, json.dumps(asked | {"stream": True}).encode()))
            bodies.append(got.body.replace(there.fake.base_url.encode(), b""))
            if pricing is not None:
                await there.ask(post(target, json.dumps(asked).encode()))
                streamed, whole = there.till.records
                assert (streamed.streamed, whole.streamed) == (True, False)
                assert streamed.cost == whole.cost == COST
                assert not streamed.estimated
                assert 0 < (streamed.first_byte_s or 0) <= streamed.duration_s
    mine, direct = (_without_ids(body) for body in bodies)
    assert mine == direct
    assert b"usage" not in direct or target == "/v1/responses"


def _without_ids(body: bytes) -> bytes:
    """Digests are of the request's body, which is not the same."""
    return re.sub(rb'("(?:id|item_id|created|created_at)":)("[^"]*"|\d+)', rb"\1_", body)


async def test_a_stream_that_says_nothing_is_estimated_when_we_may_not_ask():
    async with metered("a", stream_usage="estimate") as there:
        there.fake.always("sk-a", a.ok("some words that are said " * 4, chunks=10))
        await there.ask(chat(**STREAM))
        assert b"stream_options" not in there.fake.log[0].body
        record = there.till.last
        assert record.estimated
        assert 8 <= record.usage.output <= 40
        assert record.cost > 0


@pytest.mark.parametrize("options", [{"include_usage": True}, {"include_usage": True, "include_obfuscation": False}])
async def test_who_asks_for_usage_gets_it(options):
    async with metered("a") as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        request = chat(**STREAM, stream_options=options)
        got = await there.ask(request)
        assert there.fake.log[0].body == request.body
        assert got.body.count(b'"usage":{') + got.body.count(b'"usage": {') == 1
        assert there.till.last.cost == COST


async def test_a_server_that_refuses_the_question_for_usage_gets_the_request_as_it_came():
    async with metered("a") as there:
        there.fake.script("sk-a", a.bad_request("Unrecognized request argument supplied: stream_options", param=None))
        assert (await there.ask(chat(**STREAM))).status == 200
        assert (await there.ask(chat(**STREAM))).status == 200
        assert [b"stream_options" in seen.body for seen in there.fake.log] == [True, False, False]
        assert [record.estimated for record in there.till.records] == [True, True]
        assert [len(record.attempts) for record in there.till.records] == [2, 1]


async def test_a_server_that_compresses_what_has_to_come_plain_is_not_asked_again():
    """Of its first stream we cannot take out what we asked for; from then on the client gets what it would directly."""
    async with metered("a") as there:
        there.fake.always("sk-a", a.ok("some words") | t.encoded("gzip"))
        bodies = [gzip.decompress((await there.ask(chat(**STREAM))).body) for _ in range(3)]
        assert [b"stream_options" in seen.body for seen in there.fake.log] == [True, False, False]
        assert [b'"usage"' in body for body in bodies] == [True, False, False]
        assert [record.estimated for record in there.till.records] == [False, True, True]


async def test_a_cut_stream_is_estimated_and_never_free():
    async with metered("a") as there:
        there.fake.script("sk-a", a.ok("word " * 40, chunks=40) | t.reset_mid_stream(20))
        got = await there.ask(chat(**STREAM))
        record = there.till.last
        assert got.cut
        assert (record.failure, record.estimated, record.status) == ("mid_stream", True, 200)
        assert 10 <= record.usage.output <= 40
        assert record.cost > 0


@pytest.mark.parametrize("after", [0, 3])
async def test_who_leaves_in_the_middle_pays_for_what_came(after):
    async with metered("a") as there:
        there.fake.script("sk-a", a.ok("word " * 40, chunks=40, every=0.01))
        answer = await there.engine.handle(chat(**STREAM))
        for _ in range(after):
            await anext(answer.body)
        await answer.aclose()
        await answer.aclose()
        record = there.till.last
        assert (record.failure, record.estimated, record.account) == ("gone", True, "a")
        assert record.cost > 0
        assert (record.usage.output > 0) is bool(after)


async def test_who_leaves_after_the_last_word_has_left_nothing():
    async with metered("a") as there:
        there.fake.script("sk-a", a.ok(usage=USAGE))
        answer = await there.engine.handle(chat(**STREAM))
        seen = b""
        while b"[DONE]" not in seen:
            seen += await anext(answer.body)
        await answer.aclose()
        assert (there.till.last.failure, there.till.last.estimated, there.till.last.cost) == ("", False, COST)


async def test_who_leaves_before_the_answer_pays_for_what_was_sent():
    async with metered("a") as there:
        there.fake.script("sk-a", t.hang())
        asking = asyncio.create_task(there.ask())
        await there.fake.until(lambda: len(there.fake.log) == 1 and there.fake.log[0].body_at is not None)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        record = there.till.last
        assert (record.failure, record.status, record.account, record.estimated) == ("gone", 0, "a", True)
        assert record.cost > 0


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "dcb"])
async def test_compressed_answers_are_counted_and_not_touched(encoding):
    code = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress, "dcb": bytes}[encoding]
    document = {"id": "x", "object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": USAGE}
    body = code(json.dumps(document).encode())
    async with metered("a") as there:
        headers = {"content-type": "application/json", "content-encoding": encoding}
        there.fake.script("sk-a", a.raw(200, headers, body))
        assert (await there.ask()).body == body
        record = there.till.last
        assert record.estimated is (encoding == "dcb")
        assert record.cost == COST or encoding == "dcb"
        assert record.cost > 0


# --- what is made now and costs later ---


async def test_a_response_in_the_background_is_open_until_it_is_seen_complete():
    async with metered("a") as there:
        there.fake.script("sk-a", a.ok(pending=1, usage={"input_tokens": 1000, "output_tokens": 500}))
        made = await there.ask(
            post("/v1/responses", json.dumps({"model": "gpt-5", "input": "x", "background": True}).encode())
        )
        name = json.loads(made.body)["id"]
        (record,) = there.till.records
        assert (record.open, record.object_id, record.estimated) == (True, name, True)
        assert record.cost > 0
        while json.loads((await there.ask(get(f"/v1/responses/{name}"))).body)["status"] != "completed":
            assert there.till.settled == []
        ((settled, usage, cost),) = there.till.settled
        assert (settled, usage.input, usage.output, cost) == (name, 1000, 500, COST)
        assert all(record.cost == 0 and record.usage is None for record in there.till.records[1:])


# --- limits ---


async def test_an_account_at_its_limit_is_left_out_and_all_of_them_are_a_429_that_is_not_retried():
    limits = {"a": {"daily_limit_usd": 5.0}, "b": {"daily_limit_usd": 5.0}}
    async with metered(accounts=limits) as there:
        for key in ("sk-a", "sk-b"):
            there.fake.always(key, a.ok(usage={"prompt_tokens": 3000, "completion_tokens": 0}))
        asked = chat(max_tokens=10)
        assert [(await there.ask(asked)).by for _ in range(4)] == ["a", "a", "b", "b"]
        got = await there.ask(asked)
        assert (got.status, got.error["code"], got.headers["x-should-retry"]) == (429, "insufficient_quota", "false")
        assert "a: " in got.error["message"]
        assert "$6.00" in got.error["message"]
        assert there.till.spent() == 12


async def test_two_hundred_at_once_do_not_overshoot_by_more_than_one_estimate():
    async with metered("a", accounts={"a": {"daily_limit_usd": 20.5}}) as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        got = await there.ask_many(200, parallel=200, request=chat(max_tokens=980))
        served = [one for one in got if one.status == 200]
        assert {one.status for one in got} == {200, 429}
        assert 9 <= len(served) <= 10
        assert there.till.spent() <= Decimal("20.5")


async def test_what_was_set_aside_too_high_is_room_again():
    async with metered("a", accounts={"a": {"daily_limit_usd": 4.5}}) as there:
        there.fake.always("sk-a", a.ok(usage={"prompt_tokens": 100, "completion_tokens": 0}))
        for _ in range(5):
            assert (await there.ask(chat(max_tokens=1900))).status == 200
        assert there.till.spent() == Decimal("0.5")


async def test_a_client_is_held_to_its_models_and_its_limits():
    clients = {"ci": ClientLimits(models=("gpt-4o*",), daily_limit_usd=3.0)}
    async with metered("a", clients=clients) as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        there.engine.settings.clients["ci"]
        theirs = chat(max_tokens=10)
        mine = Request(method="POST", target=theirs.target, headers=theirs.headers, body=theirs.body, client="ci")
        other = chat(model="o3")
        got = await there.ask(
            Request(method="POST", target=other.target, headers=other.headers, body=other.body, client="ci")
        )
        assert (got.status, got.error["code"], got.error["param"]) == (403, "model_not_allowed", "model")
        assert "local key 'ci'" in got.error["message"]
        assert [(await there.ask(mine)).status for _ in range(3)] == [200, 200, 429]
        got = await there.ask(mine)
        assert (got.error["code"], got.headers["x-should-retry"]) == ("insufficient_quota", "false")
        assert "local key 'ci'" in got.error["message"]
        assert (await there.ask(theirs)).status == 200
        assert len(there.fake.log) == 3


async def test_a_new_limit_holds_for_the_next_request():
    async with metered("a", accounts={"a": {"daily_limit_usd": 100.0}}) as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        assert (await there.ask(chat(max_tokens=10))).status == 200
        there.engine.update(accounts=[there.accounts[0].replace(daily_limit_usd=1.0)])
        assert (await there.ask(chat(max_tokens=10))).status == 429
        there.engine.update(accounts=[there.accounts[0].replace(daily_limit_usd=50.0)])
        assert (await there.ask(chat(max_tokens=10))).status == 200


# --- whatever happens ---


async def test_counting_that_breaks_fails_no_request():
    class Broken(FlatPricing):
        def __init__(self):
            self.asked = 0

        def cost(self, model, usage):
            self.asked += 1
            if self.asked % 2 == 0:
                raise ZeroDivisionError
            return super().cost(model, usage)

    async with metered("a", pricing=Broken()) as there:
        for request in (chat(), chat(**STREAM)):
            got = await there.ask(request)
            assert (got.status, got.cut) == (200, False)
        assert there.till.records == []


@pytest.mark.slow
async def test_a_thousand_random_plays_balance():
    rng = random.Random(11)
    steps = [
        200, 200, 429, 401, 500, 503, 400, a.slow_down(), a.insufficient_quota(), t.reset_before_headers(),
        a.ok(chunks=8) | t.reset_mid_stream(3), a.ok(chunks=8) | t.close_mid_stream(5), a.garbage(), a.cloudflare_429(),
        a.error_in_stream(), a.ok(chunks=8, every=0.002),
    ]  # fmt: skip
    for _ in range(40):
        async with metered("abc", max_inline_wait_s=0.05) as there:
            for account in there.accounts:
                chosen = rng.choices(steps, k=12)
                there.fake.script(account.api_key.reveal(), *(STATUS[s] if isinstance(s, int) else s for s in chosen))

            async def one(there=there):
                request = rng.choice([chat(), chat(**STREAM), chat(max_tokens=50), get(), post("/v1/responses", CHAT)])
                task = asyncio.create_task(there.ask(request))
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.random() * 0.02)
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

            await asyncio.gather(*(one() for _ in range(25)))
            assert there.balanced()
            assert all(record.cost >= 0 for record in there.till.records)
