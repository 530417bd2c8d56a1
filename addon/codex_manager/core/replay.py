"""What would have happened under another strategy: the requests of the past, decided once more.

Theory of operation. A request comes when it came and is decided by the same `choose`, over a state that is marked by the same
functions (core.marks), as in a running proxy; only the answers are looked up (core.hindsight) instead of asked for. What a
good answer cost and how long it took is what it cost and took then. Steps of different requests interleave as they
would have: each waits in one heap for its time.

What stays as it was: requests that are tied to an account (what they name is there, or their WebSocket is) and those that were
answered before anybody was chosen. What is not in the records counts as nothing: room left as OpenAI's headers told it, so
`least_utilized` goes by what is in flight, by spending limits and by turns.

Law: pure. The state is the caller's, as it was at the beginning: accounts, domains, limits, what was spent. Its times are Unix seconds.
"""

import heapq
import itertools
import random

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from codex_manager.core import marks
from codex_manager.core.decision import choose
from codex_manager.core.endpoint import describe
from codex_manager.core.failure import RULES, FailureClass, Verdict
from codex_manager.core.hindsight import OF_THE_REQUEST, Hindsight, Knowledge, Said
from codex_manager.core.hints import Hint
from codex_manager.core.picture import Picture, Replayed, actual, is_decided, was_served
from codex_manager.core.pricing import ZERO
from codex_manager.core.record import Record
from codex_manager.core.routing import Candidate, Choice, Facts, Obstacle, Policy, Refusal
from codex_manager.core.spend import Hold
from codex_manager.core.state import Lease, State


__all__ = ["Bounds", "Uncached", "replay"]

STORMY: Final = frozenset({FailureClass.OVERLOAD, FailureClass.TRANSIENT, FailureClass.AMBIGUOUS})
TIES: Final = frozenset({"", "owner", "origin"})
"""What decided for requests that no strategy moves."""
PAUSE_S: Final = 0.75
"""Between two tries with the same account; the engine draws from 0.5 to 1."""
LOOKS: Final = 50
"""A request that waits looks again when something may have changed; more often than this it never does within its time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Settings of the engine that shape a journey."""

    max_attempts: int = 5
    max_inline_wait_s: float = 5.0


type Uncached = Callable[[Record], Decimal]
"""What a request would have cost more without its prompt cache, US dollars."""


def replay(
    records: Sequence[Record],
    candidates: Sequence[Candidate],
    state: State,
    policy: Policy,
    *,
    bounds: Bounds | None = None,
    uncached: Uncached = lambda _: ZERO,
) -> Replayed:
    """Decide the requests once more, in the order in which they came."""
    return _Replay(records, candidates, state, policy, bounds or Bounds(), uncached).run()


class _Replay:
    """Mutable state: the time, what waits for its time, and what was counted so far."""

    def __init__(
        self, records: Sequence[Record], candidates: Sequence[Candidate], state: State, policy: Policy, bounds: Bounds,
        uncached: Uncached,
    ) -> None:  # fmt: skip
        self.records = sorted(records, key=lambda record: record.time)
        self.candidates, self.state, self.policy, self.bounds = tuple(candidates), state, policy, bounds
        self.uncached = uncached
        self.hindsight = Hindsight(records, self.where)
        self.random = random.Random(0)
        self.result = Replayed(actual(records), Picture())
        self.lost: dict[tuple[str, str], Decimal] = {
            (str(r.detail["attempt_of"]), r.account_id): r.cost
            for r in records
            if "attempt_of" in r.detail and r.account_id is not None
        }
        self.caches: dict[str, str] = {}
        """Where each conversation was last, by organization."""
        self._waiting: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = itertools.count(1)

    def where(self, account_id: str) -> tuple[str, str]:
        standing = self.state.accounts.get(account_id)
        return ("", "") if standing is None else (standing.domain, standing.organization)

    def run(self) -> Replayed:
        for record in self.records:
            if "attempt_of" in record.detail:
                continue
            self._until(record.time)
            if is_decided(record):
                self.result.requests += 1
                self.result.conversations += record.session is not None
                _Journey(self, record).step(record.time)
                continue
            self.result.untouched += 1
            if record.account_id is not None:
                share = self.result.would.shares[record.account_id]
                share.requests += 1
                share.usd += record.cost
        self._until(float("inf"))
        return self.result

    def at(self, when: float, what: Callable[[float], None]) -> None:
        """Do it when its time has come."""
        heapq.heappush(self._waiting, (when, next(self._number), what))

    def number(self) -> int:
        return next(self._number)

    def _until(self, when: float) -> None:
        while self._waiting and self._waiting[0][0] <= when:
            at, _, what = heapq.heappop(self._waiting)
            what(at)


