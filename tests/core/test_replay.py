"""The past decided once more: the same strategy gives about the same picture, another one what it would have been."""

import asyncio
import dataclasses
import itertools
import json
import random

from decimal import Decimal

import pytest

from tests.engine.till import FlatPricing, Till

from codex_manager.core.account import Account
from codex_manager.core.hindsight import Hindsight, Knowledge
from codex_manager.core.picture import actual, side_by_side
from codex_manager.core.record import Attempt, Record
from codex_manager.core.replay import Bounds, replay
from codex_manager.core.routing import Candidate, Policy
from codex_manager.core.secret import Secret
from codex_manager.core.state import State
from codex_manager.core.usage import Usage
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Request
from codex_manager.engine.settings import EngineSettings
from codex_manager.testing.clock import FakeClock


NOON = 1_795_003_200.0


def account(label, **fields):
    return Account(
        **{"id": f"id-{label}", "label": label, "api_key": Secret("k"), "organization": f"org-{label}", "project": "p"}
        | fields
    )


def world(*accounts):
    state = State()
    for each in accounts:
        state.add(each)
    return [Candidate(each, "https://o:443") for each in accounts], state


NUMBERS = itertools.count()


def request(at, *attempts, **fields):
    """One that came `at` seconds after noon; an attempt is a label, how it failed, what stood against others, what decided."""
    made, took = [], 0.0
    for label, failure, *more in attempts:
        out = more[0] if more else ()
        by = more[1] if len(more) > 1 else "priority"
        made.append(Attempt(f"id-{label}", label, took, 0.1, 429 if failure else 200, failure, "", by, out))
        took += 0.1
    last = attempts[-1] if attempts else (None, "x")
    served = last[0] if not last[1] else None
    return Record(
        **{
            "id": f"{next(NUMBERS):032x}", "time": NOON + at, "client": "default", "method": "POST", "endpoint": "responses", "model": "gpt-5",
            "account_id": served and f"id-{served}", "account": served, "status": 200 if served else 429, "attempts": tuple(made),
            "duration_s": took + 0.5, "cost": Decimal(1) if served else Decimal(0), "usage": Usage(input=100, cached=50),
        } | fields
    )  # fmt: skip


def figures(replayed):
    """By label: requests, failovers and dollars, as they were and as they would have been."""
    return {
        name[3:]: tuple((share.requests, share.failovers, int(share.usd)) for share in pair)
        for name, pair in side_by_side(replayed).items()
    }


class Answered:
    """An answer whose body is at hand."""

    reason, address = "", None

    def __init__(self, status, headers, body):
        self.status, self.body, self.is_complete = status, body, False
        self.headers = tuple((name.encode(), str(value).encode()) for name, value in headers.items())

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.is_complete:
            raise StopAsyncIteration
        self.is_complete = True
        return self.body

    def close(self):
        pass


class Upstream:
    """Accounts that are limited, empty or shaky for some minutes, whoever asks them."""

    def __init__(self, clock, rng):
        self.clock, self.rng = clock, rng
        self.troubles = [
            (rng.choice("abc"), kind, start := rng.uniform(0, 900), start + rng.uniform(20, 150))
            for kind in ("rate", "rate", "rate", "quota", "shaky", "shaky")
        ]
        self.began = clock.monotonic()

    async def send(self, request, timeouts, *, fresh=False):
        label = dict(request.headers)[b"Authorization"].decode()[-1]
        at = self.clock.monotonic() - self.began
        await self.clock.sleep(self.rng.uniform(0.05, 0.3))
        for who, kind, start, end in self.troubles:
            if who == label and start <= at < end:
                if kind == "rate":
                    return self.refusal(
                        label, 429, "rate_limit_exceeded", {"retry-after": max(1, round(min(end - at, 20)))}
                    )
                if kind == "quota":
                    return self.refusal(label, 429, "insufficient_quota")
                if self.rng.random() < 0.5:
                    return self.refusal(label, 500, "server_error")
        usage = {"prompt_tokens": 100, "completion_tokens": self.rng.randrange(1, 50), "total_tokens": 0}
        body = {"object": "chat.completion", "choices": [], "usage": usage}
        return Answered(200, self.whose(label), json.dumps(body).encode())

    def refusal(self, label, status, code, headers=None):
        error = {"message": "no", "type": code, "param": None, "code": code}
        return Answered(status, self.whose(label) | (headers or {}), json.dumps({"error": error}).encode())

    def whose(self, label):
        return {"content-type": "application/json", "openai-organization": f"org-{label}", "openai-project": "p"}

    async def aclose(self):
        pass


