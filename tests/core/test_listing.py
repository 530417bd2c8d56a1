"""Whatever lies where, a merged list walked page by page tells everything once, in one order."""

import random

from itertools import count
from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from codex_manager.core.listing import Place, Places, Query, Share, first_of, query_of, rule_of
from codex_manager.core.resources import FAMILIES


class Upstream:
    """One domain's list, as OpenAI gives it: a cursor that is gone is refused, or ignored."""

    def __init__(self, times: list[int], numbers: count, domain: str) -> None:
        self.things: list[dict[str, Any]] = [{"id": f"{domain}{next(numbers)}", "created_at": time} for time in times]

    def page(self, query: Query, after: str | None, limit: int) -> tuple[list[dict[str, Any]], bool] | None:
        listed = sorted(self.things, key=lambda thing: thing["created_at"])
        if query.newest_first:
            listed.reverse()
        names = [thing["id"] for thing in listed]
        if after is not None and after not in names:
            return None
        start = 0 if after is None else names.index(after) + 1
        return listed[start : start + limit], start + limit < len(listed)


def fill(shares, upstreams, query, limit) -> None:
    while dry := [share for share in shares if share.is_dry]:
        for share in dry:
            found = upstreams[share.domain].page(query, share.cursor, limit)
            if found is None:
                assert share.again()
                continue
            share.came(found[0], query, has_more=found[1])


def page_after(upstreams, query, places, out=()) -> tuple[list[str], dict[str, Place], bool]:
    shares = [Share.at(domain, places.get(domain)) for domain in upstreams]
    for share in shares:
        share.lost = share.domain in out
    page: list[str] = []
    while len(page) < query.limit:
        fill(shares, upstreams, query, query.limit)
        first = first_of(shares, query)
        if first is None:
            break
        page.append(first.take(query)["id"])
    return page, {**places, **{s.domain: s.reached for s in shares if s.place.recent}}, any(s.has_more for s in shares)


TIMES = st.lists(st.integers(0, 4), max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    times=st.dictionaries(st.sampled_from("abcd"), TIMES, min_size=1),
    limit=st.integers(1, 12),
    newest_first=st.booleans(),
    seed=st.integers(0, 2**32),
    trouble=st.sampled_from(["none", "delete", "create", "out", "all"]),
)
def test_everything_that_is_there_all_the_time_is_told_exactly_once(times, limit, newest_first, seed, trouble):
    rng, numbers = random.Random(seed), count()
    upstreams = {domain: Upstream(of_domain, numbers, domain) for domain, of_domain in times.items()}
    stays = {thing["id"] for each in upstreams.values() for thing in each.things}
    query = Query(limit=limit, newest_first=newest_first)
    told: list[str] = []
    places: dict[str, Place] = {}
    for _ in range(200):
        out = {rng.choice(list(upstreams))} if trouble in {"out", "all"} and rng.random() < 0.4 else set()
        page, places, more = page_after(upstreams, query, places, out)
        told += page
        if not more:
            break
        for upstream in upstreams.values():
            if trouble in {"delete", "all"} and upstream.things and rng.random() < 0.5:
                stays.discard(upstream.things.pop(rng.randrange(len(upstream.things)))["id"])
            if trouble in {"create", "all"} and rng.random() < 0.3:
                upstream.things.append({"id": f"new{next(numbers)}", "created_at": rng.choice([0, 2, 4, 9])})
    else:
        raise AssertionError("no end")
    assert len(told) == len(set(told))
    assert stays <= set(told)
    if trouble == "none":
        key = {thing["id"]: thing["created_at"] for each in upstreams.values() for thing in each.things}
        assert [key[name] for name in told] == sorted((key[name] for name in told), reverse=newest_first)


@settings(max_examples=20, deadline=None)
@given(times=st.dictionaries(st.sampled_from("abcd"), TIMES, min_size=1))
def test_backwards_is_exactly_the_other_way_round(times):
    numbers = count()
    upstreams = {domain: Upstream(of_domain, numbers, domain) for domain, of_domain in times.items()}
    down, _, _ = page_after(upstreams, Query(limit=100, newest_first=True), {})
    up, _, _ = page_after(upstreams, Query(limit=100, newest_first=False), {})
    assert down == up[::-1]


