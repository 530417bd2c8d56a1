"""How much of the traffic is kept for viewers. Plain numbers."""

from codex_manager.core.value import value


__all__ = ["RingLimits"]


@value(frozen=True, slots=True)
class RingLimits:
    """What the list of flows may hold."""

    flows: int
    """This many, those that still run included."""
    bytes: int
    """Bodies and messages of flows that are over, and `ring.FLOW` for each."""
