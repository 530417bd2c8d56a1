"""Who is to blame when accounts fail alike: an account, OpenAI, or the network.

Law: failures of one kind in two or more domains within ten seconds are nobody's account's fault (semantics §4). While
that holds no account's breaker opens, and reports name the common cause instead. For people who ask a little later, what
failed is remembered a minute longer, or until it went well again.

Pure; keeps the last failure of each domain and kind, so its size is bounded by the number of accounts.
"""

from enum import StrEnum


__all__ = ["Cause", "Incidents"]

ALIKE_S = 10.0
LATELY_S = 60.0


class Cause(StrEnum):
    """What two domains can have in common."""

    OPENAI = "OpenAI"
    """Answers that are errors of its own, or none at all."""
    NETWORK = "network"
    """Connections that could not be made."""


class Incidents:
    """Remembers which domain failed how and when."""

    __slots__ = ("_seen", "_sick")

    def __init__(self) -> None:
        self._seen: dict[tuple[Cause, str], float] = {}
        self._sick: dict[tuple[Cause, str], float] = {}
        """The same, without those that have gone well since."""

    def note(self, cause: Cause, domain: str, now: float) -> bool:
        """A domain failed; True when it is not alone."""
        if len(self._seen) >= 256:
            self._seen = {key: at for key, at in self._seen.items() if now - at <= ALIKE_S}
            self._sick = {key: at for key, at in self._sick.items() if now - at <= LATELY_S}
        self._seen[cause, domain] = self._sick[cause, domain] = now
        return self._alike(cause, now)

    def current(self, now: float) -> Cause | None:
        """The common cause of what fails right now, if there is one."""
        return next((cause for cause in (Cause.NETWORK, Cause.OPENAI) if self._alike(cause, now)), None)

    def went_well(self, cause: Cause, domain: str) -> None:
        """What such a failure would have kept from going well, did."""
        self._sick.pop((cause, domain), None)

    def lately(self, cause: Cause, now: float) -> frozenset[str]:
        """Domains that failed so within the last minute, and have not gone well since."""
        return frozenset(domain for (kind, domain), at in self._sick.items() if kind is cause and now - at <= LATELY_S)

    def _alike(self, cause: Cause, now: float) -> bool:
        return sum(kind is cause and now - at <= ALIKE_S for (kind, _), at in self._seen.items()) >= 2

    def __repr__(self) -> str:
        return f"<Incidents {', '.join(f'{cause} in {domain} at {at:g}' for (cause, domain), at in self._seen.items()) or 'none'}>"
