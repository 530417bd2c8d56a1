"""What one account or client may still spend: its limits, what counts against them, and what is set aside.

Theory of operation. Each limit is held in a purse of its own: ours for the day, ours for the month, and the one OpenAI
holds the account to. What counts against it is

    recorded     what the ledger last said
    + fresh      what was settled since and is not in the ledger's figure yet
    + elsewhere  what OpenAI's own figure was above ours when it was last asked: spent beside the proxy

So when OpenAI is asked the larger of the two figures counts, and what is spent afterwards comes on top instead of hiding
below it. Requests on their way have money set aside, which counts in full.

Law: a request is admitted only if spent + set aside + its need stay within every limit. `left` and `used` are worked out
when they are asked for and kept until something changes, because a decision asks every account and changes none.

Pure. Knows no clock: windows are turned from outside (core.spend).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from codex_manager.core.pricing import ZERO
from codex_manager.core.window import Span, Window, moment


__all__ = ["Allowance", "Purse", "Shortage", "dollars"]

MOST_FRESH: Final = 1024
"""Settled amounts remembered one by one. A ledger that works takes them over five times a second."""
NAMES: Final[dict[Window, str]] = {
    "day": "daily limit",
    "month": "monthly limit",
    "provider": "monthly limit at OpenAI",
}


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why there is no room for a request. US dollars."""

    window: Window
    until: float
    """When the window turns (monotonic)."""
    turns_at: float
    """The same as Unix time."""
    spent: Decimal
    reserved: Decimal
    """Set aside for requests on their way."""
    limit: Decimal
    need: Decimal
    """What the request may cost; 0 when that is not known."""

    @property
    def is_reached(self) -> bool:
        """Nothing is left, whatever the request."""
        return self.spent >= self.limit

    @property
    def fits_never_now(self) -> bool:
        """The limit is not reached, but this request may cost more than is left of it."""
        return not self.is_reached and self.spent + self.need > self.limit

    @property
    def detail(self) -> str:
        """`daily limit of $20.00 reached, $20.03 spent, counts anew from 2026-11-02 00:00 UTC`."""
        limit, anew = f"{NAMES[self.window]} of {dollars(self.limit)}", f"counts anew from {moment(self.turns_at)}"
        spent = f"{dollars(self.spent)} spent"
        if self.is_reached:
            return f"{limit} reached, {spent}, {anew}"
        if self.reserved:
            spent += f" and {dollars(self.reserved)} set aside for requests on their way"
        if self.need:
            return f"this request may cost {dollars(self.need)}, more than is left of its {limit}, {spent}, {anew}"
        return f"nothing is left of its {limit}, {spent}, {anew}"


class Purse:
    """One limit and what counts against it. Mutable state: all of it."""

    __slots__ = (
        "_is_loaded",
        "_own_then",
        "_reported",
        "fresh",
        "limit",
        "recorded",
        "span",
        "spent",
        "through",
        "was_warned",
    )

    def __init__(self, limit: Decimal, span: Span) -> None:
        self.limit = limit
        self.turn(span)

    def turn(self, span: Span) -> None:
        """A new window begins, and nothing is spent in it."""
        self.span = span
        self.spent = ZERO
        self.recorded = ZERO
        self.fresh: list[tuple[int, Decimal]] = []
        """Book numbers and amounts."""
        self.through = 0
        """The number up to which the ledger's figure goes."""
        self.was_warned = False
        self._is_loaded = False
        self._reported: Decimal | None = None
        self._own_then = ZERO
        """Our own figure when OpenAI's was noted; the less it was, the more was spent elsewhere."""

    def load(self, amount: Decimal, through: int) -> bool:
        """What the ledger says; it contains what was settled up to this number. False when that is nothing new."""
        self.through = through
        if self._is_loaded and not self.fresh and amount == self.recorded:
            return False
        self.fresh = [entry for entry in self.fresh if entry[0] > through]
        self.recorded = amount
        own = self._own()
        # Less than before is a reset: it corrects our figure, not OpenAI's. The first word of all is no change.
        self._own_then = min(self._own_then, own) if self._is_loaded else own
        self._is_loaded = True
        self._count(own)
        return True

    def add(self, usd: Decimal, number: int) -> None:
        """Settled just now, in this window."""
        if number <= self.through:
            return
        self.fresh.append((number, usd))
        if len(self.fresh) > MOST_FRESH:
            # Nobody takes them over. Together they count until the last of them is in the ledger.
            self.fresh = [(max(number for number, _ in self.fresh), sum((usd for _, usd in self.fresh), ZERO))]
        self.spent += usd

    def report(self, amount: Decimal) -> None:
        """What OpenAI says was spent in this window."""
        self._reported, self._own_then = amount, self._own()
        self._count(self._own_then)

    def _own(self) -> Decimal:
        return self.recorded + sum((usd for _, usd in self.fresh), ZERO)

    def _count(self, own: Decimal) -> None:
        self.spent = own if self._reported is None else own + max(self._reported - self._own_then, ZERO)


