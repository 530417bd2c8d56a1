"""Layer 1 of semantics §2: a request goes where the things live that it names.

Before the first decision: what is known of the things (core.owners) becomes facts of the request, two owners an answer that
names both. What nobody knows is looked for: a read learns by 404, account after account; anything else asks first where the
thing is (engine.search), because a DELETE or a paid generation is not sent about to see what happens. After an answer that says
"not here" the owner is unknown, and all this happens once more, until everybody was asked: then the first answer stands.

Encrypted reasoning is read only where it was encrypted. With `routing.encrypted_reasoning: strip` it is left out when its
origin cannot serve, or cannot read it; with `fail` nobody waits for the origin.

Law: ids are never rewritten, and nothing is left out of a request but reasoning, on the user's word, and said so.
"""

import logging
import re

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.openai_error import ErrorAnswer
from codex_manager.core.owners import Owner, Owners
from codex_manager.core.reasoning import without_reasoning
from codex_manager.core.resources import Learned, Reference, kind_of
from codex_manager.core.routing import Facts
from codex_manager.core.state import Lease
from codex_manager.engine import explain_owner as words
from codex_manager.engine.question import Question, plain_body
from codex_manager.engine.search import askable, can_be_looked_for
from codex_manager.engine.tab import NO_TAB


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Named", "named_in"]

log = logging.getLogger(__name__)

FRESH_S: Final = 60.0
"""A thing that was seen so lately is not looked for elsewhere: OpenAI may need a moment until it finds what it has made."""
WORD: Final = re.compile(r"[A-Za-z0-9_:.\-]{4,200}")

type Known = tuple[Reference, str, Owner]
"""A thing, the domain it is in, and how that is known."""


def named_in(engine: "Engine", asked: Question) -> "Named | None":
    """What a request names; None for the many that name nothing."""
    return Named(engine, asked) if asked.named else None


