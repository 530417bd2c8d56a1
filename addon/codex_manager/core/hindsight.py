"""What an account would have answered at a moment of the past, from the records of what was asked then.

Theory of operation. Three kinds of knowledge, the surest first. *Seen*: this very request was sent to this account. *Near*: a
refusal that lasts (a rest, an empty purse, a bad key) was in force, or the account was asked for the same model within
`NEAR_S`; then it would have said the same. *Unknown*: nobody asked it; it is taken to have answered, and whoever reads
the result is told how often that was assumed.

What it cannot know: limits that were reached because of where requests went, and would not have been had they gone
elsewhere, or the other way round; what an answer would have cost that never came.

Law: pure; everything is in Unix seconds; the order of the records does not matter.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from codex_manager.core.failure import FailureClass
from codex_manager.core.record import Record


__all__ = ["NEAR_S", "OF_THE_REQUEST", "Hindsight", "Knowledge", "Said", "class_of"]

NEAR_S: Final = 60.0
"""The window of OpenAI's limits: what was true of an account a minute ago says little about now."""
PASSING_S: Final = 5.0
"""How far from it a failure that passes by itself is taken to be one's own."""
REST_S: Final = 1.0
"""A rest whose end no record tells; the shortest without a hint (core.cooling)."""

C = FailureClass
OF_THE_REQUEST: Final = frozenset({C.CALLER, C.OWNER_MISS, C.ORIGIN_MISS, C.NEUTRAL})
"""Failures that anybody would have answered with."""
LASTING: Final[dict[FailureClass, float]] = {
    C.BILLING: 300.0, C.AUTH: 900.0, C.MODEL_ACCESS: 3600.0, C.RATE: REST_S, C.EGRESS_LIMIT: 5.0,
}  # fmt: skip
"""Refusals that last, in the order in which they are looked for, and for how long at least (core.marks)."""
OBSTACLES: Final = {
    "billing": C.BILLING, "auth_failed": C.AUTH, "model_access": C.MODEL_ACCESS, "rate": C.RATE, "egress": C.EGRESS_LIMIT,
}  # fmt: skip
"""What a decision knew to be in force."""

type Key = tuple[str, ...]
type Where = Callable[[str], tuple[str, str]]
"""Domain and organization of an account."""


class Knowledge(StrEnum):
    """How well an answer is known."""

    SEEN = "seen"
    NEAR = "near"
    UNKNOWN = "unknown"


class Said(NamedTuple):
    """What an account would have said."""

    failure: FailureClass | None
    """None: a good answer."""
    until: float | None = None
    """When what it refused for was over, as far as is known."""
    took_s: float | None = None
    known: Knowledge = Knowledge.UNKNOWN


class Hindsight:
    """See the module's docstring. `where` is asked for accounts of the records, and of those that are asked about."""

    def __init__(self, records: Iterable[Record], where: Where) -> None:
        self._where = where
        self._rests: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        """Stretches of time, the later ones behind, none overlapping."""
        self._heard: dict[Key, list[tuple[float, FailureClass | None]]] = defaultdict(list)
        self._closed: set[Key] = set()
        """Stretches that a good answer has ended."""
        events: list[_Event] = []
        for record in records:
            for attempt in record.attempts:
                at, failure = record.time + attempt.began_s, class_of(attempt.failure)
                events += _known(at, attempt.out, record.model)
                if failure not in OF_THE_REQUEST:
                    events.append(_Event(at, True, attempt.account_id, record.model, failure))
            events += _known(record.time, record.detail.get("out", ()), record.model)
        for event in sorted(events, key=lambda event: event[:2]):
            self._learn(event)

    def ask(self, record: Record, account_id: str, tries: int, at: float) -> Said:
        """What the account would have said to this request, which had been sent to it `tries` times before."""
        own = [attempt for attempt in record.attempts if attempt.account_id == account_id]
        if own:
            attempt = own[min(tries, len(own) - 1)]
            failure = class_of(attempt.failure)
            then = record.time + attempt.began_s
            until = self._rest(failure, account_id, record.model, then) if failure is not None else None
            return Said(failure, until, attempt.took_s, Knowledge.SEEN)
        if record.attempts and (failure := class_of(record.attempts[-1].failure)) in OF_THE_REQUEST:
            return Said(failure, known=Knowledge.NEAR)
        for failure in LASTING:
            if (until := self._rest(failure, account_id, record.model, at)) is not None:
                return Said(failure, until, known=Knowledge.NEAR)
        heard = self._heard.get((account_id, record.model or ""), [])
        i = bisect_right(heard, at, key=lambda one: one[0])
        near = min(heard[max(i - 1, 0) : i + 1], key=lambda one: abs(one[0] - at), default=None)
        if near is None or abs(near[0] - at) > NEAR_S:
            return Said(None)
        passes = near[1] is not None and near[1] not in LASTING and abs(near[0] - at) <= PASSING_S
        return Said(near[1] if passes else None, known=Knowledge.NEAR)

    def _learn(self, event: "_Event") -> None:
        at, was_asked, account_id, model, failure, until = event
        if was_asked:
            self._heard[account_id, model or ""].append((at, failure))
        if failure is None:
            for lasting in LASTING:
                key = self._key(lasting, account_id, model)
                if (rests := self._rests.get(key)) and rests[-1][1] > at:
                    rests[-1] = rests[-1][0], at  # it was over by then
                self._closed.add(key)
        elif failure in LASTING:
            key = self._key(failure, account_id, model)
            rests = self._rests[key]
            end = at + LASTING[failure] if until is None else max(at, until)
            if rests and (rests[-1][1] >= at or not (was_asked or key in self._closed)):
                rests[-1] = rests[-1][0], max(end, rests[-1][1])  # what was in force was still that
            else:
                rests.append((at, end))
            self._closed.discard(key)

    def _rest(self, failure: FailureClass, account_id: str, model: str | None, at: float) -> float | None:
        """The end of the stretch that contains the moment."""
        rests = self._rests.get(self._key(failure, account_id, model), [])
        i = bisect_right(rests, at, key=lambda rest: rest[0]) - 1
        return rests[i][1] if i >= 0 and at < rests[i][1] else None

    def _key(self, failure: FailureClass, account_id: str, model: str | None) -> Key:
        """What the refusal is about (core.marks)."""
        domain, organization = self._where(account_id)
        match failure:
            case C.RATE:
                return failure, domain, model or ""
            case C.BILLING:
                return failure, organization
            case C.MODEL_ACCESS:
                return failure, account_id, model or ""
            case C.AUTH:
                return failure, account_id
            case _:
                return (failure,)


def class_of(failure: str) -> FailureClass | None:
    """The class an attempt failed with; None when it went well. What is no class is the request's own trouble."""
    if not failure:
        return None
    try:
        return FailureClass(failure)
    except ValueError:
        return FailureClass.NEUTRAL


class _Event(NamedTuple):
    """Something that was learned of an account. `was_asked`: by asking it, not by what was remembered."""

    at: float
    was_asked: bool
    account_id: str
    model: str | None
    failure: FailureClass | None
    until: float | None = None


def _known(at: float, rows: Iterable[Sequence[Any]], model: str | None) -> list[_Event]:
    """What a decision knew to be in force."""
    return [_Event(at, False, row[0], model, OBSTACLES[row[1]], row[3]) for row in rows if row[1] in OBSTACLES]
