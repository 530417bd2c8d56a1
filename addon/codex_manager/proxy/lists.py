"""`GET /v1/files` and its like: the lists of all accounts as one list, with cursors that work.

Which lists is in core.resources, in which order things stand in core.listing; one page is read by proxy.reading. A page ends with
an id like any other of OpenAI's, and where the other accounts were then is remembered; what is not remembered any more (after a
restart, say) is found again by reading from the beginning.
Law: an account that does not answer is left out and named in `X-Codex-Manager-Left-Out`; when none answers, or one that has more
of what is listed fails at the end of the others, its answer is the answer. With one domain nothing is merged: its own
answer passes through, byte for byte, as with `routing.merge_lists: false`.
"""

import asyncio
import logging

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import quote

from codex_manager.core.account import Account
from codex_manager.core.endpoint import name_of
from codex_manager.core.listing import Place, Places, Query, query_of
from codex_manager.core.openai_error import UPSTREAM_UNREACHABLE, ErrorAnswer, error_body
from codex_manager.core.resources import Family, list_family
from codex_manager.core.routing import Candidate
from codex_manager.engine.asking import Asked
from codex_manager.engine.delivery import own_answer
from codex_manager.engine.messages import Answer, Headers, Request
from codex_manager.engine.metering import Metering
from codex_manager.proxy.answers import json_answer, plain_answer
from codex_manager.proxy.reading import (
    AT_ONCE,
    CALLER,
    BrokenError,
    Failed,
    ListsEngine,
    NotFoundError,
    Reading,
    asking_headers,
)


__all__ = ["LEFT_OUT", "MergedLists", "is_merged_list"]

log = logging.getLogger(__name__)

LEFT_OUT: Final = b"X-Codex-Manager-Left-Out"
WHOLE_S: Final = 60.0
"""For one page, the search for a forgotten cursor included: some 20,000 things."""
AGAIN: Final = frozenset({b"retry-after", b"retry-after-ms", b"x-should-retry", b"x-request-id", b"content-type"})
"""Headers of a refusal that are handed on."""
_PLAIN: Final = " ()-._~"


class Lists(ListsEngine, Protocol):
    """What is needed of the engine."""

    metering: Metering

    @property
    def candidates(self) -> Sequence[Candidate]: ...

    async def handle(self, request: Request) -> Answer: ...