async def lived_through(strategy, seed, count=300):
    """What a real engine recorded of a quarter of an hour over three accounts that have their troubles."""
    rng, clock, till = random.Random(seed), FakeClock(), Till()
    accounts = [
        account(label, priority=100 - number, api_key=Secret(f"sk-{label}")) for number, label in enumerate("abc")
    ]
    settings = EngineSettings(strategy=strategy, max_inline_wait_s=1.0)
    upstream = Upstream(clock, rng)
    engine = Engine(upstream, settings, accounts, clock=clock, random=rng, book=till, pricing=FlatPricing())
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(answered(engine, number)))
        await clock.advance(rng.expovariate(1 / 3))
    await clock.advance(120)
    await asyncio.gather(*tasks)
    return till.records, engine.candidates, engine.policy


async def answered(engine, number):
    body = json.dumps(
        {"model": "gpt-5", "messages": [{"role": "user", "content": f"conversation {number % 25}"}]}
    ).encode()
    headers = ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)))
    answer = await engine.handle(Request(method="POST", target="/v1/chat/completions", headers=headers, body=body))
    async for _ in answer.body:
        pass


@pytest.mark.parametrize("strategy", ["priority", "round_robin", "least_utilized", "sticky"])
async def test_the_same_strategy_gives_about_the_same_picture(strategy):
    records, candidates, policy = await lived_through(strategy, seed=5)
    _, state = world(*(candidate.account for candidate in candidates))
    replayed = replay(records, candidates, state, policy, bounds=Bounds(max_inline_wait_s=1.0))
    was, would = replayed.was, replayed.would
    assert replayed.requests == len(records)
    assert sum(share.requests for share in would.shares.values()) + would.errors == len(records)
    assert replayed.same >= 0.9 * sum(share.requests for share in was.shares.values())
    assert abs(would.errors - was.errors) <= 2
    assert abs(would.failovers - was.failovers) <= 0.2 * was.failovers + 2
    assert abs(would.usd - was.usd) <= was.usd / 20
    for name, (before, after) in side_by_side(replayed).items():
        assert abs(before.requests - after.requests) <= 0.05 * len(records), name
        assert abs(before.usd - after.usd) <= was.usd / 20, name
    assert state.in_flight() == 0


async def test_another_strategy_comes_out_about_as_it_really_does():
    """Where every account is asked now and then, what another strategy would have done can be told from the records."""
    records, candidates, policy = await lived_through("round_robin", seed=1)
    truth = actual((await lived_through("priority", seed=1))[0])
    _, state = world(*(candidate.account for candidate in candidates))
    replayed = replay(
        records,
        candidates,
        state,
        dataclasses.replace(policy, strategy="priority"),
        bounds=Bounds(max_inline_wait_s=1.0),
    )
    assert replayed.unknown == 0
    for label in "abc":
        assert abs(replayed.would.shares[f"id-{label}"].requests - truth.shares[f"id-{label}"].requests) <= 30, label
    assert abs(replayed.would.failovers - truth.failovers) <= 3


def told(*records, strategy="priority", accounts=None, bounds=None, **more):
    candidates, state = world(*(accounts or (account("a", priority=2), account("b", priority=1))))
    return replay(records, candidates, state, Policy(strategy=strategy, min_interval_s=0), bounds=bounds, **more)


def out(label, obstacle, seconds):
    return (f"id-{label}", obstacle, "", NOON + seconds)


def test_an_account_nobody_asked_is_taken_to_have_answered_and_that_is_counted():
    replayed = told(request(0, ("b", "")))
    assert figures(replayed) == {"a": ((0, 0, 0), (1, 0, 1)), "b": ((1, 0, 1), (0, 0, 0))}
    assert (replayed.unknown, replayed.same) == (1, 0)
    asked_near = told(request(0, ("b", "")), request(30, ("a", "")))
    assert asked_near.unknown == 0
    assert told(request(0, ("b", "")), request(61, ("a", ""))).unknown == 1


