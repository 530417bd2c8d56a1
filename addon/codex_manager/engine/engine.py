"""The engine: takes one request, gives one answer, and keeps what the accounts are doing.

Knows the accounts, the settings and the transport; does not know who the client is, where the accounts are stored, or
what HTTP library carries the bytes.

Law: `handle` is total. Whatever goes wrong is an answer in OpenAI's shape; only cancellation passes through, and by
then everything upstream has been let go. All state is touched from one event loop, between awaits, without locks.
"""

import asyncio
import logging
import random as randomness

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.budget import RetryBudget
from codex_manager.core.client_secrets import ClientSecrets
from codex_manager.core.cooling import Phase
from codex_manager.core.errors import type_and_place
from codex_manager.core.failure import FailureClass
from codex_manager.core.hints import Hint, cooling_hint, headroom
from codex_manager.core.pricing import Pricing
from codex_manager.core.routing import Candidate, Policy
from codex_manager.core.state import Lease, State
from codex_manager.engine import explain
from codex_manager.engine.book import Book, NoBook
from codex_manager.engine.broken import Broken
from codex_manager.engine.carry import Carriage
from codex_manager.engine.clock import Clock, SystemClock
from codex_manager.engine.delivery import bad_request, delivered, internal_error, own_answer, verbatim, without_body
from codex_manager.engine.ephemeral import carry_ephemeral, learning
from codex_manager.engine.identity import UnsendableError, Way, lower_headers, way_to
from codex_manager.engine.kept import KeptError
from codex_manager.engine.messages import Answer, Request
from codex_manager.engine.metering import Metering
from codex_manager.engine.recheck import Recheck
from codex_manager.engine.report import EngineReport, report
from codex_manager.engine.search import Searches
from codex_manager.engine.settings import EngineSettings
from codex_manager.engine.transport import (
    BodyFailedError,
    Timeouts,
    Transport,
    TransportError,
    UpstreamAnswer,
)
from codex_manager.engine.waiting import WaitingRoom
from codex_manager.engine.websocket import open_session


__all__ = ["HANDSHAKE_S", "UNCHANGED", "Engine", "Unchanged"]

log = logging.getLogger(__name__)

HANDSHAKE_S = 30.0
"""A WebSocket's handshake is answered at once: no model works on it. Edges allow about as much."""


