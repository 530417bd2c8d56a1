"""One merged list as it is read: which accounts are asked for what, until a page is full.

Each domain (organization and project) is one share of the list and is asked through one account; another of the domain's is asked
when that one fails. Knows what core.listing decides, and asks single accounts of the engine, never through the failover loop.
Law: what was listed is noted as the domain's own. A domain that does not answer is left out and named; what there is of it stays
for the next page.
"""

import asyncio
import json
import math

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from codex_manager.core.account import Account
from codex_manager.core.listing import Place, Query, Share, first_of
from codex_manager.core.resources import Family, Learned
from codex_manager.core.state import State
from codex_manager.engine.clock import Clock
from codex_manager.engine.messages import Answer, Headers, Request, UpstreamCutError


__all__ = ["BrokenError", "Failed", "ListsEngine", "NotFoundError", "Reading", "asking_headers"]

ASK_TIMEOUT_S: Final = 20.0  # a page takes OpenAI a second; who needs longer is left out
AT_ONCE: Final = 8
LARGEST_PAGE: Final = 64 * 1024 * 1024  # 10,000 files are some 3 MB; a hundred stored chats can be large
LARGEST_ERROR: Final = 64 * 1024
CALLER: Final = frozenset({400, 404, 405, 413, 414, 415, 422})
"""Refusals that say something of the request, whoever is asked."""
LATER: Final = frozenset({408, 409, 425, 429})
"""Refusals that pass, with all from 500 on."""
_NOT_SENT: Final = frozenset({
    b"accept", b"accept-encoding", b"if-none-match", b"if-modified-since", b"range", b"if-range", b"content-type",
    b"content-length", b"transfer-encoding", b"expect",
})  # fmt: skip

type Thing = dict[str, Any]


class ListsEngine(Protocol):
    """What is needed of the engine to read."""

    state: State
    clock: Clock

    async def call_account(self, account_id: str, request: Request) -> Answer: ...


class NotFoundError(Exception):
    """There is nothing to be had of anybody, as far as this can see: the engine has to say why."""


