"""What holds whatever upstreams and clients do: nothing is leaked, things stay with their owners, one probe at a time.

The network is a part that throws dice (`Dice`), so that hundreds of requests in every kind of trouble take a moment; sockets
are for the truth table. The clock stands still or leaps, nobody waits.
"""

import asyncio
import contextlib
import itertools
import json
import random

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.screenplay import chat, get, post, take, upload
from tests.engine.test_truth_table import Still
from tests.engine.till import FlatPricing, Till

from codex_manager.core.account import Account
from codex_manager.core.resources import Learned
from codex_manager.core.secret import Secret
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Request, UpstreamCutError
from codex_manager.engine.settings import EngineSettings
from codex_manager.engine.transport import (
    Phase,
    Timeouts,
    TransportError,
    Trouble,
    UpstreamAnswer,
    UpstreamRequest,
    Wire,
)
from codex_manager.testing import FakeClock


STRATEGIES = ("least_utilized", "round_robin", "priority", "sticky")
JSON = (b"content-type", b"application/json")
DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"word"}\n\n'
DONE = b'data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","usage":{"input_tokens":9,"output_tokens":3}}}\n\n'
CREATED = b'data: {"type":"response.created","response":{"id":"resp_1"}}\n\n'
FAILED = b'data: {"type":"response.failed","response":{"error":{"code":"%s","message":"No."}}}\n\n'


def refusal(status: int, code: str, *headers: tuple[bytes, bytes]) -> "Said":
    error = {"message": "No.", "type": code, "code": code, "param": None}
    return Said(status, [json.dumps({"error": error}).encode()], (JSON, *headers))


class Said:
    """An answer: pieces, where an exception is a cut and None is silence."""

    def __init__(
        self,
        status: int,
        pieces: list[bytes | None],
        headers: tuple[tuple[bytes, bytes], ...] = (JSON,),
        *,
        cut: bool = False,
    ) -> None:
        self.status = status
        self.pieces = pieces
        self.headers = headers
        self.cut = cut


GOOD = Said(
    200,
    [b'{"id":"chatcmpl-1","object":"chat.completion","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}'],
)
LIMITED = refusal(429, "rate_limit_exceeded", (b"retry-after", b"20"))
STREAMS = [
    Said(200, [CREATED, DELTA, DELTA, DONE]),
    Said(200, [CREATED, FAILED % b"rate_limit_exceeded"]),
    Said(200, [CREATED, FAILED % b"server_error"]),
    Said(200, [CREATED, DELTA, FAILED % b"insufficient_quota"]),
    Said(200, [CREATED], cut=True),
    Said(200, [CREATED, DELTA, DELTA], cut=True),
    Said(200, [CREATED, DELTA, None]),
]
TROUBLES = [
    LIMITED,
    refusal(429, "insufficient_quota"),
    refusal(401, "invalid_api_key"),
    refusal(403, "insufficient_permissions"),
    refusal(400, "invalid_value"),
    refusal(503, "server_is_overloaded"),
    refusal(500, "server_error"),
    Said(429, [b"<html>slow</html>"], ((b"content-type", b"text/html"),)),
    Said(200, [None]),
    TransportError("no connection", phase=Phase.NOT_CONNECTED, trouble=Trouble.CONNECT),
    TransportError("closed", phase=Phase.NOT_SENT, trouble=Trouble.RESET),
    TransportError("closed", phase=Phase.SENT, trouble=Trouble.RESET),
    TransportError("late", phase=Phase.SENT, trouble=Trouble.TIMEOUT),
    None,
]
"""None: never an answer."""


class Heard:
    """An `UpstreamAnswer`."""

    reason = ""
    address: tuple[str, int] | None = None

    def __init__(self, said: Said, open_answers: set["Heard"]) -> None:
        self.status, self.headers = said.status, said.headers
        self._said, self._left, self._open = said, list(said.pieces), open_answers
        open_answers.add(self)

    @property
    def is_complete(self) -> bool:
        return not self._left and not self._said.cut

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        if self._left:
            piece = self._left.pop(0)
            return piece if piece is not None else await asyncio.get_running_loop().create_future()
        if self._said.cut:
            raise UpstreamCutError("cut")
        raise StopAsyncIteration

    def switched(self) -> Wire:
        raise NotImplementedError

    def close(self) -> None:
        self._open.discard(self)


