"""A conversation is known by what its harness says of it, and keeps its home."""

import json

from collections import Counter

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.core.session import affinity, closest, session_key, told_key


def key(body=None, headers=None, client="default", model="gpt-4o"):
    return session_key(client, model, headers or {}, json.dumps(body).encode() if body is not None else b"")


def chat(*users, system="You are helpful."):
    return {"messages": [{"role": "system", "content": system}, *({"role": "user", "content": u} for u in users)]}


def test_the_first_that_is_there_counts():
    """Our header, then prompt_cache_key, then the harness, then metadata, then the fingerprint."""
    body = {"prompt_cache_key": "p", "metadata": {"session_id": "m"}, **chat("hi")}
    headers = {"x-codex-manager-session": "own", "session_id": "harness"}
    without_cache_key = {name: value for name, value in body.items() if name != "prompt_cache_key"}
    assert key(body, headers) == key({}, {"x-codex-manager-session": "own"})
    assert key(body, {"session_id": "harness"}) == key({"prompt_cache_key": "p"})
    assert key(without_cache_key, {"session-id": "harness"}) == key({}, {"thread-id": "harness"})
    assert key(without_cache_key) == key({"metadata": {"session_id": "m"}})
    assert len({key(body, headers), key(body), key(without_cache_key, {"session_id": "s"}), key(chat("hi"))}) == 4


def test_what_is_told_needs_no_body_and_makes_the_same_key():
    assert told_key("default", "gpt-4o", {}, None) is None
    assert told_key("default", "gpt-4o", {}, "p") == key({"prompt_cache_key": "p", **chat("hi")})
    headers = {"session_id": "harness", "x-codex-manager-session": "own"}
    assert told_key("default", "gpt-4o", headers, "p") == key({"prompt_cache_key": "p"}, headers)
    assert told_key("default", "gpt-4o", {"session_id": "h"}, "p") == told_key("default", "gpt-4o", {}, "p")
    assert told_key("default", "gpt-4o", {"session_id": "h"}) == key(chat("hi"), {"session_id": "h"})


def test_later_turns_belong_to_the_same_conversation():
    assert key(chat("hello")) == key(chat("hello", "and then?"))
    assert key({"input": "hello", "instructions": "x"}) == key({"input": "hello", "instructions": "x"})


@pytest.mark.parametrize(
    "other",
    [
        chat("hello!"),
        chat("hello", system="You are strict."),
        {**chat("hello"), "tools": [{"type": "function", "function": {"name": "look"}}]},
        {"input": [{"role": "user", "content": "hello"}]},
    ],
)
def test_another_beginning_is_another_conversation(other):
    assert key(other) != key(chat("hello"))


def test_clients_and_models_are_kept_apart():
    assert len({key(chat("a")), key(chat("a"), client="b"), key(chat("a"), model="o3")}) == 3


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[1,2]", b'"text"', b'{"messages": 3}', b'{"messages": [1, null]}', b"[" * 100_000]
)
def test_what_cannot_be_read_has_no_session(body):
    assert session_key("c", None, {}, body) is None


def test_homes_are_spread_by_weight_and_stay_when_another_account_goes():
    accounts = {"a": 1.0, "b": 1.0, "c": 2.0}

    def home(session, among):
        return max(among, key=lambda name: affinity(session, name, accounts[name]))

    sessions = [f"session {number}" for number in range(4000)]
    homes = {session: home(session, accounts) for session in sessions}
    shares = Counter(homes.values())
    assert 850 < shares["a"] < 1150
    assert 850 < shares["b"] < 1150
    assert 1850 < shares["c"] < 2150
    without_b = {session: home(session, ["a", "c"]) for session in sessions}
    assert all(without_b[session] == homes[session] for session in sessions if homes[session] != "b")


def test_the_closest_is_the_one_it_is_drawn_to_most():
    for weights in ((1.0, 1.0, 1.0), (1.0, 0.5, 3.0)):
        accounts = [
            Account(id=name, label=name, api_key=Secret("k"), weight=w) for name, w in zip("abc", weights, strict=True)
        ]
        for number in range(300):
            session = f"session {number}"
            drawn = [affinity(session, account.id, account.weight) for account in accounts]
            assert closest(session, accounts) == drawn.index(max(drawn))