class BrokenError(Exception):
    """Whether the thing is there could not be found out."""

    def __init__(self, failed: "Failed") -> None:
        super().__init__()
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an account gave nothing."""

    label: str
    status: int
    """0: it did not answer, or not with a list."""
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    failure: str = ""

    @property
    def passes(self) -> bool:
        """It may be otherwise in a moment."""
        return self.status == 0 or self.status >= 500 or self.status in LATER


class Reading:
    """Mutable state: the shares, the accounts behind them, and who failed."""

    def __init__(
        self,
        engine: ListsEngine,
        groups: Mapping[str, Sequence[Account]],
        family: Family,
        query: Query,
        headers: Headers,
        slots: asyncio.Semaphore,
    ) -> None:
        self._engine = engine
        self._accounts = {domain: list(accounts) for domain, accounts in groups.items()}
        self._family = family
        self._query = query
        self._headers = headers
        self._slots = slots
        self._path = f"/v1/{family.listed}"
        self.shares: list[Share] = []
        self.failed: dict[str, Failed] = {}
        """By domain; only those of which no account answered."""
        self.envelope: Thing | None = None
        """An answer as one of the accounts gave it, for what surrounds the things."""

    def begin(self, places: Mapping[str, Place]) -> None:
        """Read on from here."""
        self.shares = [Share.at(domain, places.get(domain)) for domain in self._accounts]

    async def page(self) -> list[Thing]:
        """The next things; fewer than asked for only at the end, or where an account failed."""
        seen = {name for share in self.shares for name in share.place.recent}
        if self._query.after is not None:
            seen.add(self._query.after)
        page: list[Thing] = []
        while len(page) < self._query.limit:
            await self._fill(self._query.limit)
            share = first_of(self.shares, self._query)
            if share is None:
                break
            thing = share.take(self._query)
            if thing["id"] in seen:
                continue  # two domains show it, or it moved up meanwhile
            if thing["id"] == self._query.before:
                for each in self.shares:
                    each.waiting.clear()
                    each.ended = True
                break
            seen.add(thing["id"])
            page.append(thing)
        return page

    async def seek(self) -> bool:
        """Take everything up to the cursor, from the beginning; False if it is not in the list.

        Raises:
            NotFoundError: nobody has such a thing.
            BrokenError: who might have it did not answer.
        """
        cursor = self._query.after
        assert cursor is not None
        thing = await self._find(cursor)
        at = self._query.key(thing) if self._query.stamp in thing and self._query.orders else math.inf
        self.begin({})
        while True:
            await self._fill(self._query.page)
            share = first_of(self.shares, self._query)
            if share is None:
                return False
            if self._query.key(share.waiting[0]) > at:
                return True  # it is there, but not in this list; or is gone just now
            if share.take(self._query)["id"] == cursor:
                return True

    @property
    def left_out(self) -> list[Failed]:
        """Whose things are missing."""
        return list(self.failed.values())

    @property
    def has_more(self) -> bool:
        return any(
            self.failed[share.domain].passes if share.domain in self.failed else share.has_more for share in self.shares
        )

    @property
    def owed(self) -> Failed | None:
        """Who failed although there was more of it: to end here would be to hide that."""
        for share in self.shares:
            failed = self.failed.get(share.domain)
            if failed is not None and failed.passes and share.place.recent and share.place.more:
                return failed
        return None

    # --- asking ---

    async def _fill(self, limit: int) -> None:
        """Ask all whose next thing is not known."""
        while dry := [share for share in self.shares if share.is_dry]:
            await asyncio.gather(*(self._ask(share, limit) for share in dry))
            self._join()

    def _join(self) -> None:
        """Domains that turned out to be one are one share."""
        by_domain: dict[str, Share] = {}
        for share in self.shares:
            known = by_domain.setdefault(share.domain, share)
            if known is not share and known.lost:
                by_domain[share.domain] = share
        self.shares = list(by_domain.values())
        self.failed = {
            domain: why for domain, why in self.failed.items() if domain in by_domain and by_domain[domain].lost
        }

    async def _ask(self, share: Share, limit: int) -> None:
        """The next page of one share, through whichever account of its domain answers."""
        asked, failed = share.domain, None
        for account in self._accounts[asked]:
            while True:
                size = self._query.page if share.passing is not None else limit
                found = await self._get(account, self._query.target(self._path, share.cursor, size))
                if isinstance(found, Failed) and found.status in {400, 404} and share.again():
                    continue
                break
            if isinstance(found, Failed) or not isinstance(found.get("data"), list):
                failed = failed or (found if isinstance(found, Failed) else Failed(account.label, 0, "no list"))
                continue
            self._came(share, account, found)
            return
        share.lost = True
        assert failed is not None
        self.failed[asked] = failed

    def _came(self, share: Share, account: Account, document: Thing) -> None:
        things = [thing for thing in document["data"] if isinstance(thing, dict) and isinstance(thing.get("id"), str)]
        if self.envelope is None:
            self.envelope = {**document, "data": []}
        domain = self._note(account, things)
        if domain != share.domain:  # the answer said whose account it is
            self._accounts[domain] = self._accounts.get(domain, self._accounts[share.domain])
            share.domain = domain
        share.came(things, self._query, has_more=bool(document.get("has_more")))

    def _note(self, account: Account, things: Sequence[Thing]) -> str:
        """These things are this account's; returns its domain."""
        state = self._engine.state
        standing = state.accounts.get(account.id)
        if standing is None:  # removed meanwhile
            return f"account:{account.id}"
        learned = [Learned(thing["id"], self._family.name) for thing in things if len(thing["id"]) <= 200]
        state.owners.note(learned, standing.domain, account.id, self._engine.clock.time())
        return standing.domain

    async def _find(self, name: str) -> Thing:
        """The thing itself, by its id."""
        assert self._family.item is not None
        target = f"/v1/{self._family.item.format(name)}"
        owner = self._engine.state.owners.owner(name)
        likely = [owner.domain] if owner is not None and owner.domain in self._accounts else []
        broken: Failed | None = None
        for domains in (likely, [domain for domain in self._accounts if domain not in likely]):
            found = await asyncio.gather(*(self._one(domain, target) for domain in domains))
            for each in found:
                if not isinstance(each, Failed):
                    return each
                if each.passes:
                    broken = each
        if broken is not None:
            raise BrokenError(broken)
        raise NotFoundError

    async def _one(self, domain: str, target: str) -> Thing | Failed:
        found: Thing | Failed | None = None
        for account in self._accounts[domain]:
            found = await self._get(account, target)
            if not isinstance(found, Failed):
                self._note(account, [found] if isinstance(found.get("id"), str) else [])
                return found
            if found.status in CALLER:
                return found
        assert found is not None
        return found

    async def _get(self, account: Account, target: str) -> Thing | Failed:
        """The document an account answers with."""
        request = Request(method="GET", target=target, headers=self._headers)
        try:
            async with self._slots, asyncio.timeout(ASK_TIMEOUT_S):
                answer = await self._engine.call_account(account.id, request)
                try:
                    if answer.status != 200:
                        body = await _read(answer, LARGEST_ERROR)
                        return Failed(account.label, answer.status, answer.reason, answer.headers, body, answer.failure)
                    document = _parse(await _read(answer, LARGEST_PAGE))
                finally:
                    await answer.aclose()
        except (TimeoutError, UpstreamCutError, ValueError, RecursionError) as error:
            return Failed(account.label, 0, "took too long" if isinstance(error, TimeoutError) else "no list")
        return document


def asking_headers(headers: Headers) -> Headers:
    """The client's own, of which some choose what is listed (`OpenAI-Beta`), for an answer that is read here."""
    kept = tuple(each for each in headers if each[0].lower() not in _NOT_SENT)
    return (*kept, (b"Accept", b"application/json"), (b"Accept-Encoding", b"identity"))


async def _read(answer: Answer, most: int) -> bytes:
    body = bytearray()
    async for chunk in answer.body:
        body += chunk
        if len(body) > most:
            raise ValueError("too long")
    return bytes(body)


def _parse(body: bytes) -> Thing:
    """An object; ValueError when it is none, or could not be said again in JSON."""
    document = json.loads(body, parse_constant=_no_number, parse_float=_finite)
    if not isinstance(document, dict):
        raise ValueError("no object")  # noqa: TRY004 - like json's own complaint
    return document


def _no_number(word: str) -> float:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
