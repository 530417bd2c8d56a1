"""Each answer on a WebSocket has its own record, and no more are begun than there is money for."""

import asyncio
import contextlib
import json

from decimal import Decimal

import pytest

from tests.engine.screenplay import stage
from tests.engine.till import FlatPricing

from codex_manager.engine.messages import Request
from codex_manager.engine.settings import ClientLimits
from codex_manager.engine.websocket_frames import Closed, Message
from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t


LIMITED = {label: {"daily_limit_usd": 10_000.0} for label in "abc"}
USAGE = {"input_tokens": 1000, "output_tokens": 500}
COST = Decimal(2)
CREATE = {"type": "response.create", "model": "gpt-5", "input": "hello", "store": False, "max_output_tokens": 600}
HEADERS = (
    (b"Host", b"x"), (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="), (b"Sec-WebSocket-Version", b"13"),
)  # fmt: skip


def metered(labels="ab", **settings):
    return stage(labels, **({"pricing": FlatPricing(), "accounts": LIMITED} | settings))


class Talk:
    """A client's end."""

    def __init__(self, session):
        self.session = session

    def send(self, **event):
        self.session.send(Message(json.dumps(event)))

    async def hear(self, *kinds):
        """The next event, or the next of these kinds; a Closed is always one."""
        async with asyncio.timeout(5):
            while True:
                found = await self.session.receive()
                if isinstance(found, Closed):
                    return found
                event = json.loads(found.data)
                if not kinds or event["type"] in kinds:
                    return event

    async def turn(self, **fields):
        self.send(**(CREATE | fields))
        return await self.hear("response.completed", "response.failed", "error")


@contextlib.asynccontextmanager
async def talk(there, target="/v1/responses", client="default"):
    answer = await there.engine.handle(
        Request(method="GET", target=target, headers=HEADERS, websocket=True, client=client, id="ask")
    )
    assert answer.session is not None, answer.status
    answer.session.start()
    try:
        yield Talk(answer.session)
    finally:
        await answer.aclose()


# --- Responses ---


async def test_each_turn_is_a_record():
    async with metered() as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        async with talk(there) as one:
            for _ in range(2):
                assert (await one.turn())["type"] == "response.completed"
        handshake, first, second = there.till.records
        assert (handshake.status, handshake.cost, handshake.websocket, handshake.account) == (101, 0, True, "a")
        assert (first.id, second.id) == (f"{handshake.id}.1", f"{handshake.id}.2")
        for record in (first, second):
            assert (record.cost, record.estimated, record.model, record.account) == (COST, False, "gpt-5", "a")
            assert (record.websocket, record.endpoint, record.failure) == (True, "responses", "")
            assert 0 < record.first_byte_s <= record.duration_s


async def test_a_turn_that_moves_is_one_record_with_both_attempts():
    async with metered() as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=20), path="/v1/responses#create")
        there.fake.always("sk-b", a.ok(usage=USAGE))
        async with talk(there) as one:
            assert (await one.turn())["type"] == "response.completed"
        record = there.till.last
        assert (record.account, record.cost, record.failure) == ("b", COST, "")
        assert (record.attempts[0].label, record.attempts[0].failure) == ("a", "rate")
        assert len(there.till.records) == 2


async def test_a_turn_that_fails_costs_nothing():
    async with metered("a") as there:
        there.fake.script("sk-a", a.bad_request(), path="/v1/responses#create")
        async with talk(there) as one:
            assert (await one.turn())["type"] == "error"
        assert (there.till.last.failure, there.till.last.cost) == ("caller", 0)


@pytest.mark.parametrize("end", ["cut", "gone"])
async def test_a_turn_that_breaks_off_is_estimated(end):
    async with metered("a") as there:
        good = a.ok("word " * 40, chunks=40, every=0.005)
        there.fake.script("sk-a", good | t.reset_mid_stream(20) if end == "cut" else good, path="/v1/responses#create")
        async with talk(there) as one:
            one.send(**CREATE)
            for _ in range(3):
                await one.hear("response.output_text.delta")
            if end == "cut":
                while not isinstance(await one.hear(), Closed):
                    pass
        record = there.till.last
        assert (record.failure, record.estimated) == ("mid_stream" if end == "cut" else "gone", True)
        assert record.usage.output >= 3
        assert record.cost > 0