@pytest.mark.parametrize(
    ("obstacle", "until", "failovers"),
    [("rate", 20, 1), ("rate", 8, 0), ("billing", 500, 1), ("auth_failed", 500, 1), ("model_access", 500, 1), ("disabled", None, 0),
     ("pace", 20, 0)],
)  # fmt: skip
def test_what_was_in_force_would_have_refused(obstacle, until, failovers):
    """`b` was asked at 10 s because `a` was out; under another order `a` would have been tried, and would have said no."""
    mark = ("id-a", obstacle, "", None if until is None else NOON + until)
    replayed = told(request(9, ("b", "", (mark,))), request(10, ("b", "")))
    assert replayed.would.failovers == failovers


def test_a_rest_lasts_from_its_refusal_to_the_end_that_a_later_decision_knew_or_to_the_next_good_answer():
    refused = request(0, ("a", "rate"), ("b", "", (out("a", "rate", 30),)))
    later = request(20, ("b", "", (out("a", "rate", 30),)))
    hindsight = Hindsight([refused, later], lambda name: (name, name))
    probe = request(0, ("b", ""))
    assert [hindsight.ask(probe, "id-a", 0, NOON + at).failure for at in (-1, 0, 10, 29, 31)] == [
        None, "rate", "rate", "rate", None,
    ]  # fmt: skip
    assert hindsight.ask(probe, "id-a", 0, NOON + 10).until == NOON + 30
    healed = Hindsight([refused, later, request(25, ("a", ""))], lambda name: (name, name))
    assert [healed.ask(probe, "id-a", 0, NOON + at).failure for at in (24, 26)] == ["rate", None]
    assert healed.ask(probe, "id-b", 0, NOON + 10_000).known is Knowledge.SEEN


def test_a_rest_is_known_also_when_the_decision_took_a_moment():
    first = request(0, ("a", "rate"), ("b", "", (out("a", "rate", 90),)))
    first = dataclasses.replace(
        first, attempts=(dataclasses.replace(first.attempts[0], began_s=0.004), first.attempts[1])
    )
    replayed = told(first, request(20, ("b", "", (out("a", "rate", 90),))))
    assert (replayed.was.failovers, replayed.would.failovers) == (1, 1)


def test_keys_of_one_domain_are_limited_together():
    refused = request(0, ("a", "rate"), ("c", "", (out("a", "rate", 30),)))
    hindsight = Hindsight([refused], lambda name: ("c", "c") if name == "id-c" else ("one", "one"))
    probe = request(0, ("x", ""))
    assert hindsight.ask(probe, "id-b", 0, NOON + 5).failure == "rate"
    assert hindsight.ask(probe, "id-c", 0, NOON + 5).failure is None


@pytest.mark.parametrize(("seconds", "failure"), [(3, "transient"), (8, None)])
def test_a_passing_failure_is_ones_own_only_close_to_it(seconds, failure):
    hindsight = Hindsight([request(0, ("a", "transient"))], lambda name: (name, name))
    assert hindsight.ask(request(0, ("b", "")), "id-a", 0, NOON + seconds).failure == failure


def test_what_is_the_requests_own_fault_is_so_everywhere():
    replayed = told(request(0, ("b", "caller"), cost=Decimal(0)), request(1, ("b", "gone"), cost=Decimal("0.5")))
    assert (replayed.was.errors, replayed.would.errors, replayed.uncosted) == (0, 0, 0)
    assert replayed.would.shares["id-a"].requests == 2


def test_a_request_without_an_answer_that_would_have_had_one_costs_nobody_knows_what():
    replayed = told(request(0, ("b", "transient")))
    assert (replayed.was.errors, replayed.would.errors, replayed.uncosted) == (1, 0, 1)


def test_refused_by_all_is_decided_once_more_and_what_was_refused_before_that_is_left_alone():
    blocked = request(0, detail={"out": [list(out("a", "billing", 900)), list(out("b", "billing", 900))]})
    barred = request(1, status=429, failure="insufficient_quota")
    passed = request(2, account_id="id-a", account="a", cost=Decimal(2))  # what a crash left, booked as an estimate
    replayed = told(blocked, barred, passed)
    assert (replayed.requests, replayed.untouched) == (1, 2)
    assert (replayed.was.errors, replayed.would.errors) == (1, 1)
    assert figures(replayed)["a"] == ((1, 0, 2), (1, 1, 2))


