"""What is remembered, under which key, and that everything taken is given back."""

import random

import pytest

from codex_manager.core import marks
from codex_manager.core.account import Account
from codex_manager.core.failure import FailureClass, Verdict
from codex_manager.core.hints import Hint
from codex_manager.core.resources import Learned, Reference
from codex_manager.core.secret import Secret
from codex_manager.core.state import MOST_SCOPES, State


PLACE = "https://api.openai.com:443"


def account(name, **fields):
    return Account(id=name, label=name, api_key=Secret("sk-" + name), **fields)


def begin(state, who, now=0.0, model="gpt-4o", **more):
    return state.begin(who, PLACE, model, 10, now, **more)


def test_until_it_is_known_an_account_is_its_own_domain():
    state = State()
    assert state.add(account("a")).domain == "account:a"
    assert state.add(account("b", organization="org-1", project="proj-1")).domain == "org-1/proj-1"
    assert state.add(account("c", organization="org-1")).domain == "org-1/account:c"


def test_what_was_noted_moves_with_the_account_to_its_domain():
    state, one, two = State(), account("a"), account("b")
    for who in (one, two):
        state.add(who)
    begin(state, one)
    state.scope("account:a", "gpt-4o").cooling.refuse(30.0, began=0.0, now=0.0)
    state.purse("account:a").refuse(300.0, began=0.0, now=0.0)
    state.learn_domain(state.accounts["b"], "org-1", "proj-1")
    state.scope("org-1/proj-1", "gpt-4o")
    state.learn_domain(state.accounts["a"], "org-1", "proj-1")
    assert state.scopes["org-1/proj-1", "gpt-4o"].cooling.until == 30.0
    assert state.purses["org-1"].until == 300.0
    assert ("account:a", "gpt-4o") not in state.scopes


def test_things_move_with_the_last_account_that_could_say_they_live_there():
    state = State()
    for who in (account("a", organization="org", project="wrong"), account("b", organization="org", project="wrong")):
        state.add(who)
    state.owners.note([Learned("file-1", "files", True)], "org/wrong", "a", 0.0)
    state.learn_domain(state.accounts["a"], "org", "right")
    assert state.owners.of([Reference("file-1", "files", "body")]).domain == "org/wrong"
    state.learn_domain(state.accounts["b"], "org", "right")
    assert state.owners.of([Reference("file-1", "files", "body")]).domain == "org/right"


def test_conversations_of_a_removed_account_are_not_at_home_anywhere():
    state = State()
    for name in "ab":
        state.add(account(name))
        state.bindings.chosen(f"session of {name}", name, f"account:{name}", 0.0)
    state.retain(["a"])
    assert state.bindings.get("session of a", 1.0) is not None
    assert state.bindings.get("session of b", 1.0) is None


def test_an_answer_that_names_no_project_takes_nothing_back():
    state = State()
    standing = state.add(account("a"))
    for project, domain in ((None, "org/-"), ("proj", "org/proj"), (None, "org/proj"), ("other", "org/other")):
        state.learn_domain(standing, "org", project)
        assert standing.domain == domain


def test_a_lease_gives_back_everything_once():
    state, who = State(), account("a")
    state.add(who)
    lease = begin(state, who)
    assert (state.in_flight(), lease.scope.capacity.in_flight, lease.scope.capacity.reserved_tokens) == (1, 1, 10)
    assert state.end(lease) is True
    assert state.end(lease) is False
    assert (state.in_flight(), lease.scope.capacity.in_flight, lease.scope.capacity.reserved_tokens) == (0, 0, 0)


def test_a_probes_lease_ends_with_the_request():
    state, who = State(), account("a")
    state.add(who)
    state.scope("account:a", "gpt-4o").cooling.refuse(1.0, began=0.0, now=0.0)
    lease = begin(state, who, now=5.0)
    cooling = state.scope("account:a", "gpt-4o").cooling
    assert not cooling.admits(5.0)
    state.end(lease)
    assert cooling.admits(5.0)


def test_a_free_call_takes_neither_turn_nor_probe():
    state, who = State(), account("a")
    state.add(who)
    state.scope("account:a", None).cooling.refuse(1.0, began=0.0, now=0.0)
    begin(state, who, now=5.0, model=None, free=True)
    assert state.scope("account:a", None).cooling.admits(5.0)
    assert state.accounts["a"].turn == 0.0


def test_a_forgotten_account_leaves_nothing_behind():
    state, who = State(), account("a")
    state.add(who)
    lease = begin(state, who)
    state.exclude("a", "gpt-4o", 100.0, 0.0)
    state.purse("account:a").refuse(300.0, began=0.0, now=0.0)
    state.retain([])
    assert (state.accounts, state.scopes, state.exclusions, state.purses) == ({}, {}, {}, {})
    marks.failed(state, lease, Verdict(failure=FailureClass.AUTH), Hint(None), "", 1.0, random.Random(1))
    assert state.end(lease) is True  # a request that was on its way ends without a trace
    assert state.accounts == {}


def test_models_a_client_makes_up_do_not_fill_the_memory():
    state, who = State(), account("a")
    state.add(who)
    state.scope("account:a", "limited").cooling.refuse(1e6, began=0.0, now=0.0)
    for number in range(3 * MOST_SCOPES):
        state.end(begin(state, who, model=f"made-up-{number}"))
        state.exclude("a", f"made-up-{number}", 1e6, 0.0)
    assert len(state.scopes) <= MOST_SCOPES
    assert len(state.exclusions) <= MOST_SCOPES
    assert ("account:a", "limited") in state.scopes


@pytest.mark.parametrize(("organization", "first"), [(None, "account:a"), ("org-1", "org-1/account:a")])
def test_a_rest_for_want_of_money_is_not_shortened_by_learning_whose_account_it_is(organization, first):
    state = State()
    standing = state.add(Account(id="a", label="a", api_key=Secret("sk"), organization=organization))
    state.purse(first).refuse(3600.0, began=0.0, now=0.0)
    for name in ("org-1", "org-1/proj-1"):
        state.purse(name).refuse(300.0, began=0.0, now=0.0)
    state.learn_domain(standing, "org-1", "proj-1")
    assert max(state.purses[name].until for name in (standing.organization, standing.domain)) == 3600.0
    assert first not in state.purses
