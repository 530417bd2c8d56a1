"""What happened to the requests of some time, or would have: who answered how many, what they cost, how often one went on.

Pure: records in, figures out. A request that cost something with an account that it left is told apart by the ledger
(`attempt_of`); its money counts, the request counts once.
"""

import itertools

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from codex_manager.core.hindsight import OF_THE_REQUEST, class_of
from codex_manager.core.pricing import ZERO
from codex_manager.core.record import Record


__all__ = ["Picture", "Replayed", "Share", "actual", "is_decided", "side_by_side", "was_served"]


@dataclass(slots=True)
class Share:
    """What one account had of it."""

    requests: int = 0
    """Answered."""
    failovers: int = 0
    """Attempts after which the request went on with another account."""
    usd: Decimal = ZERO


@dataclass(slots=True)
class Picture:
    """What happened, or would have."""

    shares: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    """By account id."""
    errors: int = 0
    """Requests whose client got an error that was not of its own making."""

    @property
    def usd(self) -> Decimal:
        return sum((share.usd for share in self.shares.values()), ZERO)

    @property
    def failovers(self) -> int:
        return sum(share.failovers for share in self.shares.values())


@dataclass(slots=True)
class Replayed:
    """Both pictures, and how sure the second one is."""

    was: Picture
    would: Picture
    requests: int = 0
    """Decided once more."""
    untouched: int = 0
    """Answered before anybody was chosen; in neither picture but for what they cost."""
    same: int = 0
    """Answered by the same account."""
    tied: int = 0
    unknown: int = 0
    """Of the answers, those of accounts nobody had asked at about that time."""
    uncosted: int = 0
    """Answers to requests that had none then; nobody knows what they would have cost."""
    moved_cached: int = 0
    """Requests that had read from a prompt cache and would have been somewhere where it is not."""
    moved_usd: Decimal = ZERO
    """What these would have cost more, at most."""
    conversations: int = 0
    """Requests of which it is known which conversation they belong to."""


def actual(records: Sequence[Record]) -> Picture:
    """What happened."""
    picture = Picture()
    for record in records:
        if record.account_id is not None:
            share = picture.shares[record.account_id]
            share.usd += record.cost
            share.requests += "attempt_of" not in record.detail and was_served(record)
        if "attempt_of" in record.detail:
            continue
        for one, following in itertools.pairwise(record.attempts):
            picture.shares[one.account_id].failovers += bool(one.failure) and following.account_id != one.account_id
        picture.errors += is_decided(record) and not was_served(record)
    return picture


def is_decided(record: Record) -> bool:
    """Whether an account was chosen for it, or all were found out."""
    return bool(record.attempts) or "out" in record.detail


def was_served(record: Record) -> bool:
    """Whether its client got an answer, or an error of its own making."""
    if not record.attempts:
        return not is_decided(record) and record.account_id is not None
    return (failure := class_of(record.attempts[-1].failure)) is None or failure in OF_THE_REQUEST


def side_by_side(replayed: Replayed) -> Mapping[str, tuple[Share, Share]]:
    """Each account that had any part, with what it had and what it would have had; the dearest first."""
    ids = replayed.was.shares.keys() | replayed.would.shares.keys()
    both = {each: (replayed.was.shares.get(each, Share()), replayed.would.shares.get(each, Share())) for each in ids}
    both = {each: pair for each, pair in both.items() if any(share != Share() for share in pair)}
    return dict(sorted(both.items(), key=lambda item: (-max(share.usd for share in item[1]), item[0])))