@pytest.mark.parametrize("by", ["owner", "origin", ""])
def test_what_is_tied_to_its_account_stays(by):
    replayed = told(request(0, ("b", "", (), by)))
    assert figures(replayed) == {"b": ((1, 0, 1), (1, 0, 1))}
    assert replayed.tied == 1


def test_accounts_that_do_not_have_what_is_named_are_left_out():
    replayed = told(request(0, ("b", "", (("id-a", "owner", "file-1 belongs to 'b'", None),), "round_robin")))
    assert figures(replayed) == {"b": ((1, 0, 1), (1, 0, 1))}
    assert replayed.tied == 1


def test_money_of_a_lost_attempt_counts_once_on_both_sides():
    whole = request(0, ("a", "ambiguous"), ("b", ""))
    lost = request(0, account_id="id-a", cost=Decimal(3), attempts=whole.attempts[:1], detail={"attempt_of": whole.id})
    replayed = told(whole, lost)
    assert (replayed.was.usd, replayed.would.usd) == (4, 4)
    assert figures(replayed) == {"a": ((0, 1, 3), (0, 1, 3)), "b": ((1, 0, 1), (1, 0, 1))}
    alone = told(request(0, ("a", "ambiguous")))
    assert (alone.was.errors, alone.would.errors) == (1, 1)  # it may have been processed, so it is not repeated


def test_limits_of_dollars_are_held():
    candidates, state = world(account("a", priority=2), account("b", priority=1))
    state.spending.at(NOON, NOON)
    state.spending.set_limits(("account", "id-a"), Decimal("2.5"), None)
    records = [request(at, ("b", "")) for at in range(5)]
    replayed = replay(records, candidates, state, Policy(strategy="priority", min_interval_s=0))
    assert figures(replayed) == {"a": ((0, 0, 0), (2, 0, 2)), "b": ((5, 0, 5), (3, 0, 3))}


def test_a_conversation_that_moves_loses_its_cache_once():
    records = [request(60 * i, ("b", ""), session="c" * 64) for i in range(4)]
    replayed = told(*records, uncached=lambda _: Decimal("0.25"))
    assert (replayed.moved_cached, replayed.moved_usd) == (1, Decimal("0.25"))
    without = [request(60 * i, ("b", "")) for i in range(4)]
    assert told(*without, uncached=lambda _: Decimal("0.25")).moved_cached == 4  # nobody knows, so: at most
    assert told(request(0, ("a", ""), session="c")).moved_cached == 0


def test_who_waits_is_answered_when_the_rest_is_over():
    refused = request(0, ("a", "rate"), detail={"out": [list(out("a", "rate", 3))]})
    late = request(1, ("a", ""))
    late = dataclasses.replace(late, attempts=(dataclasses.replace(late.attempts[0], began_s=2.1),))
    waited = told(refused, late, accounts=(account("a"),))
    assert (waited.was.errors, waited.would.errors) == (1, 1)
    assert figures(waited) == {"a": ((1, 0, 1), (1, 0, 1))}
    hasty = told(refused, late, accounts=(account("a"),), bounds=Bounds(max_inline_wait_s=1.0))
    assert hasty.would.errors == 2


def test_hostile_records_are_replayed_all_the_same():
    odd = [
        request(0, ("gone", "")), request(0, ("a", "no such class")), request(0, ("a", ""), model=None, usage=None, duration_s=0.0),
        request(0, ("a", "rate", (("id-zzz", "rate", "", None), ("id-a", "?", "", 1.0)))), request(-5, ("b", "egress_limit")),
        request(0, ("b", "pre_dispatch"), ("a", "overload"), ("a", "overload"), ("b", "mid_stream")),
        request(0, ("a", "", (), "owner"), endpoint="files", method="GET"), request(0, ("gone", "", (), "owner")),
    ]  # fmt: skip
    for strategy in ("priority", "round_robin", "least_utilized", "sticky"):
        replayed = told(*odd, strategy=strategy, bounds=Bounds(max_attempts=2))
        assert replayed.requests == len(odd)
        assert sum(share.requests for share in replayed.would.shares.values()) + replayed.would.errors == len(odd)
    assert told().requests == 0
