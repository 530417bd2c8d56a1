"""The stage for failover tests: a fake OpenAI on a real socket, an engine, and one line that says what should happen.

`play(upstream=[429, 200], expect="200 by b after a")` gives account `a` the first step, `b` the second, and so on, asks
once, and compares what the client got and who was asked. Accounts are tried in the order a, b, c (strategy priority),
so that a play reads as it runs.
"""

import asyncio
import contextlib
import json
import random

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.engine.till import Till

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Answer, Request, UpstreamCutError
from codex_manager.engine.settings import EngineSettings
from codex_manager.testing import FakeOpenAI, answers
from codex_manager.testing.step import Step, Toxic


__all__ = ["CHAT", "Got", "Stage", "chat", "get", "play", "post", "stage"]

CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}).encode()
FILE = b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n{}\r\n--x--\r\n'
STATUS = {
    200: answers.ok(),
    400: answers.bad_request(),
    401: answers.invalid_key(),
    402: answers.payment_required(),
    403: answers.forbidden(),
    404: answers.model_not_found(),
    429: answers.rate_limited(retry_after=20),
    500: answers.server_error(),
    503: answers.overloaded(),
}


@dataclass(frozen=True, slots=True)
class Got:
    """What the client got."""

    status: int
    by: str | None
    body: bytes
    headers: dict[str, str]
    answer: Answer
    cut: bool = False

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


@dataclass
class Stage:
    """Everything that is on it."""

    fake: FakeOpenAI
    engine: Engine
    accounts: list[Account]
    labels: dict[str, str] = field(default_factory=dict)
    till: Till = field(default_factory=Till)

    async def ask(self, request: Request | None = None) -> Got:
        async with asyncio.timeout(15):
            return await take(await self.engine.handle(request or chat()))

    async def ask_of(self, label: str, request: Request) -> Got:
        """Ask one account past all decisions: nothing is learned from its answer."""
        async with asyncio.timeout(15):
            return await take(await self.engine.call_account(f"id-{label}", request))

    async def ask_many(self, count: int, parallel: int = 50, request: Request | None = None) -> list[Got]:
        room = asyncio.Semaphore(parallel)

        async def one() -> Got:
            async with room:
                return await self.ask(request)

        return await asyncio.gather(*(one() for _ in range(count)))

    def asked(self) -> str:
        """Who was asked, in order: `a a b`."""
        return " ".join(self.labels.get(seen.key, "?") for seen in self.fake.log)

    def idle(self) -> bool:
        """Nothing is held: no attempt, no reservation, no probe."""
        state = self.engine.state
        return state.in_flight() == 0 and all(
            not scope.capacity.in_flight and not scope.capacity.reserved_tokens and not scope.cooling._leases
            for scope in state.scopes.values()
        )

    def balanced(self) -> bool:
        """Nothing is set aside, and what the limits count is what was written down."""
        spending = self.engine.state.spending
        return not self.till.open and all(
            not allowance.reserved and all(p.spent == self.till.spent(name) for p in allowance.purses.values())
            for name, allowance in spending.accounts.items()
        )


async def take(answer: Answer) -> Got:
    pieces: list[bytes] = []
    cut = False
    try:
        async for piece in answer.body:
            pieces.append(piece)  # noqa: PERF401 - what came before a cut is kept
    except UpstreamCutError:
        cut = True
    finally:
        await answer.aclose()
    headers = {name.decode().lower(): value.decode() for name, value in answer.headers}
    return Got(answer.status, answer.account_label, b"".join(pieces), headers, answer, cut)


def post(target: str, body: bytes, content_type: str = "application/json", **more: Any) -> Request:
    headers = (
        (b"Host", b"127.0.0.1:8080"),
        (b"Content-Type", content_type.encode()),
        (b"Content-Length", b"%d" % len(body)),
    )
    return Request(method="POST", target=target, headers=headers, body=body, **more)


def chat(**fields: Any) -> Request:
    document = json.loads(CHAT) | fields
    return post("/v1/chat/completions", json.dumps(document).encode())


def upload() -> Request:
    return post("/v1/files", FILE, "multipart/form-data; boundary=x")


def get(target: str = "/v1/models") -> Request:
    return Request(method="GET", target=target, headers=((b"Host", b"127.0.0.1:8080"),))


@contextlib.asynccontextmanager
async def stage(labels: str = "abc", **settings: Any) -> AsyncIterator[Stage]:
    """Accounts of one letter each, an engine that tries them in this order, and nothing left behind at the end."""
    clock = settings.pop("clock", None)
    each: dict[str, dict[str, Any]] = settings.pop("accounts", {})
    pricing = settings.pop("pricing", None)
    till = Till()
    remembering: dict[str, Any] = {}
    if (life := settings.pop("prompt_cache_s", None)) is not None:
        remembering = {"prompt_cache_s": life, "clock": clock.monotonic}
    async with FakeOpenAI(**remembering) as fake:
        accounts = []
        for number, label in enumerate(labels):
            fake.account(f"sk-{label}", organization=f"org-{label}", project=f"proj-{label}")
            fields = {"priority": 100 - number} | each.get(label, {})
            accounts.append(Account(id=f"id-{label}", label=label, api_key=Secret(f"sk-{label}"), **fields))
        chosen: dict[str, Any] = {
            "strategy": "priority",
            "min_request_interval_s": 0.0,
            "base_url": fake.base_url,
            "max_inline_wait_s": 0.0,
        }
        engine = Engine(
            AiohttpTransport(),
            EngineSettings(**(chosen | settings)),
            accounts,
            clock=clock,
            random=random.Random(5),
            book=till,
            pricing=pricing,
        )
        there = Stage(fake, engine, accounts, {f"sk-{label}": label for label in labels}, till)
        try:
            yield there
            assert there.idle(), engine.state.accounts
            assert pricing is None or there.balanced(), (till.open, engine.state.spending)
        finally:
            await engine.aclose()


async def play(
    upstream: Iterable[int | Step | Toxic | list[int | Step | Toxic]],
    *,
    expect: str,
    request: Request | None = None,
    **settings: Any,
) -> Got:
    """One request through a script; `expect` reads `200 by b after a`, `503 by b after a a`, `429 ours after a b`.

    `after` names everybody who was asked before the answer.
    """
    steps = [given if isinstance(given, list) else [given] for given in upstream]
    async with stage("abcdef"[: len(steps)], **settings) as there:
        for account, script in zip(there.accounts, steps, strict=True):
            key = account.api_key.reveal()
            there.fake.script(key, *(STATUS[step] if isinstance(step, int) else step for step in script))
        got = await there.ask(request)
        asked = there.asked().split()
        if got.by is not None and asked and asked[-1] == got.by:
            asked = asked[:-1]
        by = f"by {got.by}" if got.by is not None else "ours"
        assert f"{got.status} {by}{' after ' + ' '.join(asked) if asked else ''}" == expect
        assert there.fake.violations() == []
        return got
