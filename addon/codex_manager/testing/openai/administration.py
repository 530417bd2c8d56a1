"""What an organization's admin key reads: costs and usage by time bucket; and the older dashboard's billing pages.

Amounts and counts are written down by the test (`fake.spent`, `fake.used`, `fake.billing`). Law: strict as the rest —
an ordinary key reads no organization, an admin key runs no model, limits and cursors are checked.
"""

import datetime as dt
import time

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.reply import Reply, json_reply
from codex_manager.testing.step import Good


__all__ = ["KINDS", "Billing", "Books", "Entry", "routes"]

TOKENS = ("input_tokens", "input_cached_tokens", "input_cache_write_tokens", "input_uncached_tokens", "output_tokens",
          "input_text_tokens", "output_text_tokens", "input_cached_text_tokens", "input_audio_tokens",
          "input_cached_audio_tokens", "output_audio_tokens", "input_image_tokens", "input_cached_image_tokens",
          "output_image_tokens", "num_model_requests")  # fmt: skip

KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # path: (object, what is counted, what it may be grouped by)
    "completions": ("completions", TOKENS, ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")),
    "embeddings": ("embeddings", ("input_tokens", "num_model_requests"), ("project_id", "user_id", "api_key_id", "model")),
    "moderations": ("moderations", ("input_tokens", "num_model_requests"), ("project_id", "user_id", "api_key_id", "model")),
    "images": ("images", ("images", "num_model_requests"), ("project_id", "user_id", "api_key_id", "model", "size", "source")),
    "audio_speeches": ("audio_speeches", ("characters", "num_model_requests"), ("project_id", "user_id", "api_key_id", "model")),
    "audio_transcriptions": ("audio_transcriptions", ("seconds", "num_model_requests"), ("project_id", "user_id", "api_key_id", "model")),
    "vector_stores": ("vector_stores", ("usage_bytes",), ("project_id",)),
    "code_interpreter_sessions": ("code_interpreter_sessions", ("num_sessions",), ("project_id",)),
    "file_search_calls": ("file_searches", ("num_requests",), ("project_id", "user_id", "api_key_id", "vector_store_id")),
    "web_search_calls": ("web_searches", ("num_model_requests", "num_requests"), ("project_id", "user_id", "api_key_id", "model", "context_level")),
}  # fmt: skip
WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (86_400, 7, 31)}
"""Seconds, and buckets a page: by default, at most."""
COSTS_AT_MOST = 180


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was used or spent."""

    at: float
    labels: dict[str, Any]
    counts: dict[str, int]
    usd: Decimal = Decimal(0)


@dataclass(slots=True)
class Billing:
    """What the dashboard's pages say of one key, in US dollars."""

    hard_limit: Decimal | None
    spent: list[tuple[float, Decimal]]


@dataclass(slots=True)
class Books:
    """All that was written down; by organization, and for the dashboard by key."""

    costs: dict[str, list[Entry]] = field(default_factory=dict)
    usage: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    billing: dict[str, Billing] = field(default_factory=dict)


def routes(books: Books) -> list[tuple[str, str, Callable[[Facts, Good], Reply]]]:
    """Method, path and function of what an admin key reads, and of the billing pages."""

    def usage(kind: str) -> Callable[[Facts, Good], Reply]:
        return lambda facts, _good: _page(facts, books.usage.get((facts.account.organization, kind), []), kind)

    return [
        ("GET", "/v1/organization/costs", lambda f, _: _page(f, books.costs.get(f.account.organization, []), None)),
        *(("GET", f"/v1/organization/usage/{kind}", usage(kind)) for kind in KINDS),
        ("GET", "/v1/dashboard/billing/subscription", lambda f, _: _subscription(f, books)),
        ("GET", "/v1/dashboard/billing/usage", lambda f, _: _billing_usage(f, books)),
    ]