class Allowance:
    """All limits of one account or client. Mutable state: its purses, and what is set aside."""

    __slots__ = ("_found", "_left", "_used", "purses", "reserved")

    def __init__(self) -> None:
        self.purses: dict[Window, Purse] = {}
        """Those with a limit."""
        self.reserved = ZERO
        self._found: tuple[Decimal, float, Shortage] | None = None
        # None while nobody has asked since the last change.
        self._left: Decimal | None = None
        self._used: float | None = None

    @property
    def left(self) -> Decimal:
        """What the tightest limit leaves; a request that may cost more does not fit."""
        left = self._left
        if left is None:
            left = (
                min((purse.limit - purse.spent for purse in self.purses.values()), default=self.reserved)
                - self.reserved
            )
            self._left = left
        return left

    @property
    def used(self) -> float:
        """Share used of the tightest limit, 1 when it is reached; set aside counts as used."""
        used = self._used
        if used is None:
            used, reserved = 0.0, self.reserved
            for purse in self.purses.values():
                limit = purse.limit
                used = max(used, float((purse.spent + reserved) / limit) if limit > ZERO else 1.0)
            self._used = used
        return used

    def shortage(self, need: Decimal, offset: float) -> Shortage | None:
        """Why a request that may cost so much is not admitted, or None when it is. `offset`: wall clock − monotonic.

        One whose price is not known (0) is admitted while anything is left. Of several limits that it does not fit in, the
        one that turns last is named.
        """
        if need <= self.left if need else self.left > ZERO:
            return None
        found = self._found
        if found is not None and found[1] == offset and found[0] == need:
            return found[2]  # a stream of requests against a limit that is reached
        short = [
            (purse.span.end, name)
            for name, purse in self.purses.items()
            if purse.limit - purse.spent - self.reserved < need or purse.limit - purse.spent - self.reserved <= ZERO
        ]
        end, window = max(short)
        purse = self.purses[window]
        shortage = Shortage(window, end - offset, end, purse.spent, self.reserved, purse.limit, need)
        self._found = need, offset, shortage
        return shortage

    def hold(self, usd: Decimal) -> None:
        """Set something aside; a negative amount lets it go."""
        self.reserved += usd
        self._found = self._used = None
        if self._left is not None:
            self._left -= usd

    def settle(self, held: Decimal, usd: Decimal, number: int, wall: float) -> None:
        """What was set aside is let go; so much of it was spent by a request sent at that Unix time, which is number so
        and so in the book.
        """
        self.reserved -= held
        for purse in self.purses.values():
            if purse.span.start <= wall < purse.span.end:
                purse.add(usd, number)
        self.refresh()

    def refresh(self) -> None:
        """Something has changed: what is asked often is worked out anew when it is asked."""
        self._found = self._left = self._used = None

    def warnings(self, warn_at: float) -> Iterator[tuple[Window, float]]:
        """Limits of which so much is spent for the first time in their window."""
        for name, purse in self.purses.items():
            share = float(purse.spent / purse.limit) if purse.limit > ZERO else 1.0
            if share < warn_at:
                purse.was_warned = False  # the limit was raised, or spending reset
            elif not purse.was_warned:
                purse.was_warned = True
                yield name, share

    def __repr__(self) -> str:
        each = ", ".join(f"{name} {dollars(p.spent)}/{dollars(p.limit)}" for name, p in self.purses.items())
        return f"<Allowance {each or 'without limits'}, {dollars(self.reserved)} set aside>"


def dollars(usd: Decimal) -> str:
    """`$20.00`, `$0.0312`, `less than $0.0001`: cents, and as many digits more as say something."""
    if ZERO < usd < Decimal("0.0001"):
        return "less than $0.0001"
    whole, _, digits = f"{usd:.4f}".partition(".")
    return f"${whole}.{digits[:2]}{digits[2:].rstrip('0')}"
