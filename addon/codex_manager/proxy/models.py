"""`GET /v1/models`: what the accounts can do together.

Asks each usable account (never through the failover loop: the question is what *this* account has), keeps only what
its model scope allows, merges by id, first account wins. Each account's list is kept for five minutes, so an account
that comes or goes costs one question, not all of them; concurrent requests share one.
Law: an account that does not answer is left out, silently for the client and for the next request only; when none
answers, the engine speaks. With one usable account without a scope, its own answer passes through, byte for byte.
"""

import asyncio
import json
import logging

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from codex_manager import __version__
from codex_manager.core.account import Account
from codex_manager.core.models import allows
from codex_manager.engine.messages import Answer, Request, UpstreamCutError
from codex_manager.proxy.answers import json_answer


__all__ = ["ModelsEngine", "ModelsUnion", "is_models_list"]

log = logging.getLogger(__name__)

KEEP_S = 300.0
ASK_TIMEOUT_S = 20.0  # a list takes OpenAI half a second; who needs longer is left out
AT_ONCE = 8
LARGEST_LIST = 4 * 1024 * 1024  # OpenAI's own list is some 10 KiB
PATH = "/v1/models"

ASK = Request(
    method="GET",
    target=PATH,
    headers=(
        (b"Accept", b"application/json"),
        (b"Accept-Encoding", b"identity"),  # read here, so nothing to unpack
        (b"User-Agent", f"codex-manager/{__version__}".encode()),
    ),
)

type Model = dict[str, object]


class ModelsEngine(Protocol):
    """What is needed of the engine."""

    async def handle(self, request: Request) -> Answer: ...

    async def call_account(self, account_id: str, request: Request) -> Answer: ...

    def usable_accounts(self) -> list[Account]: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """One account's list, and the settings it was asked with."""

    account: tuple[object, ...]
    models: tuple[Model, ...]
    until: float


class ModelsUnion:
    """Mutable state: the kept lists and the questions under way, by account id."""

    def __init__(self, engine: ModelsEngine, monotonic: Callable[[], float]) -> None:
        self._engine = engine
        self._now = monotonic
        self._kept: dict[str, _Kept] = {}
        self._asking: dict[str, _Question] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def answer(self, request: Request) -> Answer:
        """The union, or what the engine says when there is none to make."""
        accounts = self._engine.usable_accounts()
        if not accounts or (len(accounts) == 1 and not accounts[0].models):
            return await self._engine.handle(request)
        lists = await asyncio.gather(*(self._models_of(account) for account in accounts))
        if all(models is None for models in lists):
            return await self._engine.handle(request)
        return json_answer(200, {"object": "list", "data": _merge(accounts, lists)})

    def forget(self, accounts: Sequence[Account]) -> None:
        """Drop what was kept of accounts that are gone or were edited."""
        now = {account.id: _fingerprint(account) for account in accounts}
        self._kept = {id_: kept for id_, kept in self._kept.items() if now.get(id_) == kept.account}

    async def _models_of(self, account: Account) -> tuple[Model, ...] | None:
        fingerprint = _fingerprint(account)
        kept = self._kept.get(account.id)
        if kept is not None and kept.account == fingerprint and self._now() < kept.until:
            return kept.models
        question = self._asking.get(account.id)
        if question is None or question.account != fingerprint or question.given_up:
            question = _Question(fingerprint, lambda: self._ask(account))
            self._asking[account.id] = question
        models = await question.result()
        if self._asking.get(account.id) is question:
            del self._asking[account.id]
            if models is not None:
                self._kept[account.id] = _Kept(fingerprint, models, self._now() + KEEP_S)
        return models

    async def _ask(self, account: Account) -> tuple[Model, ...] | None:
        try:
            async with self._slots, asyncio.timeout(ASK_TIMEOUT_S):
                answer = await self._engine.call_account(account.id, ASK)
                try:
                    return _parse(await _read(answer)) if answer.status == 200 else None
                finally:
                    await answer.aclose()
        except (TimeoutError, UpstreamCutError, ValueError, RecursionError) as error:
            log.info("the models of account %r are left out: %s", account.label, type(error).__name__)
            return None


class _Question:
    """One question that several requests wait for; given up when the last of them leaves."""

    def __init__(self, account: tuple[object, ...], ask: Callable[[], Awaitable[tuple[Model, ...] | None]]) -> None:
        self.account = account
        self._task = asyncio.ensure_future(ask())
        self._waiting = 0

    @property
    def given_up(self) -> bool:
        """Nobody waited any more; who comes now asks anew."""
        return self._task.cancelled() or self._task.cancelling() > 0

    async def result(self) -> tuple[Model, ...] | None:
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._task.cancel()


def is_models_list(method: str, target: str) -> bool:
    """Only the plain list: with a query the upstream knows better what is asked."""
    return method == "GET" and target == PATH


def _fingerprint(account: Account) -> tuple[object, ...]:
    """What decides which list an account has."""
    return account.api_key, account.organization, account.project, account.base_url


def _merge(accounts: Sequence[Account], lists: Sequence[tuple[Model, ...] | None]) -> list[Model]:
    merged: dict[str, Model] = {}
    for account, models in zip(accounts, lists, strict=True):
        for model in models or ():
            name = str(model["id"])
            if name not in merged and allows(account.models, name):
                merged[name] = model
    return list(merged.values())


async def _read(answer: Answer) -> bytes:
    body = bytearray()
    async for chunk in answer.body:
        body += chunk
        if len(body) > LARGEST_LIST:
            raise ValueError("the list is too long")
    return bytes(body)


def _parse(body: bytes) -> tuple[Model, ...]:
    """The models of a list; ValueError when it is none."""
    document = json.loads(body)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        raise ValueError("not a list of models")  # noqa: TRY004 - like json's own complaint
    return tuple(model for model in data if isinstance(model, dict) and isinstance(model.get("id"), str))