class Unchanged(Enum):
    """`update` leaves the accounts as they are (None already means that the vault is locked)."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class Engine:
    """See the module's docstring. `await aclose()` at the end; it closes the transport too."""

    def __init__(
        self,
        transport: Transport,
        settings: EngineSettings,
        accounts: Sequence[Account] | None,
        *,
        clock: Clock | None = None,
        random: randomness.Random | None = None,
        book: Book | None = None,
        pricing: Pricing | None = None,
    ) -> None:
        """Without `pricing` nothing is counted and no limit is held."""
        self.clock: Clock = clock or SystemClock()
        self.random = random or randomness.Random()
        self.state = State()
        self.metering = Metering(book or NoBook(), pricing, self.state, self.clock)
        self.client_secrets = ClientSecrets()
        self.budget = RetryBudget()
        self.waiting = WaitingRoom(self.clock)
        self.searches = Searches(self)
        self.former: dict[str, str] = {}
        """Labels of accounts that were removed, to name them where something still belongs to them."""
        self.recheck = Recheck(self)
        self.settings = settings
        self.policy = Policy()
        self.candidates: tuple[Candidate, ...] = ()
        self.locked = True
        self._transport = transport
        self._accounts: tuple[Account, ...] = ()
        self._ways: dict[str, Way] = {}
        self._editions: dict[str, str] = {}
        self._timeouts = Timeouts()
        self.update(settings=settings, accounts=accounts)

    # --- carrying ---

    async def handle(self, request: Request) -> Answer:
        """Answer a request with whichever account can. Raises nothing but CancelledError."""
        if self.locked:
            return self.metering.noted(request, own_answer(explain.locked()))
        if not self.candidates:
            return self.metering.noted(request, own_answer(explain.no_accounts()))
        try:
            answer = await self._carried(request)
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("a request could not be carried: %s", type_and_place(error))  # noqa: TRY400 - a traceback may quote a header
            answer = own_answer(internal_error())
        answer.request_id = answer.request_id or request.id
        if answer.account_id is None and request.method == "HEAD":
            answer.body = without_body()
        return answer

    async def _carried(self, request: Request) -> Answer:
        if request.ephemeral is not None:
            return self.metering.noted(request, await carry_ephemeral(self, request))
        if request.websocket:
            return await open_session(self, request)
        answer = await Carriage(self, request).run()
        return learning(answer, request, self.client_secrets, self.clock.monotonic())

    async def call_account(self, account_id: str, request: Request) -> Answer:
        """One attempt with one account, whatever stands against it; its answer as it is. For reads only."""
        candidate = next((c for c in self.candidates if c.account.id == account_id), None)
        if candidate is None:
            return own_answer(explain.locked() if self.locked else explain.no_accounts())
        lease = self.state.begin(candidate.account, candidate.origin, None, 0, self.clock.monotonic(), free=True)
        try:
            return await self._call(candidate, lease, request)
        except TransportError as error:
            self.end(lease)
            return own_answer(Broken(error, known_shut=False).answer())
        except (BodyFailedError, UnsendableError) as error:
            self.end(lease)
            return own_answer(bad_request(f"This request cannot be sent: {error}."))
        except asyncio.CancelledError:
            self.end(lease)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self.end(lease)
            log.error("an account could not be called: %s", type_and_place(error))  # noqa: TRY400 - as above
            return own_answer(internal_error())

    async def _call(self, candidate: Candidate, lease: Lease, request: Request) -> Answer:
        upstream = await self.send(candidate.account.id, request, fresh=False)
        try:
            headers = lower_headers(upstream.headers)
            now = self.clock.monotonic()
            marks.arrived(self.state, lease, headers, now)
            if upstream.status < 400:
                marks.answered(self.state, lease, headroom(headers), now)
                return delivered(self, lease, upstream, candidate.account)
            kept = await KeptError(upstream, candidate.account).read()
            if kept.verdict.failure in {FailureClass.AUTH, FailureClass.RATE, FailureClass.EGRESS_LIMIT}:
                hint: Hint = cooling_hint(kept.headers, kept.verdict.message, self.clock.time())
                marks.failed(self.state, lease, kept.verdict, hint, "", self.clock.monotonic(), self.random)
                self.recheck.notice()
            self.end(lease)
            return verbatim(kept)
        except BaseException:
            upstream.close()
            raise

    async def send(
        self, account_id: str, request: Request, *, fresh: bool, on_sent: Callable[[], None] | None = None
    ) -> UpstreamAnswer:
        """Put the account's key on a request and send it. An account that is gone by now is not sent to."""
        way = self._ways.get(account_id)
        if way is None:
            raise UnsendableError("the account was removed")
        timeouts = self._timeouts
        if request.websocket:
            timeouts = replace(timeouts, header=min(timeouts.header, HANDSHAKE_S))
        return await self._transport.send(way.request(request, on_sent), timeouts, fresh=fresh)

    def end(self, lease: Lease) -> None:
        """An attempt is over."""
        if self.state.end(lease):
            self.waiting.wake()

    # --- what it knows ---

    def has_issued(self, client_secret: bytes) -> bool:
        """Whether one of the accounts issued this client secret of Realtime."""
        return self.client_secrets.issuer(client_secret, self.clock.monotonic()) is not None

    def usable_accounts(self) -> list[Account]:
        """Enabled accounts that nothing keeps every request from."""
        now = self.clock.monotonic()
        return [c.account for c in self.candidates if self._is_usable(c, now)]

    def _is_usable(self, candidate: Candidate, now: float) -> bool:
        standing = self.state.accounts[candidate.account.id]
        purses = (self.state.purses.get(name) for name in (standing.organization, standing.domain))
        return (
            candidate.account.enabled
            and candidate.unusable is None
            and standing.auth_failed is None
            and not any(purse is not None and purse.phase(now) is Phase.RESTING for purse in purses)
        )

    def report(self) -> EngineReport:
        """What the accounts are doing right now."""
        return report(self)

    # --- changes ---

    def update(
        self,
        *,
        settings: EngineSettings | None = None,
        accounts: Sequence[Account] | Unchanged | None = UNCHANGED,
    ) -> None:
        """Take over new settings or accounts at once; what is on its way goes on. `accounts=None`: the vault is locked."""
        if settings is not None:
            self.settings = settings
            self.budget.ratio, self.budget.floor = settings.retry_ratio, settings.retry_floor
            self.policy = Policy(
                strategy=settings.strategy,
                pinned=settings.pinned_account,
                min_interval_s=settings.min_request_interval_s,
                pace=settings.pace,
            )
            self._timeouts = Timeouts(settings.connect_timeout_s, settings.header_timeout_s, settings.idle_timeout_s)
        if not isinstance(accounts, Unchanged):
            self.locked = accounts is None
            self._take(tuple(accounts or ()))
        self._ways = {
            account.id: way_to(account, self.settings.base_url, self.settings.own_addresses)
            for account in self._accounts
        }
        self.candidates = tuple(
            Candidate(account, self._ways[account.id].origin, self._ways[account.id].unusable)
            for account in self._accounts
        )
        self.metering.follow(self.settings, self._accounts)
        self.waiting.wake()

    def _take(self, accounts: tuple[Account, ...]) -> None:
        """An edited account starts anew: what is known was known of another key. A locked vault forgets keys, not limits."""
        before = {account.id: account for account in self._accounts}
        self._accounts = accounts
        if self.locked:
            return
        self.state.retain(account.id for account in accounts)
        left = {account.id for account in accounts}
        self.former |= {name: account.label for name, account in before.items() if name not in left}
        for account in accounts:
            edition, known = self._editions.get(account.id), before.get(account.id)
            if edition != account.updated_at or (known is not None and _is_another(known, account)):
                self.state.forget(account.id)
            if account.id not in self.state.accounts:
                self.state.add(account)
        self._editions = {account.id: account.updated_at for account in accounts}

    async def aclose(self) -> None:
        """End background work and close every upstream connection."""
        await self.searches.aclose()
        await self.recheck.aclose()
        await self._transport.aclose()


def _is_another(before: Account, after: Account) -> bool:
    """Whether what goes on the wire has changed, even without a new time of edit."""
    return any(
        getattr(before, name) != getattr(after, name) for name in ("api_key", "base_url", "organization", "project")
    )
