"""Lists over several accounts as one: what OpenAI's list parameters are, in which order things stand, and where a page ended.

Each domain gives its own things in its own order, page by page, and takes only its own ids as cursors. The merged list takes
always the first of what the domains have next: the newest (or oldest), of equal ones that of the domain whose name comes first.
So what a page ended with says where it goes on only together with what was taken of each domain by then: its `Place`.

Law: pure, and the same places and things give the same page. Where places are not known any more, they are found by
taking from the beginning until the cursor passes by; that is exact, too.
"""

import re

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, unquote_plus


__all__ = ["MOST_PLACES", "Place", "Places", "Query", "Rule", "Share", "first_of", "query_of", "rule_of"]

MOST_PLACES: Final = 20_000
"""Places kept in all, one a domain for each page: some 1 KB each at most."""
RECENT: Final = 64
"""Ids a place remembers, to know things again whose neighbour was deleted."""
_ID = re.compile(r"[A-Za-z0-9_:.\-]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,9}")

type Thing = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one family is listed, as OpenAI's specification has it."""

    default: int = 20
    """Things on a page when nothing is said."""
    most: int | None = 100
    """Most that may be asked for; None where the specification names no number."""
    orders: bool = True
    """It takes `order`."""
    newest_first: bool = True
    """When nothing is said."""
    before: bool = False
    """It takes `before`."""
    stamp: str = "created_at"
    """The field it is sorted by."""

    @property
    def page(self) -> int:
        """The largest page that is certainly taken."""
        return self.most or 100


_RULES: Final = {
    "file": Rule(default=10_000, most=10_000),
    "batch": Rule(orders=False),
    "fine_tuning_job": Rule(most=None, orders=False),
    "vector_store": Rule(before=True),
    "assistant": Rule(before=True),
    "chat_completion": Rule(most=None, newest_first=False, stamp="created"),
    "eval": Rule(most=None, newest_first=False),
    "voice_consent": Rule(orders=False),
    "chatkit_thread": Rule(before=True),
}


def rule_of(family: str) -> Rule:
    """Containers, videos and skills are like most: 20, at most 100, newest first."""
    return _RULES.get(family, Rule())


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asks of a list."""

    limit: int
    newest_first: bool
    after: str | None = None
    before: str | None = None
    filters: str = ""
    """The rest of the query, as it was written."""
    stamp: str = "created_at"
    orders: bool = True
    page: int = 100

    @property
    def turned(self) -> "Query":
        """What stands before a thing, seen from there: the same list backwards, after it."""
        return replace(self, newest_first=not self.newest_first, after=self.before, before=None)

    def target(self, path: str, after: str | None, limit: int) -> str:
        """The question to one account."""
        parts = [self.filters] if self.filters else []
        parts.append(f"limit={limit}")
        if self.orders:
            parts.append(f"order={'desc' if self.newest_first else 'asc'}")
        if after is not None:
            parts.append(f"after={quote(after, safe='')}")
        return f"{path}?{'&'.join(parts)}"

    def key(self, thing: Thing) -> float:
        """What a thing is sorted by, the smaller the earlier in the list; things without a time are alike."""
        stamp = thing.get(self.stamp)
        if isinstance(stamp, bool) or not isinstance(stamp, int | float):
            return 0.0
        return -float(stamp) if self.newest_first else float(stamp)


def query_of(family: str, text: str) -> Query | None:
    """What the text behind the `?` asks for; None where OpenAI itself had better say what it thinks of it."""
    rule = rule_of(family)
    ours: dict[str, str] = {}
    filters: list[str] = []
    stamp = rule.stamp
    for part in text.split("&") if text else ():
        name, _, value = part.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        if name in {"limit", "after"} or (name == "before" and rule.before) or (name == "order" and rule.orders):
            if name in ours:
                return None
            ours[name] = value
            continue
        if name == "order_by" and family == "eval":
            if value not in {"created_at", "updated_at"}:
                return None
            stamp = value
        filters.append(part)
    limit, order = ours.get("limit", str(rule.default)), ours.get("order", "desc" if rule.newest_first else "asc")
    cursors = [ours[name] for name in ("after", "before") if name in ours]
    if (
        _NUMBER.fullmatch(limit) is None
        or not 1 <= int(limit) <= (rule.most or 1_000_000)
        or order not in {"asc", "desc"}
        or any(_ID.fullmatch(cursor) is None for cursor in cursors)
    ):
        return None
    return Query(
        limit=int(limit),
        newest_first=order == "desc",
        after=ours.get("after"),
        before=ours.get("before"),
        filters="&".join(filters),
        stamp=stamp,
        orders=rule.orders,
        page=rule.page,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """How far one domain's things were taken."""

    last: str | None
    """Id of the last one; None: none yet."""
    key: float = 0.0
    recent: tuple[str, ...] = ()
    """Ids of the last ones, `last` among them."""
    more: bool = True
    """There was more then."""

    def has_passed(self, thing: Thing, query: Query) -> bool:
        """Whether a thing stood before this place."""
        return query.key(thing) < self.key or thing["id"] in self.recent