class Named:
    """See the module's docstring. Mutable state: whether all is known that can be, what was looked for, who said no."""

    def __init__(self, engine: "Engine", asked: Question) -> None:
        self._engine = engine
        self._asked = asked
        self._things = asked.named.items
        # A file below a vector store is there or not, which says nothing about whose it is.
        self._outermost = next((one.id for one in self._things if one.where == "path"), None)
        self._reasoning = tuple(Reference(one, "encrypted", "input") for one in asked.named.encrypted)
        self._looked: set[str] = set()
        self._gone: dict[str, tuple[Reference, Owner]] = {}
        self._was_refused = False
        self._is_hopeless = False
        self.is_settled = False

    @property
    def _policy(self) -> str:
        return self._engine.settings.encrypted_reasoning

    # --- before a decision ---

    async def settle(self, facts: Facts, tries: int) -> Facts | ErrorAnswer | None:
        """The facts with where the request may go, or an answer when it can go nowhere.

        None when everybody who could be asked has said no: then the first who did is to be heard. `tries` are those left.
        """
        self.is_settled = True
        while True:
            if self._is_hopeless:
                return self._nobody()
            home = self._home()
            if isinstance(home, ErrorAnswer):
                return home
            unknown = [one for one in self._look(self._things)[1] if one.family != "model"]
            if home is not None:
                wall = self._engine.clock.time()
                lost = [one for one in unknown if self._owners.is_missing(one.id, home[1], wall)]
                if lost:  # not where the others are, as was said just now: a conflict, or nowhere
                    if await self._finds(lost):
                        continue
                    if self._was_refused:
                        return self._nobody()
                return self._at(home, facts)
            if not unknown:
                return replace(facts, owner=None)
            left = self._left(unknown)
            if left and len(askable(self._engine)) > 1 and not self._walks(unknown, len(left), tries):
                if await self._finds(unknown):
                    continue
                left = self._left(unknown)
            if not left and self._was_refused:
                return self._nobody()
            if not left or left == askable(self._engine).keys():
                return replace(facts, owner=None)
            owned = f"does not have {words.name_of(unknown[0])}"
            return self._only(facts, left, owned, "missing")

    def known(self, facts: Facts) -> Facts | ErrorAnswer:
        """The same from what is known; nobody is asked."""
        home = self._home()
        if isinstance(home, ErrorAnswer):
            return home
        return replace(facts, owner=None) if home is None else self._at(home, facts)

    def waits(self, facts: Facts) -> bool:
        """Whether an account that is out for a moment is waited for."""
        return facts.owned_by != "origin" or facts.owner is None or self._policy != "fail"

    def gives_way(self, facts: Facts) -> bool:
        """The origin of the reasoning cannot serve: it is left out, if it may be. To be settled anew then."""
        if facts.owner is None or facts.owned_by != "origin" or self._policy != "strip":
            return False
        return self._strip(None, f"{facts.owned}, which cannot serve now")

    # --- after an answer ---

    def missed(self, verdict: Verdict, lease_domain: str) -> bool:
        """An account does not have what is named, or cannot read it. True when somebody else may; to be settled anew then."""
        self._was_refused = True
        if verdict.failure is FailureClass.ORIGIN_MISS:
            return self._unreadable(lease_domain)
        wall = self._engine.clock.time()
        blamed = self._blamed(verdict.message)
        for reference in blamed:
            known = self._owners.owner(reference.id)
            is_fresh = known is not None and known.domain == lease_domain and wall - known.seen < FRESH_S
            if is_fresh and self._asked.request.method != "DELETE":  # it may be gone by a DELETE whose answer was lost
                return False
            self._owners.missing(reference.id, lease_domain, wall)
        self.is_settled = not blamed
        return bool(blamed)

    def served(self, lease: Lease) -> None:
        """An account has done what was asked: then all of it is there, or can be read there."""
        found = [
            Learned(one.id, one.family, strong=one.where == "path") for one in self._things if one.family != "model"
        ]
        found += [Learned(one.id, one.family, strong=False) for one in self._reasoning]
        self._owners.note(found, lease.standing.domain, lease.account_id, self._engine.clock.time())

    # --- inside ---

    @property
    def _owners(self) -> Owners:
        return self._engine.state.owners

    def _home(self) -> Known | ErrorAnswer | None:
        """One of what is known, in whose domain all of it is; the conflict when there is none; None when nothing is known."""
        while True:
            known, _ = self._look(self._things)
            origins, _ = self._look(self._reasoning)
            conflict = self._conflict(known) or self._divided(known, origins)
            if conflict is None:
                return (known or origins or (None,))[0]
            if conflict is not STRIPPED:
                return conflict

    def _at(self, home: Known, facts: Facts) -> Facts:
        reference, domain, _ = home
        owned = words.belongs(reference, self._labels(domain))
        return self._only(facts, frozenset({domain}), owned, "origin" if reference.family == "encrypted" else "owner")

    def _look(self, references: Iterable[Reference]) -> tuple[list[Known], list[Reference]]:
        """What is known of each, and the others. What a removed account had counts as unknown."""
        known: list[Known] = []
        unknown: list[Reference] = []
        for reference in references:
            owner = self._owners.owner(reference.id)
            domain = None if owner is None else self._domain(owner)
            if owner is not None and domain is not None:
                known.append((reference, domain, owner))
                continue
            if owner is not None:
                self._gone[reference.id] = reference, owner
            unknown.append(reference)
        return known, unknown

    def _only(
        self, facts: Facts, domains: frozenset[str], owned: str, by: Literal["owner", "origin", "missing"]
    ) -> Facts:
        accounts = self._engine.state.accounts
        # Accounts, because a domain has another name once an answer has said it.
        through = frozenset(name for name, standing in accounts.items() if standing.domain in domains)
        return replace(facts, owner=through, owned=owned, owned_by=by)

    def _domain(self, owner: Owner) -> str | None:
        accounts = self._engine.state.accounts
        through = accounts.get(owner.account_id)
        if through is not None and through.domain == owner.domain:
            return owner.domain
        if any(standing.domain == owner.domain for standing in accounts.values()):
            return owner.domain
        return None if through is None else through.domain

    def _labels(self, domain: str) -> list[str]:
        accounts = self._engine.state.accounts
        return [c.account.label for c in self._engine.candidates if accounts[c.account.id].domain == domain]

    def _conflict(self, known: list[Known]) -> ErrorAnswer | None:
        """Two owners of things. One that only an echo speaks for is forgotten instead."""
        for one in known[1:]:
            first = known[0]
            if one[1] == first[1]:
                continue
            for weak in (one, first):
                if not weak[2].strong:
                    self._owners.forget(weak[0].id)
                    known.remove(weak)
                    return self._conflict(known)
            return words.conflict((first[0], self._labels(first[1])), (one[0], self._labels(one[1])))
        return None

    def _divided(self, known: list[Known], origins: list[Known]) -> ErrorAnswer | None:
        """Reasoning of several origins, or of another one than the things."""
        domains = dict.fromkeys(domain for _, domain, _ in origins)
        home = known[0][1] if known else None
        if len(domains) < 2 and (home is None or not domains or home in domains):
            return None
        kept = home or origins[-1][1]  # the latest is the conversation's present home
        foreign = frozenset(one.id for one, domain, _ in origins if domain != kept)
        if self._policy == "strip" and self._strip(foreign, "it is of several accounts"):
            return STRIPPED
        other = next(one for one in origins if one[1] != kept)
        if home is not None:
            return words.conflict((known[0][0], self._labels(home)), (other[0], self._labels(other[1])))
        return words.foreign_reasoning(self._labels(other[1]), self._labels(kept))

    def _left(self, unknown: list[Reference]) -> frozenset[str]:
        """Domains that may have them, as far as has been said."""
        wall = self._engine.clock.time()
        return frozenset(
            domain
            for domain in askable(self._engine)
            if not any(self._owners.is_missing(one.id, domain, wall) for one in unknown)
        )

    def _walks(self, unknown: list[Reference], left: int, tries: int) -> bool:
        """Whether to learn by 404: what reads may, and what nobody can be asked about must."""
        if not any(can_be_looked_for(one) and one.id not in self._looked for one in unknown):
            return True
        return self._asked.replay == "read" and left <= tries

    async def _finds(self, unknown: list[Reference]) -> bool:
        """Ask who has one of these; True when it is known now."""
        reference = next((one for one in unknown if can_be_looked_for(one) and one.id not in self._looked), None)
        if reference is None:
            return False
        self._looked.add(reference.id)
        found = await self._engine.searches.find(reference, self._asked.request.headers)
        return found.domain is not None

    def _nobody(self) -> ErrorAnswer | None:
        """Why nobody has it, where more can be said than that."""
        for reference, owner in self._gone.values():
            return words.gone(reference, self._engine.former.get(owner.account_id))
        return None

    def _blamed(self, message: str) -> list[Reference]:
        """Of what the answer speaks: a thing inside one that is named may be missing as well."""
        decisive = [one for one in self._things if one.where != "path" or one.id == self._outermost]
        if named := [one for one in decisive if one.id in message]:
            return named
        if any(kind_of(word) is not None for word in WORD.findall(message) if not word.endswith(("_id", "_ids"))):
            return []
        return decisive if len(decisive) == 1 else []

    def _unreadable(self, domain: str) -> bool:
        if len(self._reasoning) == 1:
            self._owners.missing(self._reasoning[0].id, domain, self._engine.clock.time())
        origins, _ = self._look(self._reasoning)
        self.is_settled = False
        if any(origin != domain for _, origin, _ in origins):
            return True
        if self._policy == "strip" and self._strip(None, "the account asked cannot read it"):
            return True
        self._is_hopeless = True
        return bool(self._gone)

    def _strip(self, digests: frozenset[str] | None, why: str) -> bool:
        """Leave reasoning out of the request; False when that is not possible."""
        asked = self._asked
        body = plain_body(asked.request)
        stripped = None if body is None else without_reasoning(body, digests)
        if stripped is None:
            return False
        headers = tuple(h for h in asked.request.headers if h[0].lower() != b"content-encoding")
        asked.request = replace(asked.request, body=stripped.body, headers=headers)
        self._reasoning = tuple(one for one in self._reasoning if one.id not in stripped.digests)
        self.is_settled = False
        count = len(stripped.digests)
        log.warning("left %d items of encrypted reasoning out of a request: %s", count, why)
        if asked.tab is not NO_TAB:
            asked.tab.detail["stripped"] = int(asked.tab.detail.get("stripped", 0)) + count
        return True


STRIPPED: Final = ErrorAnswer(status=0, headers=(), body=b"")
"""Not an answer: the conflict is gone, look again."""