class _Journey:
    """One request on its way. Mutable state: what was tried."""

    def __init__(self, whole: _Replay, record: Record) -> None:
        self._whole = whole
        self._record = record
        self._candidates = self._who(whole.candidates)
        self._facts = Facts(
            model=record.model,
            access=record.model or f"/v1/{record.endpoint}",
            tokens=record.usage.total if record.usage is not None else 0,
            need=record.cost,
            free=not record.cost and record.method != "POST",
            session=record.session,
        )
        self._replay = describe(record.method, f"/v1/{record.endpoint}").replay
        self._repeats = any(attempt.failure == FailureClass.AMBIGUOUS for attempt in record.attempts[:-1])
        """It was sent again when nobody knew whether it had arrived, so the settings allowed that."""
        self._tries: Counter[str] = Counter()
        self._same = self._moves = self._looks = 0
        self._left: str | None = None
        """Who has failed it last."""
        self._wait_until: float | None = None

    def _who(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """All accounts, or those that it was tied to."""
        whole, record = self._whole, self._record
        attempts = record.attempts
        out = attempts[0].out if attempts else record.detail.get("out", ())
        barred = {row[0] for row in out if row[1] == Obstacle.OWNER}
        home = whole.where(attempts[0].account_id)[0] if attempts and attempts[0].by in TIES else None
        if not barred and home is None:
            return candidates
        whole.result.tied += 1
        return [c for c in candidates if c.account.id not in barred and home in {None, whole.where(c.account.id)[0]}]

    def step(self, now: float) -> None:
        """Decide, and send."""
        whole = self._whole
        whole.state.spending.at(now, now)
        decision = choose(self._facts, self._candidates, whole.state, whole.policy, now)
        if isinstance(decision, Choice):
            account_id = decision.candidate.account.id
            if self._left is not None and self._left != account_id:
                whole.result.would.shares[self._left].failovers += 1
            self._try(decision.candidate, now)
        elif not self._waits(decision, now):
            whole.result.would.errors += 1

    def _waits(self, refusal: Refusal, now: float) -> bool:
        soonest = refusal.soonest()
        if self._wait_until is None:
            self._wait_until = now + self._whole.bounds.max_inline_wait_s
        self._looks += 1
        if soonest is None or soonest > self._wait_until or now >= self._wait_until or self._looks > LOOKS:
            return False
        self._whole.at(max(soonest, now + 0.001), self.step)
        return True

    def _try(self, candidate: Candidate, now: float) -> None:
        whole, record, facts, account = self._whole, self._record, self._facts, candidate.account
        said = whole.hindsight.ask(record, account.id, self._tries[account.id], now)
        self._tries[account.id] += 1
        lease = whole.state.begin(
            account, candidate.origin, facts.model, facts.tokens, now, session=facts.session, free=False
        )
        hold = whole.state.spending.reserve((("account", account.id), ("client", record.client)), facts.need)
        usual = record.attempts[-1].took_s if record.attempts else 0.0
        took = usual if said.took_s is None else said.took_s
        if said.failure is None or said.failure in OF_THE_REQUEST:
            whole.at(now + took, lambda t: self._arrived(candidate, lease, hold, said, t))
        else:
            whole.at(now + took, lambda t: self._failed(candidate, lease, hold, said, t))

    def _arrived(self, candidate: Candidate, lease: Lease, hold: Hold, said: Said, now: float) -> None:
        whole, record, account_id = self._whole, self._record, candidate.account.id
        marks.arrived(whole.state, lease, {}, now)
        if said.failure is None:
            marks.answered(whole.state, lease, None, now)
        result, share = whole.result, whole.result.would.shares[account_id]
        share.requests += 1
        share.usd += record.cost
        result.same += account_id == record.account_id
        result.unknown += said.known is Knowledge.UNKNOWN
        result.uncosted += not was_served(record)
        self._look_for_cache(candidate)
        whole.at(max(now, record.time + record.duration_s), lambda t: self._over(lease, hold, t))

    def _over(self, lease: Lease, hold: Hold, now: float) -> None:
        marks.ended_well(lease, now)
        self._whole.state.end(lease)
        self._whole.state.spending.settle(hold, self._record.cost, self._whole.number())

    def _look_for_cache(self, candidate: Candidate) -> None:
        """Whether what was read from a prompt cache would have been in one there."""
        whole, record = self._whole, self._record
        here = whole.where(candidate.account.id)[1]
        then = here if record.account_id is None else whole.where(record.account_id)[1]
        was_at = None
        if record.session is not None:
            was_at, whole.caches[record.session] = whole.caches.get(record.session), here
        is_there = here == (then if was_at is None else was_at)
        if not is_there and record.usage is not None and record.usage.cached:
            whole.result.moved_cached += 1
            whole.result.moved_usd += whole.uncached(record)

    def _failed(self, candidate: Candidate, lease: Lease, hold: Hold, said: Said, now: float) -> None:
        whole, account_id = self._whole, candidate.account.id
        failure = said.failure
        assert failure is not None
        hint = Hint(None if said.until is None else max(said.until - now, 0.0))
        marks.failed(whole.state, lease, Verdict(failure=failure), hint, self._facts.access, now, whole.random)
        whole.state.end(lease)
        whole.state.spending.release(hold)
        if said.known is Knowledge.SEEN:
            whole.result.would.shares[account_id].usd += whole.lost.pop((self._record.id, account_id), ZERO)
        self._go_on(candidate, failure, now)

    def _go_on(self, candidate: Candidate, failure: FailureClass, now: float) -> None:
        """The "next" column of semantics §3."""
        rule, stormy = RULES[failure], failure in STORMY
        may_replay = rule.may_replay(self._replay, ambiguous_allowed=self._repeats)
        if self._tries.total() >= self._whole.bounds.max_attempts or not may_replay:
            self._whole.result.would.errors += 1
        elif self._same < rule.same_tries and not self._moves:
            self._same += 1
            self._whole.at(now + PAUSE_S * (failure is FailureClass.OVERLOAD), lambda t: self._try(candidate, t))
        elif rule.other_tries == 0 or (stormy and self._moves >= (rule.other_tries or 0)):
            self._whole.result.would.errors += 1
        else:
            self._moves += stormy
            self._left = candidate.account.id
            self._facts = self._without(candidate, failure, now)
            self.step(now)

    def _without(self, candidate: Candidate, failure: FailureClass, now: float) -> Facts:
        facts, state = self._facts, self._whole.state
        if failure is FailureClass.PRE_DISPATCH:
            return replace(facts, tried_origins=facts.tried_origins | {candidate.origin})
        if failure is FailureClass.RATE:
            domain = state.accounts[candidate.account.id].domain
            if not state.scope(domain, facts.model).cooling.admits(now):
                return facts
            return replace(facts, tried_domains=facts.tried_domains | {domain})
        asks = facts.ask_excluded and failure is not FailureClass.MODEL_ACCESS
        return replace(facts, tried=facts.tried | {candidate.account.id}, ask_excluded=asks)
