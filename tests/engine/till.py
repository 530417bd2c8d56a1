"""A book that sees whether the money adds up, and prices that can be worked out in one's head."""

import dataclasses

from decimal import Decimal

from codex_manager.core.pricing import Cost
from codex_manager.core.record import Record, Reservation
from codex_manager.core.usage import Usage


__all__ = ["FlatPricing", "Till"]


class FlatPricing:
    """A dollar for a thousand tokens of input, two for a thousand of output; anything else a cent."""

    def cost(self, model: str | None, usage: Usage) -> Cost:
        usd = Decimal(usage.input + 2 * usage.output) / 1000
        units = usage.characters + usage.images + round(usage.seconds)
        return Cost(usd + Decimal(units) / 100, known=model != "mystery")


class Till:
    """Keeps everything it is told, in order."""

    def __init__(self) -> None:
        self.open: dict[str, Reservation] = {}
        self.records: list[Record] = []
        self.settled: list[tuple[str, Usage, Decimal]] = []
        self.reserved_ids: list[str] = []

    def reserved(self, reservation: Reservation) -> None:
        assert reservation.id not in self.reserved_ids, "a reservation is made once"
        assert reservation.usd > 0
        self.reserved_ids.append(reservation.id)
        self.open[reservation.id] = reservation

    def released(self, reservation_id: str) -> None:
        del self.open[reservation_id]  # a KeyError is a second time

    def record(self, record: Record) -> int:
        assert record.id not in {known.id for known in self.records[-2000:]}, "a request is over once"
        self.open.pop(record.id, None)
        self.records.append(dataclasses.replace(record))
        return len(self.records)

    def settle_object(self, object_id: str, usage: Usage, cost: Cost) -> None:
        self.settled.append((object_id, usage, cost.usd))

    @property
    def last(self) -> Record:
        return self.records[-1]

    def spent(self, account_id: str | None = None) -> Decimal:
        """Of one account, or of all."""
        return sum((r.cost for r in self.records if account_id in {None, r.account_id}), Decimal(0))