class Dice:
    """A `Transport` whose answers `says` chooses for a key and a request."""

    def __init__(self, says) -> None:
        self.says = says
        self.sent: list[tuple[str, str]] = []
        """Account and target, in order."""
        self.open: set[Heard] = set()
        self.waiting = 0

    async def send(self, request: UpstreamRequest, timeouts: Timeouts, *, fresh: bool = False) -> UpstreamAnswer:
        bearer = next(value for name, value in request.headers if name.lower() == b"authorization")
        label = bearer.decode().rpartition("-")[2]
        self.sent.append((label, request.target.decode()))
        self.waiting += 1
        try:
            said = self.says(label, request)
            if isinstance(said, asyncio.Future):
                said = await said
            await asyncio.sleep(0)
            if isinstance(said, Exception):
                if said.phase is Phase.SENT and request.on_sent is not None:  # type: ignore[attr-defined]
                    request.on_sent()
                raise TransportError(str(said), phase=said.phase, trouble=said.trouble)  # type: ignore[attr-defined]
            if request.on_sent is not None:
                request.on_sent()
            return Heard(said or await asyncio.get_running_loop().create_future(), self.open)
        finally:
            self.waiting -= 1

    async def aclose(self) -> None:
        """Nothing is open but answers."""


def engine_over(dice: Dice, labels: str, clock, till: Till | None = None, **chosen) -> Engine:
    accounts = [
        Account(
            id=f"id-{label}",
            label=label,
            api_key=Secret(f"sk-{label}"),
            priority=100 - number,
            organization=f"org-{label}",
            project="p",
            daily_limit_usd=10_000.0,
        )
        for number, label in enumerate(labels)
    ]
    given: dict[str, Any] = {"strategy": "priority", "min_request_interval_s": 0.0, "base_url": "http://127.0.0.1:1"}
    return Engine(
        dice,
        EngineSettings(**(given | chosen)),
        accounts,
        clock=clock,
        random=random.Random(5),
        book=till,
        pricing=FlatPricing() if till is not None else None,
    )


def nothing_is_held(engine: Engine, dice: Dice) -> bool:
    state = engine.state
    coolings = [scope.cooling for scope in state.scopes.values()] + [one.cooling for one in state.origins.values()]
    return (
        state.in_flight() == 0
        and not dice.open
        and not dice.waiting
        and not len(engine.waiting)
        and not engine.searches._running
        and not any(cooling._leases for cooling in (*coolings, *state.purses.values()))
        and not any(scope.capacity.in_flight or scope.capacity.reserved_tokens for scope in state.scopes.values())
    )


def money_adds_up(engine: Engine, till: Till) -> bool:
    accounts = engine.state.spending.accounts
    return not till.open and all(
        not one.reserved and all(purse.spent == till.spent(name) for purse in one.purses.values())
        for name, one in accounts.items()
    )


# --- any sequence ---


STREAM = {"model": "gpt-5", "input": "hi", "stream": True}


def some_request(rng: random.Random) -> Request:
    kind = rng.randrange(8)
    return (
        chat(),
        chat(prompt_cache_key=f"talk {rng.randrange(5)}"),
        post("/v1/responses", json.dumps(STREAM).encode()),
        post("/v1/responses", json.dumps(STREAM | {"background": True}).encode()),
        post("/v1/responses", json.dumps(STREAM | {"previous_response_id": "resp_of_b"}).encode()),
        get("/v1/files/file-of-c"),
        Request(method="DELETE", target="/v1/files/file-of-c", headers=((b"Host", b"x"),)),
        upload(),
    )[kind]