def _page(facts: Facts, entries: list[Entry], kind: str | None) -> Reply:
    """One page of buckets, of costs when `kind` is None."""
    query = parse_qs(facts.seen.query, keep_blank_values=True)
    start_text = query.get("start_time", [""])[-1]
    if not start_text.isdecimal():
        return errors.missing_parameter("start_time")
    width_name = query.get("bucket_width", ["1d"])[-1]
    if width_name not in WIDTHS or (kind is None and width_name != "1d"):
        return _invalid("bucket_width")
    width, usual, most = WIDTHS[width_name]
    limit_text = query.get("limit", [str(usual)])[-1]
    most = COSTS_AT_MOST if kind is None else most
    if not limit_text.isdecimal() or not 1 <= int(limit_text) <= most:
        return _invalid("limit")
    groups = [name for value in query.get("group_by", []) for name in value.split(",")]
    allowed = ("project_id", "line_item", "api_key_id") if kind is None else KINDS[kind][2]
    if any(name not in allowed for name in groups):
        return _invalid("group_by")
    start = int(start_text) // width * width
    end_text = query.get("end_time", [""])[-1]
    end = int(end_text) if end_text.isdecimal() else int(time.time()) + 1
    first = start
    if page := query.get("page", [""])[-1]:
        number = page.removeprefix("page_")
        if not page.startswith("page_") or not number.isdecimal() or int(number) < start:
            return _invalid("page")
        first = int(number)
    starts = list(range(first, end, width))
    shown, more = starts[: int(limit_text)], len(starts) > int(limit_text)
    projects = set(query.get("project_ids", []) + query.get("project_ids[]", []))
    kept = [entry for entry in entries if not projects or entry.labels.get("project_id") in projects]
    data = [
        {"object": "bucket", "start_time": at, "end_time": min(at + width, end),
         "results": list(_results([e for e in kept if at <= e.at < at + width], kind, groups))}
        for at in shown
    ]  # fmt: skip
    following = f"page_{shown[-1] + width}" if more else None
    return json_reply({"object": "page", "data": data, "has_more": more, "next_page": following})


def _results(entries: list[Entry], kind: str | None, groups: list[str]) -> Iterator[dict[str, Any]]:
    """The sums of a bucket, one for each combination of what it is grouped by; none where nothing happened."""
    by_labels: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in entries:
        by_labels.setdefault(tuple(entry.labels.get(name) for name in groups), []).append(entry)
    for labels, group in by_labels.items():
        named = dict(zip(groups, labels, strict=True))
        if kind is None:
            amount = {"value": float(sum((entry.usd for entry in group), Decimal(0))), "currency": "usd"}
            nothing: dict[str, Any] = dict.fromkeys(
                ("line_item", "project_id", "api_key_id", "quantity", "quantity_unit")
            )
            yield {"object": "organization.costs.result", "amount": amount, **nothing, **named}
        else:
            name, counted, labelled = KINDS[kind]
            sums = {what: sum(entry.counts.get(what, 0) for entry in group) for what in counted}
            yield {"object": f"organization.usage.{name}.result", **sums, **dict.fromkeys(labelled), **named}


def _subscription(facts: Facts, books: Books) -> Reply:
    billing = books.billing.get(facts.account.key)
    if billing is None:
        return _browsers_only(facts)
    limit = float(billing.hard_limit) if billing.hard_limit is not None else None
    return json_reply({
        "object": "billing_subscription", "has_payment_method": True, "soft_limit_usd": limit, "hard_limit_usd": limit,
        "system_hard_limit_usd": limit, "access_until": facts.created + 30 * 86_400,
    })  # fmt: skip


def _billing_usage(facts: Facts, books: Books) -> Reply:
    billing = books.billing.get(facts.account.key)
    if billing is None:
        return _browsers_only(facts)
    try:
        first, after = (_midnight(facts.query[name]) for name in ("start_date", "end_date"))
    except KeyError as error:
        return errors.missing_parameter(str(error.args[0]))
    except ValueError:
        return _invalid("start_date")
    days = [
        {"timestamp": float(day), "line_items": [{"name": "gpt-4o", "cost": _cents(billing, day, day + 86_400)}]}
        for day in range(first, after, 86_400)
    ]
    return json_reply({"object": "list", "total_usage": _cents(billing, first, after), "daily_costs": days})


def _cents(billing: Billing, since: float, until: float) -> float:
    return float(sum((usd for at, usd in billing.spent if since <= at < until), Decimal(0)) * 100)


def _midnight(date: str) -> int:
    return int(dt.datetime.combine(dt.date.fromisoformat(date), dt.time(), dt.UTC).timestamp())


def _browsers_only(facts: Facts) -> Reply:
    message = (
        f"Your request to {facts.method} {facts.path} must be made with a session key (that is, it can only be made from the "
        "browser). You made it with the following key type: secret."
    )
    return errors.error_reply(403, message, code="insufficient_permissions")


def _invalid(name: str) -> Reply:
    return errors.error_reply(400, f"Invalid value for '{name}'.", code="invalid_value", param=name)