def test_an_ignored_cursor_is_noticed_by_what_was_told_before():
    query = Query(limit=2, newest_first=True)
    things = [{"id": name, "created_at": time} for name, time in (("x3", 3), ("x2", 2), ("x1", 1))]
    share = Share.at("x", Place("x3", -3.0, ("x3",)))
    share.came(things, query, has_more=False)
    assert [thing["id"] for thing in share.waiting] == ["x2", "x1"]


@pytest.mark.parametrize(
    ("family", "text", "expected"),
    [
        ("file", "", (10_000, True, None, "")),
        ("file", "limit=10000&order=asc", (10_000, False, None, "")),
        ("file", "limit=10001", None),
        ("batch", "limit=100&after=batch_1", (100, True, "batch_1", "")),
        ("batch", "limit=101", None),
        ("batch", "order=asc", (20, True, None, "order=asc")),
        ("fine_tuning_job", "limit=5000&metadata[k]=v%20w", (5000, True, None, "metadata[k]=v%20w")),
        ("chat_completion", "model=gpt-4o", (20, False, None, "model=gpt-4o")),
        ("eval", "order_by=updated_at", (20, False, None, "order_by=updated_at")),
        ("eval", "order_by=size", None),
        ("video", "limit=0", None),
        ("file", "limit=%31", (1, True, None, "")),
        ("file", "limit=1&limit=1", None),
        ("file", "limit=+1", None),
        ("file", "limit=", None),
        ("file", "order=", None),
        ("file", "order=ASC", None),
        ("file", "after=", None),
        ("file", "after=..%2Fmodels", None),
        ("file", "before=file-1", (10_000, True, None, "before=file-1")),
        ("file", "limit=" + "9" * 5000, None),
    ],
)
def test_a_query_is_read_as_openai_reads_it(family, text, expected):
    query = query_of(family, text)
    found = query and (query.limit, query.newest_first, query.after, query.filters)
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([family.name for family in FAMILIES if family.merged]), st.text(max_size=60))
def test_no_query_breaks_it(family, text):
    query = query_of(family, text)
    assert query is None or 1 <= query.limit <= (rule_of(family).most or 1_000_000)


def test_a_question_to_an_account_keeps_filters_and_names_order_and_cursor():
    query = query_of("vector_store", "limit=5&include[]=a%26b&order=asc&after=vs_1")
    assert query is not None
    assert (
        query.target("/v1/vector_stores", "vs_9", 7) == "/v1/vector_stores?include[]=a%26b&limit=7&order=asc&after=vs_9"
    )
    batches = query_of("batch", "")
    assert batches is not None
    assert batches.target("/v1/batches", None, 20) == "/v1/batches?limit=20"


def test_things_without_a_time_are_alike():
    query = Query(limit=1, newest_first=True)
    assert {query.key(thing) for thing in ({}, {"created_at": None}, {"created_at": "x"}, {"created_at": True})} == {
        0.0
    }


def test_places_are_bounded_and_the_longest_unused_goes():
    places = Places(most=10)
    query = Query(limit=1, newest_first=True)
    for number in range(20):
        places.keep("/v1/files", query, f"file-{number}", {"a": Place(f"file-{number}"), "b": Place(None)})
    assert len(places) <= 10

    def after(name):
        return places.after("/v1/files", Query(limit=9, newest_first=True, after=name))

    assert after("file-0") is None
    assert after("file-19")["a"].last == "file-19"
    assert places.after("/v1/files", query) == {}
    assert places.after("/v1/batches", Query(limit=1, newest_first=True, after="file-19")) is None
    assert places.after("/v1/files", Query(limit=1, newest_first=True, after="file-19", filters="purpose=x")) is None
    after("file-15")
    places.keep("/v1/files", query, "file-20", {"a": Place("file-20"), "b": Place(None)})
    assert after("file-15") is not None
    assert after("file-16") is None