@dataclass(slots=True)
class Share:
    """One domain's part of a list, as it is read. Mutable state: what has come, what was taken."""

    domain: str
    place: Place = Place(None)
    cursor: str | None = None
    """Ask for what comes after this one."""
    waiting: deque[Thing] = field(default_factory=deque)
    ended: bool = False
    passing: Place | None = None
    """It is read from its beginning again, because this place's thing is gone; what stood before it is left out."""
    lost: bool = False
    """Nobody of the domain answers."""

    @classmethod
    def at(cls, domain: str, place: Place | None) -> "Share":
        """The part from this place on."""
        return cls(domain) if place is None else cls(domain, place, place.last)

    @property
    def is_dry(self) -> bool:
        """It has to be asked before anybody knows what comes next."""
        return not self.waiting and not self.ended and not self.lost

    @property
    def has_more(self) -> bool:
        return bool(self.waiting) or not self.ended

    def again(self) -> bool:
        """The upstream does not know its cursor any more: begin anew and pass by what was taken. False if it does so already."""
        if self.cursor is None or self.passing is not None:
            return False
        self.cursor, self.passing, self.ended = None, self.place, False
        return True

    def came(self, things: Iterable[Thing], query: Query, *, has_more: bool) -> None:
        """A page of it."""
        page = list(things)
        if page and page[-1]["id"] == self.cursor:  # it knows no cursors: what it had it has given
            self.ended = True
            return
        if self.cursor is not None and self.passing is None and any(t["id"] in self.place.recent for t in page):
            self.again()  # a cursor that is not known was ignored
        self.ended = not (has_more and page)
        if page:
            self.cursor = page[-1]["id"]
        if self.passing is not None:
            while page and self.passing.has_passed(page[0], query):
                page.pop(0)
            if page:
                self.passing = None
        self.waiting.extend(thing for thing in page if thing["id"] not in self.place.recent)

    def take(self, query: Query) -> Thing:
        """The next of its things."""
        thing = self.waiting.popleft()
        recent = (*self.place.recent[-RECENT + 1 :], thing["id"])
        self.place = Place(thing["id"], query.key(thing), recent)
        return thing

    @property
    def reached(self) -> Place:
        """For the next page."""
        return replace(self.place, more=self.has_more)


def first_of(shares: Collection[Share], query: Query) -> Share | None:
    """Whose next thing comes next; None when nobody has any."""
    ready = [share for share in shares if share.waiting]
    if not ready:
        return None
    if query.newest_first:  # of equal ones the last name first, so that a list is the other way round exactly turned
        ready.sort(key=lambda share: share.domain, reverse=True)
    else:
        ready.sort(key=lambda share: share.domain)
    return min(ready, key=lambda share: query.key(share.waiting[0]))


class Places:
    """Where pages ended. Mutable state; the longest unused goes first."""

    def __init__(self, most: int = MOST_PLACES) -> None:
        self._known: OrderedDict[tuple[str, str, bool, str], dict[str, Place]] = OrderedDict()
        self._most = most
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def after(self, path: str, query: Query) -> Mapping[str, Place] | None:
        """The places by domain at which the page ended whose last thing is the cursor."""
        if query.after is None:
            return {}
        name = (path, query.filters, query.newest_first, query.after)
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
        return found

    def keep(self, path: str, query: Query, last: str, places: Mapping[str, Place]) -> None:
        """A page ended with this id."""
        name = (path, query.filters, query.newest_first, last)
        self._count += len(places) - len(self._known.pop(name, ()))
        self._known[name] = dict(places)
        while self._count > self._most and len(self._known) > 1:
            self._count -= len(self._known.popitem(last=False)[1])