async def test_a_turn_there_is_no_money_for_goes_to_another_account():
    async with metered(accounts={"a": {"daily_limit_usd": 3.0}, "b": {"daily_limit_usd": 3.0}}) as there:
        for key in ("sk-a", "sk-b"):
            there.fake.always(key, a.ok(usage=USAGE))
        async with talk(there) as one:
            assert [(await one.turn())["type"] for _ in range(2)] == ["response.completed"] * 2
            refused = await one.turn()
            assert (refused["type"], refused["status"], refused["error"]["code"]) == (
                "error",
                429,
                "insufficient_quota",
            )
        assert [(r.account, r.cost) for r in there.till.records[1:]] == [("a", 2), ("b", 2), (None, 0)]
        assert there.asked().split().count("a") == 2


async def test_a_tied_turn_there_is_no_money_for_is_not_sent():
    for labels, expected in (("a", "error"), ("ab", "closed")):
        accounts = {"a": {"daily_limit_usd": 3.0}}
        async with metered(labels, accounts=accounts) as there:
            there.fake.always("sk-a", a.ok(usage=USAGE))
            async with talk(there) as one:
                first = await one.turn()
                again = await one.turn(previous_response_id=first["response"]["id"])
                assert ("closed" if isinstance(again, Closed) else again["type"]) == expected
                if labels == "ab":
                    assert again.code == 1013
            assert there.till.spent() == 2


async def test_a_client_is_held_on_a_socket_too():
    clients = {"ci": ClientLimits(models=("gpt-5",), daily_limit_usd=3.0)}
    async with metered("a", clients=clients) as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        async with talk(there, client="ci") as one:
            assert (await one.turn(model="o3"))["error"]["code"] == "model_not_allowed"
            assert (await one.turn())["type"] == "response.completed"
            assert (await one.turn())["error"]["code"] == "insufficient_quota"
        assert there.till.spent() == 2


# --- Realtime ---

REALTIME = "/v1/realtime?model=gpt-realtime"


async def test_each_answer_of_a_realtime_session_is_a_record():
    async with metered("a") as there:
        there.fake.always("sk-a", a.ok(usage=USAGE))
        async with talk(there, REALTIME) as one:
            for _ in range(2):
                one.send(type="response.create")
                done = await one.hear("response.done")
        records = there.till.records[1:]
        assert "usage" in done["response"]
        assert [(r.cost, r.estimated, r.endpoint, r.model) for r in records] == [
            (COST, False, "realtime", "gpt-realtime")
        ] * 2


async def test_a_realtime_answer_that_breaks_off_is_estimated():
    async with metered("a") as there:
        there.fake.script("sk-a", a.ok("word " * 40, chunks=40, every=0.005), path="/v1/realtime#create")
        async with talk(there, REALTIME) as one:
            one.send(type="response.create")
            await one.hear("response.output_text.delta")
        assert (there.till.last.failure, there.till.last.estimated) == ("gone", True)
        assert there.till.last.cost > 0


async def test_at_the_limit_no_answer_is_begun_and_no_sound_goes_through():
    async with metered("a", accounts={"a": {"daily_limit_usd": 12.0}}) as there:
        there.fake.always("sk-a", a.ok(usage={"input_tokens": 3500, "output_tokens": 2000}))
        async with talk(there, REALTIME) as one:
            one.send(type="response.create", response={"max_output_tokens": 100})
            await one.hear("response.done")
            one.send(type="response.create", event_id="mine", response={"max_output_tokens": 100})
            refused = await one.hear("response.done", "error")
            assert refused["error"]["code"] == "insufficient_quota"
            assert refused["error"]["event_id"] == "mine"
            for _ in range(3):
                one.send(type="input_audio_buffer.append", audio="AAAA")
            one.send(type="session.update", session={})
            heard = [await one.hear("error", "session.updated") for _ in range(2)]
            assert [event["type"] for event in heard] == ["error", "session.updated"]
        assert there.till.spent() == Decimal("7.5")