class MergedLists:
    """Mutable state: where pages ended."""

    def __init__(
        self, engine: Lists, *, merges: Callable[[], bool] = lambda: True, tells: Callable[[], bool] = lambda: True
    ) -> None:
        """`merges`: whether lists are merged at all; `tells`: whether our own response headers are wanted."""
        self._engine = engine
        self._merges = merges
        self._tells = tells
        self._places = Places()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def answer(self, request: Request) -> Answer:
        """The page that is asked for, or what the engine says where there is nothing to merge."""
        path, _, text = request.target.partition("?")
        family = list_family(path)
        query = None if family is None else query_of(family.name, text)
        groups, missing = self._groups()
        if family is None or query is None or not groups:
            return await self._engine.handle(request)
        if not self._merges():
            return await self._unmerged(request, query)
        asked = query.turned if query.before is not None and query.after is None else query
        places = self._places.after(f"/v1/{family.listed}", asked)
        if len(groups) == 1 and (places is None or places.keys() <= groups.keys()):
            return await self._engine.handle(request)
        return await self._recorded(request, family, asked, groups, missing, places, turned=asked is not query)

    async def _recorded(
        self,
        request: Request,
        family: Family,
        query: Query,
        groups: Mapping[str, Sequence[Account]],
        missing: Sequence[str],
        places: Mapping[str, Place] | None,
        *,
        turned: bool,
    ) -> Answer:
        asked = Asked(endpoint=name_of(f"/v1/{family.listed}"), is_free=True)
        tab = self._engine.metering.open(request, asked)
        reading = Reading(self._engine, groups, family, query, asking_headers(request.headers), self._slots)
        try:
            async with asyncio.timeout(WHOLE_S):
                answer = await self._page(reading, family, query, places, turned=turned)
        except NotFoundError:
            return await self._engine.handle(request)  # which records it, too
        except BrokenError as error:
            answer = _handed_on(error.failed)
        except TimeoutError:
            answer = own_answer(ErrorAnswer.of(UPSTREAM_UNREACHABLE, "Reading this list took too long.", status=504))
        except BaseException:
            tab.abandon()
            raise
        names = [*(failed.label for failed in reading.left_out), *missing]
        for failed in reading.left_out:
            why = failed.status or failed.reason
            log.info("account %r is left out of a list of %s: %s", failed.label, family.listed, why)
        if names and self._tells():
            answer.headers += ((LEFT_OUT, ", ".join(quote(name, safe=_PLAIN) for name in names).encode()),)
        tab.answered(answer)
        answer.request_id = answer.request_id or request.id
        return answer

    async def _page(
        self, reading: Reading, family: Family, query: Query, places: Mapping[str, Place] | None, *, turned: bool
    ) -> Answer:
        if places is not None:
            reading.begin(places)
        elif not await reading.seek() and not reading.left_out:
            return _not_in_list(query)
        page = await reading.page()
        if not page and (owed := reading.owed):
            return _handed_on(owed)
        if reading.envelope is None:
            return _refusal(reading.left_out)
        if page:
            reached = dict(places or {}) | {s.domain: s.reached for s in reading.shares if s.place.recent}
            self._places.keep(f"/v1/{family.listed}", query, page[-1]["id"], reached)
        has_more = bool(page) and reading.has_more
        if turned:
            page.reverse()
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        surrounds = {name: ends.get(name, value) for name, value in reading.envelope.items()}
        return json_answer(200, {**surrounds, "data": page, "has_more": has_more})

    async def _unmerged(self, request: Request, query: Query) -> Answer:
        """One account's list; the next page from the account that gave the page before."""
        cursor = query.after or query.before
        owner = None if cursor is None else self._engine.state.owners.owner(cursor)
        if owner is None or not any(
            _serves(candidate, self._engine) and candidate.account.id == owner.account_id
            for candidate in self._engine.candidates
        ):
            return await self._engine.handle(request)
        endpoint = name_of(request.target.partition("?")[0])
        tab = self._engine.metering.open(request, Asked(endpoint=endpoint, is_free=True))
        answer = await self._engine.call_account(owner.account_id, request)
        tab.answered(answer)
        answer.request_id = answer.request_id or request.id
        return answer

    def _groups(self) -> tuple[dict[str, list[Account]], list[str]]:
        """The accounts to ask, by domain; and labels of those that would be asked if their keys were good."""
        groups: dict[str, list[Account]] = {}
        bad: list[tuple[str, str]] = []
        for candidate in self._engine.candidates:
            standing = self._engine.state.accounts[candidate.account.id]
            if _serves(candidate, self._engine):
                groups.setdefault(standing.domain, []).append(candidate.account)
            elif candidate.account.enabled:
                bad.append((standing.domain, candidate.account.label))
        return groups, [label for domain, label in bad if domain not in groups]


def is_merged_list(method: str, target: str) -> bool:
    """Whether a request asks for a list that is merged over the accounts."""
    family = list_family(target.partition("?")[0]) if method == "GET" else None
    return family is not None and family.merged


def _serves(candidate: Candidate, engine: Lists) -> bool:
    """Whether an account can be asked: also one that is at a limit, for its things are there, and lists are free."""
    account = candidate.account
    return account.enabled and candidate.unusable is None and engine.state.accounts[account.id].auth_failed is None


def _refusal(failed: Sequence[Failed]) -> Answer:
    """Nobody answered: the refusal that says most, of the request itself, then one that passes, then the rest.

    Raises:
        NotFoundError: none of the keys is good, which is for the engine to say.
    """
    if all(each.status == 401 for each in failed):
        raise NotFoundError
    return _handed_on(min(failed, key=lambda each: (each.status not in CALLER, not each.passes, each.status == 0)))


def _handed_on(failed: Failed) -> Answer:
    """What an account answered, to the client."""
    if failed.status == 0:
        text = f"Account {failed.label!r} gave no list: {failed.reason}."
        return own_answer(ErrorAnswer.of(UPSTREAM_UNREACHABLE, text, cure="Please try again."))
    headers: Headers = tuple(each for each in failed.headers if each[0].lower() in AGAIN)
    answer = plain_answer(failed.status, failed.body, content_type=b"")
    answer.headers = (*headers, (b"Content-Length", b"%d" % len(failed.body)))
    answer.reason, answer.failure = failed.reason or answer.reason, failed.failure
    return answer


def _not_in_list(query: Query) -> Answer:
    text = f"'{query.after}' is not in this list, so nothing can come after or before it."
    return plain_answer(400, error_body(text, type="invalid_request_error", code=None, param="after"))