async def client(engine: Engine, rng: random.Random, request: Request) -> None:
    """One that reads to the end, leaves before the answer, or leaves in the middle of it."""
    leaves = rng.choice(("never", "never", "never", "before", "between"))
    asking = asyncio.ensure_future(engine.handle(request))
    for _ in range(rng.randrange(1, 40)):
        await asyncio.sleep(0)
    if leaves == "before":
        asking.cancel()
    done, _ = await asyncio.wait([asking], timeout=0.2)
    if not done:
        asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        answer = await asking
        if leaves == "between":
            with contextlib.suppress(StopAsyncIteration, UpstreamCutError, TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(answer.body)
            await answer.aclose()
            await answer.aclose()
        else:
            reading = asyncio.ensure_future(take(answer))
            await asyncio.wait([reading], timeout=0.05)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert (await reading).status


async def any_sequence(seed: int, count: int) -> None:
    rng = random.Random(seed)
    strays: list[tuple[str, str]] = []
    """Known things that were asked of somebody else than their owner."""

    def says(label: str, request: UpstreamRequest):
        for name in ("resp_of_b", "file-of-c"):
            known = state.owners.owner(name)
            if known is not None and name.encode() in request.target + (
                request.body if isinstance(request.body, bytes) else b""
            ):
                strays.extend([(name, label)] * (known.domain != state.accounts[f"id-{label}"].domain))
        is_stream = isinstance(request.body, bytes) and b'"stream": true' in request.body
        if rng.random() < 0.5 or request.method == b"DELETE":
            trouble = rng.choice(TROUBLES)
            # a thing that is deleted lives nowhere any more, so here none ever is
            return trouble if request.method != b"DELETE" or getattr(trouble, "status", 0) != 200 else LIMITED
        if not is_stream:
            return GOOD
        said = rng.choice(STREAMS)
        return Said(said.status, said.pieces, ((b"content-type", b"text/event-stream"),), cut=said.cut)

    dice, till, clock = Dice(says), Till(), Still()
    engine = engine_over(dice, "abcd", clock, till, strategy=rng.choice(STRATEGIES), max_inline_wait_s=5.0)
    state = engine.state
    for name, label, family in (("resp_of_b", "b", "response"), ("file-of-c", "c", "file")):
        state.owners.note(
            [Learned(name, family)], state.accounts[f"id-{label}"].domain, f"id-{label}", clock.time() - 3600
        )
    try:
        for _ in range(4):
            clock.at += rng.choice((0.1, 3.0, 40.0, 1000.0, 10_000.0))
            for standing in state.accounts.values():
                standing.auth_failed = None
            await asyncio.gather(*(client(engine, rng, some_request(rng)) for _ in range(count)))
            for _ in range(5):
                await asyncio.sleep(0)
            async with asyncio.timeout(15):  # a search goes on without those who asked, for ten seconds at most
                while engine.searches._running:
                    await asyncio.sleep(0.05)
            assert nothing_is_held(engine, dice), (
                state.accounts,
                dice.open,
                dice.waiting,
                engine.waiting,
                state.scopes,
            )
            assert money_adds_up(engine, till), till.open
            assert strays == []
    finally:
        await engine.aclose()


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_whatever_happens_nothing_is_held_and_the_money_adds_up(seed):
    asyncio.run(any_sequence(seed, 12))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_whatever_happens_for_long_nothing_is_held_and_the_money_adds_up(seed):
    asyncio.run(any_sequence(seed, 40))


# --- owners ---


NAMING = {
    "path": get("/v1/responses/resp_of_b"),
    "cancel": post("/v1/responses/resp_of_b/cancel", b"{}"),
    "body": post(
        "/v1/responses", json.dumps({"model": "gpt-5", "input": "hi", "previous_response_id": "resp_of_b"}).encode()
    ),
    "stream": post("/v1/responses", json.dumps(STREAM | {"previous_response_id": "resp_of_b"}).encode()),
    "delete": Request(method="DELETE", target="/v1/responses/resp_of_b", headers=((b"Host", b"x"),)),
}


@pytest.mark.parametrize("naming", NAMING)
async def test_what_names_a_known_thing_reaches_nobody_but_its_owner(naming):
    """After every failure there is, whoever is preferred; only the owner's own "not here" would end it."""
    for trouble, strategy in zip(TROUBLES, itertools.cycle(STRATEGIES), strict=False):
        if naming == "delete" and getattr(trouble, "status", 0) == 200:
            continue  # it is gone, and so is what was known of it
        dice, clock = Dice(lambda _label, _request, trouble=trouble: trouble), Still()
        engine = engine_over(dice, "abc", clock, strategy=strategy)
        state = engine.state
        known = [Learned("resp_of_b", "response")]
        state.owners.note(known, state.accounts["id-b"].domain, "id-b", clock.time() - 3600)
        for _ in range(2):
            task = asyncio.ensure_future(engine.handle(NAMING[naming]))
            await asyncio.wait([task], timeout=0.02)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await (await task).aclose()
        assert {label for label, _ in dice.sent} == {"b"}, (trouble, strategy)
        await engine.aclose()


# --- probes ---


PROBED = {
    "scope": (LIMITED, 21.0),
    "purse": (refusal(429, "insufficient_quota"), 301.0),
    "way": (Said(429, [b"<html>slow</html>"], ((b"content-type", b"text/html"),)), 6.0),
}


@pytest.mark.parametrize("what", PROBED)
@pytest.mark.parametrize("others", ["", "b"])
async def test_two_hundred_at_once_send_one_probe(what, others):
    """Exactly one per half-open window; the others go elsewhere, wait, or are told when to come back."""
    does, rest_s = PROBED[what]
    probes: list[asyncio.Future] = []

    def says(label: str, _request: UpstreamRequest):
        if label != "a":
            return GOOD
        probes.append(asyncio.get_running_loop().create_future())
        return probes[-1]

    dice, clock = Dice(says), FakeClock()
    engine = engine_over(dice, "a" + others, clock, max_inline_wait_s=5.0)
    if what == "way" and others:
        engine.update(
            accounts=[
                one.account.replace(base_url="http://127.0.0.2:1") if one.account.label == "b" else one.account
                for one in engine.candidates
            ]
        )
    first = asyncio.ensure_future(engine.handle(chat()))
    await clock.settle()
    probes.pop().set_result(does)
    await clock.settle()
    if first.done():  # told at once where nobody is left
        await first.result().aclose()
    else:
        first.cancel()
    for window, outcome in enumerate((does, GOOD)):
        await clock.advance(rest_s * 4**window)
        crowd = [asyncio.ensure_future(engine.handle(chat())) for _ in range(200)]
        await clock.settle()
        assert len(probes) == 1, f"{len(probes)} probes in window {window}"
        assert len(engine.waiting) <= engine.settings.max_waiting
        probes.pop().set_result(outcome)
        for task in crowd:
            await clock.settle() if not task.done() else None
            if not task.done():
                task.cancel()
        answers = [
            one for one in await asyncio.gather(*crowd, return_exceptions=True) if not isinstance(one, BaseException)
        ]
        counts = Counter(answer.status for answer in answers)
        if others:
            assert counts[200] == 200 or what == "way"
        for answer in answers:
            await answer.aclose()
        probes.clear()
    assert nothing_is_held(engine, dice)
    await engine.aclose()


async def test_an_open_breaker_lets_one_probe_through_while_another_account_is_at_hand():
    probes: list[asyncio.Future] = []

    def says(label: str, _request: UpstreamRequest):
        if label != "a":
            return GOOD
        probes.append(asyncio.get_running_loop().create_future())
        return probes[-1]

    dice, clock = Dice(says), FakeClock()
    engine = engine_over(dice, "ab", clock)
    breaker = engine.state.accounts["id-a"].breaker
    for _ in range(5):
        breaker.fail(1.0, began=clock.monotonic(), now=clock.monotonic())
    for seconds in (16.0, 31.0, 61.0):
        await clock.advance(seconds)
        crowd = [asyncio.ensure_future(engine.handle(chat())) for _ in range(200)]
        await clock.settle()
        assert len(probes) == 1
        probes.pop().set_result(refusal(500, "server_error"))
        await clock.settle()
        await clock.advance(40)  # the cloud that came with it
        assert {task.result().status for task in crowd} == {200}
        for task in crowd:
            await task.result().aclose()
    assert nothing_is_held(engine, dice)
    await engine.aclose()


async def test_the_last_account_is_never_shut_out_by_its_breaker():
    dice, clock = Dice(lambda _label, _request: refusal(500, "server_error")), FakeClock()
    engine = engine_over(dice, "a", clock)
    for _ in range(20):
        answer = await engine.handle(chat())
        assert (answer.status, answer.account_label) == (500, "a")
        await answer.aclose()
    await engine.aclose()
