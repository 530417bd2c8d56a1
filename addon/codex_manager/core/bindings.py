"""Where each conversation is at home, and where it went while home was out.

Prompt caches belong to an organization, so a conversation that moves pays for all of its tokens again. Its first pick is by
rendezvous hashing (core.session), bound before the request goes out, so that parallel first requests agree. When home is
out the conversation takes a detour, keeps to it, and comes back when home does; home stays home. Only when the detour has
served `DETOUR_TURNS` turns, or home has been away longer than a prompt cache lives, or never answered at all, is the cache
worth more there, and the detour becomes home. (codex-lb rewrote its map at every failover: cache hits went from 36 % to 12 %.)

Law: bounded (`MOST`, the longest unused goes first); a conversation that was silent for `IDLE_S` or is older than
`LONGEST_S` is forgotten, which moves nothing as long as the accounts are the same, because the first pick is the same.
Pure; `now` is monotonic. What changed is handed out once for keeping (`drain`).
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


__all__ = ["CACHE_LIFE_S", "DETOUR_TURNS", "IDLE_S", "LONGEST_S", "MOST", "Binding", "Bindings"]

MOST = 50_000
IDLE_S = 3600.0
LONGEST_S = 86_400.0
DETOUR_TURNS = 3
CACHE_LIFE_S = 3600.0
"""OpenAI keeps a prompt cache 5 to 10 minutes after its last use, an hour at the most (prompt caching guide)."""
_REFRESH_S = 60.0
"""How stale the time of last use that was kept may be."""


@dataclass(slots=True)
class Binding:
    """One conversation."""

    home: str
    """Account id."""
    organization: str
    """The home's: any account of it has the same prompt cache."""
    bound: float
    seen: float
    detour: str | None = None
    turns: int = 0
    """Answers the detour has given."""
    away: float = 0.0
    """Since when home is out; 0 while it is not."""
    kept: float = 0.0
    """The `seen` that was last handed out for keeping."""
    is_cold: bool = False
    """Home has not answered yet, so there is no cache to come back to."""


class Bindings:
    """The mutable state; see the module's docstring."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Binding] = OrderedDict()
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, session: str, now: float) -> Binding | None:
        """The conversation's binding, if it has a living one. Changes nothing."""
        found = self._known.get(session)
        if found is None or now - found.seen > IDLE_S or now - found.bound > LONGEST_S:
            return None
        return found

    def chosen(self, session: str, account_id: str, organization: str, now: float) -> None:
        """A request of the conversation is about to go to this account."""
        known = self.get(session, now)
        if known is None:
            self._known[session] = Binding(account_id, organization, now, now, is_cold=True)
            self._changed.add(session)
            while len(self._known) > MOST:
                gone, _ = self._known.popitem(last=False)
                self._changed.discard(gone)
        else:
            known.seen = now
            if now - known.kept > _REFRESH_S:
                self._changed.add(session)
            if account_id not in {known.home, known.detour}:
                known.detour, known.turns = account_id, 0
                known.away = known.away or now
        self._known.move_to_end(session)

    def answered(self, session: str, account_id: str, organization: str, now: float) -> None:
        """The account has answered it well."""
        known = self.get(session, now)
        if known is None:
            return
        if account_id == known.home:
            known.detour, known.turns, known.away = None, 0, 0.0
            known.is_cold = False
            if known.organization != organization:  # which was not known before it had answered once
                known.organization = organization
                self._changed.add(session)
        elif account_id == known.detour:
            known.turns += 1
            if known.is_cold or known.turns >= DETOUR_TURNS or now - known.away > CACHE_LIFE_S:
                known.home, known.organization, known.is_cold = account_id, organization, False
                known.detour, known.turns, known.away = None, 0, 0.0
                self._changed.add(session)

    def retain(self, account_ids: Iterable[str]) -> None:
        """Forget conversations whose home was removed."""
        left = set(account_ids)
        for session in [session for session, known in self._known.items() if known.home not in left]:
            del self._known[session]
            self._changed.discard(session)

    # --- keeping ---

    def drain(self) -> Iterator[tuple[str, Binding]]:
        """What is new, has moved, or was not told for a minute; each is handed out once."""
        changed, self._changed = self._changed, set()
        for session in changed:
            known = self._known.get(session)
            if known is not None:
                known.kept = known.seen
                yield session, known

    def load(self, rows: Iterable[tuple[str, Binding]], now: float) -> None:
        """What was kept, the latest at the end; times as monotonic ones, none of them in the future."""
        for session, kept in rows:
            kept.seen, kept.bound = min(kept.seen, now), min(kept.bound, now)
            kept.kept = kept.seen
            if session not in self._known and now - kept.seen <= IDLE_S and now - kept.bound <= LONGEST_S:
                self._known[session] = kept
        while len(self._known) > MOST:
            self._known.popitem(last=False)
