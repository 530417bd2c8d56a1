"""Who has what: in which domain each thing lives that passed by, and where it was looked for in vain.

Ownership belongs to the domain (organization and project), not to the key: any account of it can serve. Evidence is strong
(the thing itself was in an answer) or weak (another thing's field named it, which may echo what a user wrote); weak evidence
never overrules.

Law: bounded (`MOST`, the longest unused goes first), and what changes is handed out once for keeping (`drain`). Times are
Unix seconds, because all this outlives the process; `NOT_HERE_S` is short enough not to.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from codex_manager.core.resources import Learned, Reference


__all__ = ["MOST", "NOT_HERE_S", "Change", "Conflict", "Owner", "Owners", "Ownership"]

MOST = 100_000
NOT_HERE_S = 600.0
"""How long a domain that answered 404 is not asked again for the thing (semantics §3, OWNER_MISS)."""
_MOST_MISSES = 20_000
MOST_CHANGES = 50_000
"""Changes kept for whoever keeps them; when nobody comes, the oldest are given up."""


@dataclass(slots=True)
class Owner:
    """Where one thing is."""

    domain: str
    account_id: str
    """Through which account it was seen; any of its domain may serve."""
    family: str
    strong: bool
    seen: float
    """Unix time of the last sight."""


@dataclass(frozen=True, slots=True)
class Change:
    """For the ledger: an owner that is new or has changed, or None for one that is gone."""

    id: str
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two things of one request that no account has both."""

    first: Reference
    first_owner: Owner
    second: Reference
    second_owner: Owner


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is known of the things a request names."""

    domain: str | None = None
    """Where all of them are that are known of."""
    account_id: str = ""
    named: str = ""
    """The one that says so, for the words of a refusal."""
    unknown: tuple[Reference, ...] = ()
    """Those nobody knows of."""
    conflict: Conflict | None = None


class Owners:
    """The mutable state; see the module's docstring."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Owner] = OrderedDict()
        self._missing: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._changed: OrderedDict[str, Owner | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    # --- evidence ---

    def note(self, learned: Iterable[Learned], domain: str, account_id: str, wall: float) -> None:
        """An answer of this account's showed these. What was deleted lately is not made known again by who still names it."""
        for one in learned:
            known = self._known.get(one.id)
            if known is None and not one.strong and self.is_missing(one.id, domain, wall):
                continue
            if known is not None and known.domain != domain and known.strong and not one.strong:
                continue
            fresh = known is None or known.domain != domain or (one.strong and not known.strong)
            if fresh or wall - known.seen > 60.0:  # type: ignore[union-attr]  # fresh when None
                self._put(
                    one.id, Owner(domain, account_id, one.family, one.strong or bool(known and known.strong), wall)
                )
            self._missing.pop((one.id, domain), None)

    def missing(self, name: str, domain: str, wall: float) -> None:
        """The domain said that it has no such thing."""
        self._missing[name, domain] = wall + NOT_HERE_S
        self._missing.move_to_end((name, domain))
        while len(self._missing) > _MOST_MISSES:
            self._missing.popitem(last=False)
        known = self._known.get(name)
        if known is not None and known.domain == domain:
            self.forget(name)

    def forget(self, name: str) -> None:
        """It was deleted, or is not where it was."""
        if self._known.pop(name, None) is not None:
            self._change(name, None)

    def move(self, old: str, new: str) -> None:
        """The domain has another name now: an answer said whose account it is."""
        for name, owner in self._known.items():
            if owner.domain == old:
                owner.domain = new
                self._change(name, owner)

    # --- questions ---

    def owner(self, name: str) -> Owner | None:
        """Where a thing is; asking counts as use."""
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
        return found

    def is_missing(self, name: str, domain: str, wall: float) -> bool:
        """Whether the domain said lately that it has no such thing."""
        return self._missing.get((name, domain), 0.0) > wall

    def of(self, named: Iterable[Reference]) -> Ownership:
        """What is known of all the things a request names, together."""
        first: tuple[Reference, Owner] | None = None
        unknown: list[Reference] = []
        for reference in named:
            owner = self.owner(reference.id)
            if owner is None:
                unknown.append(reference)
            elif first is None:
                first = reference, owner
            elif owner.domain != first[1].domain:
                return Ownership(conflict=Conflict(*first, reference, owner))
        if first is None:
            return Ownership(unknown=tuple(unknown))
        return Ownership(first[1].domain, first[1].account_id, first[0].id, tuple(unknown))

    # --- keeping ---

    def drain(self) -> list[Change]:
        """What has changed since the last time."""
        changed, self._changed = self._changed, OrderedDict()
        return [Change(name, owner) for name, owner in changed.items()]

    def load(self, rows: Iterable[tuple[str, Owner]]) -> None:
        """What was kept; in the order of last use, the latest at the end. What is known already stays."""
        for name, owner in rows:
            if name not in self._known:
                self._known[name] = owner
        self._trim()

    def _put(self, name: str, owner: Owner) -> None:
        self._known[name] = owner
        self._known.move_to_end(name)
        self._change(name, owner)
        self._trim()

    def _trim(self) -> None:
        while len(self._known) > MOST:
            self._known.popitem(last=False)  # from memory only; the ledger still has it

    def _change(self, name: str, owner: Owner | None) -> None:
        self._changed[name] = owner
        self._changed.move_to_end(name)
        while len(self._changed) > MOST_CHANGES:
            self._changed.popitem(last=False)
