"""Lists as OpenAI gives them: sorted by time, cut by `limit`, from a cursor on, each with the parameters its reference names.

Strict where the reference is: a limit out of range and an order that is none are refused, and so is a cursor that names nothing
in this list. Things of the same second stand in the order in which they were made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.reply import Reply, json_reply


__all__ = ["Listed", "page"]

type Thing = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How one kind is listed. The defaults are those of most."""

    default: int = 20
    least: int = 1
    most: int = 100
    ordered: bool = True
    """It takes `order`; otherwise the newest come first."""
    newest_first: bool = True
    before: bool = False
    stamp: str = "created_at"
    filters: tuple[str, ...] = ()
    """Fields that must be as the parameter of the same name says."""
    metadata: bool = False
    """It takes `metadata[key]=value`."""
    ends: bool = True
    """It tells `first_id` and `last_id`."""


def page(facts: Facts, things: list[Thing], how: Listed, missing: Callable[[str], Reply]) -> Reply:
    """One page. `things` in the order in which they were made."""
    query = facts.query
    limit = query.get("limit", str(how.default))
    if not limit.isdecimal() or not how.least <= int(limit) <= how.most:
        return errors.error_reply(
            400,
            f"Invalid 'limit': expected an integer from {how.least} to {how.most}, but got {limit!r} instead.",
            code="invalid_value",
            param="limit",
        )
    order = query.get("order", "desc" if how.newest_first else "asc") if how.ordered else "desc"
    if order not in {"asc", "desc"}:
        return errors.error_reply(
            400,
            f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.",
            code="invalid_value",
            param="order",
        )
    stamp = query.get("order_by", how.stamp) if how.stamp == "created_at" else how.stamp
    listed = sorted(things, key=lambda thing: thing.get(stamp) or 0)
    if order == "desc":
        listed.reverse()
    names = [thing["id"] for thing in listed]  # a cursor need not fit the filters
    start, end = 0, len(names)
    after, before = query.get("after"), query.get("before") if how.before else None
    for cursor in (after, before):
        if cursor is not None and cursor not in names:
            return missing(cursor)
    if after is not None:
        start = names.index(after) + 1
    if before is not None:
        end = names.index(before)
    found = [thing for thing in listed[start:end] if _fits(thing, facts, how)]
    shown = found[-int(limit) :] if before is not None and after is None else found[: int(limit)]
    document: Thing = {"object": "list", "data": shown, "has_more": len(shown) < len(found)}
    if how.ends:
        document |= {"first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None}
    return json_reply(document)


def _fits(thing: Thing, facts: Facts, how: Listed) -> bool:
    if any(name in facts.query and thing.get(name) != facts.query[name] for name in how.filters):
        return False
    return not how.metadata or all(
        (thing.get("metadata") or {}).get(name[len("metadata[") : -1]) == value
        for name, value in facts.query.items()
        if name.startswith("metadata[")
    )
