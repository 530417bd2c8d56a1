"""Finds out which account has a thing by asking each of them for it: the item's own GET, which is free and changes nothing.

All domains are asked at the same time, each once. Who answers 404 is not asked again for ten minutes (core.owners); who does
not answer, or answers something else, stays open. Requests that look for the same thing at the same time share one search.

Law: bounded in time (`SEARCH_S`) and in what runs at once (`AT_ONCE`).
"""

import asyncio
import re

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from codex_manager.core.resources import BY_NAME, Learned, Reference
from codex_manager.core.routing import Candidate
from codex_manager.engine.messages import Headers, Request


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Found", "Searches", "askable", "can_be_looked_for"]

SEARCH_S: Final = 10.0
AT_ONCE: Final = 16
ENOUGH: Final = 64 * 1024
"""Bytes of an answer that are read so that its connection can be used again; a response may be megabytes."""
PLAIN: Final = re.compile(r"[A-Za-z0-9_:.\-]{1,200}")
"""What a client calls an id is put into a path only when it looks like one."""
BETA: Final = {
    "assistant": b"assistants=v2", "thread": b"assistants=v2", "vector_store": b"assistants=v2", "chatkit_thread": b"chatkit_beta=v1",
}  # fmt: skip
"""What OpenAI wants to see in `OpenAI-Beta` before it shows such a thing."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has come to."""

    domain: str | None
    undecided: frozenset[str] = frozenset()
    """Domains that neither have it nor have said that they do not."""


def can_be_looked_for(reference: Reference) -> bool:
    """Whether the API has a GET for such a thing."""
    return BY_NAME[reference.family].item is not None and PLAIN.fullmatch(reference.id) is not None


def askable(engine: "Engine") -> dict[str, Candidate]:
    """One account of each domain that can be asked at all."""
    found: dict[str, Candidate] = {}
    for candidate in engine.candidates:
        standing = engine.state.accounts[candidate.account.id]
        if candidate.account.enabled and candidate.unusable is None and standing.auth_failed is None:
            found.setdefault(standing.domain, candidate)
    return found


class Searches:
    """Mutable state: the searches under way, by id."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._running: dict[str, asyncio.Task[Found]] = {}

    async def find(self, reference: Reference, headers: Headers) -> Found:
        """Who has it. `headers` are those of the request that names it."""
        task = self._running.get(reference.id)
        if task is None:
            task = self._running[reference.id] = asyncio.create_task(self._search(reference, headers))
            task.add_done_callback(lambda _: self._running.pop(reference.id, None))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Nobody waits for them any more."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _search(self, reference: Reference, headers: Headers) -> Found:
        engine = self._engine
        owners, wall = engine.state.owners, engine.clock.time()
        asked = [
            candidate
            for domain, candidate in askable(engine).items()
            if not owners.is_missing(reference.id, domain, wall)
        ]
        request = _reading(reference, headers)
        room = asyncio.Semaphore(AT_ONCE)
        undecided = {candidate.account.id for candidate in asked}

        def domains(account_ids: Iterable[str]) -> frozenset[str]:
            # not those of the beginning: an answer may just have told
            accounts = engine.state.accounts
            return frozenset(accounts[name].domain for name in account_ids if name in accounts)

        async def ask(candidate: Candidate) -> str | None:
            name = candidate.account.id
            async with room:
                has = await self._ask(candidate, request)
            if has is not None:
                undecided.discard(name)
            for domain in domains([name]):
                if has:
                    owners.note([Learned(reference.id, reference.family)], domain, name, engine.clock.time())
                    return domain
                if has is False:
                    owners.missing(reference.id, domain, engine.clock.time())
            return None

        tasks = [asyncio.create_task(ask(candidate)) for candidate in asked]
        try:
            for done in asyncio.as_completed(tasks, timeout=SEARCH_S):
                domain = await done
                if domain is not None:
                    return Found(domain)
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Found(None, domains(undecided))

    async def _ask(self, candidate: Candidate, request: Request) -> bool | None:
        """Whether the account has it; None when that is not known."""
        answer = await self._engine.call_account(candidate.account.id, request)
        try:
            if 200 <= answer.status < 300:
                size = 0
                async for piece in answer.body:
                    size += len(piece)
                    if size > ENOUGH:
                        break
                return True
        except Exception:  # noqa: BLE001 - its head has said enough
            return True
        finally:
            await answer.aclose()
        # Refused in another way: who may not read it, or does not know the path, will not serve it either.
        return False if answer.account_id is not None and answer.status in {400, 401, 403, 404, 405} else None


def _reading(reference: Reference, headers: Headers) -> Request:
    item = BY_NAME[reference.family].item
    assert item is not None
    said: Mapping[bytes, bytes] = {name.lower(): value for name, value in headers}
    beta = said.get(b"openai-beta") or BETA.get(reference.family)
    kept = [(b"Accept", b"application/json")]
    if beta is not None:
        kept.append((b"OpenAI-Beta", beta))
    if (agent := said.get(b"user-agent")) is not None:
        kept.append((b"User-Agent", agent))
    return Request(method="GET", target=f"/v1/{item.format(reference.id)}", headers=tuple(kept))
