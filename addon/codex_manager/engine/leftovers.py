"""Upstream errors that were not given to the client yet, in case nothing better comes.

Law: what is kept is closed exactly once, by being given away or dropped.
"""

from codex_manager.core.failure import Final
from codex_manager.engine.broken import Broken
from codex_manager.engine.kept import KeptError


__all__ = ["Leftovers"]


class Leftovers:
    """Mutable state: the last error, and the first one of those of which the first says most."""

    def __init__(self) -> None:
        self.first: KeptError | None = None
        self.last: KeptError | None = None

    @property
    def final(self) -> Final | None:
        """Which answer the class of the last error asks for, when nothing more is tried."""
        return self.last.verdict.rule.final if self.last is not None else None

    def keep(self, outcome: KeptError | Broken) -> None:
        """One more attempt has failed so."""
        if isinstance(outcome, Broken):
            return
        if self.last is not None and self.last is not self.first:
            self.last.close()
        self.last = outcome
        if self.first is None and outcome.verdict.rule.final is Final.FIRST:
            self.first = outcome

    def give(self, kept: KeptError) -> KeptError:
        """This one goes to the client; the others are closed."""
        for other in {self.last, self.first} - {None, kept}:
            assert other is not None
            other.close()
        self.first = self.last = None
        return kept

    def drop(self) -> None:
        """Something better has come."""
        for kept in {self.last, self.first} - {None}:
            assert kept is not None
            kept.close()
        self.first = self.last = None
