"""What answers teach of an account's organization outlives the proxy, and an edit of the account ends it."""

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.core.state import State
from codex_manager.ledger import Domain
from codex_manager.proxy.domains import Domains, project_in


LEARNED = 1_800_000_000.0  # 2027-01-15
BEFORE, AFTER = "2027-01-14T00:00:00Z", "2027-01-16T00:00:00Z"


def account(**fields) -> Account:
    return Account(id="id-1", label="work", api_key=Secret("sk-1"), updated_at=BEFORE).replace(**fields)


def recalled(kept: Domain, **fields) -> str:
    state, edited = State(), account(**fields)
    state.add(edited)
    domains = Domains({"id-1": kept}, lambda *_: None)
    domains.recall(edited, state)
    return state.accounts["id-1"].domain


@pytest.mark.parametrize(
    ("kept", "fields", "domain"),
    [
        (Domain("org-a", "proj_a", LEARNED), {}, "org-a/proj_a"),
        (Domain("org-a", None, LEARNED), {}, "org-a/-"),
        (Domain(None, None, LEARNED), {}, "account:id-1"),
        (Domain("org-a", "proj_a", LEARNED), {"updated_at": AFTER}, "account:id-1"),
        (Domain("org-a", "proj_a", LEARNED), {"updated_at": "who knows"}, "org-a/proj_a"),
        (Domain("org-a", "proj_a", LEARNED), {"organization": "org-b", "project": "proj_b"}, "org-b/proj_b"),
        (Domain("org-a", "proj_a", LEARNED), {"organization": "org-a"}, "org-a/proj_a"),
    ],
)
def test_what_was_learned_counts_for_the_key_it_was_learned_with(kept, fields, domain):
    assert recalled(kept, **fields) == domain


def test_an_account_nothing_is_known_of_stays_its_own():
    state = State()
    state.add(account(id="id-2"))
    domains = Domains({}, lambda *_: None)
    domains.recall(account(id="id-2"), state)
    domains.recall(account(id="not in the state"), state)
    assert state.accounts["id-2"].domain == "account:id-2"


def test_only_news_is_written():
    written: list[tuple[str, str, str | None]] = []
    domains = Domains({"id-1": Domain("org-a", "proj_a", LEARNED)}, lambda *learned: written.append(learned))
    for domain in ("org-a/proj_a", "account:id-1", "org-a/account:id-1", "org-b/-", "org-b/-", "org-b/proj_b"):
        domains.noticed("id-1", domain)
    assert written == [("id-1", "org-b", None), ("id-1", "org-b", "proj_b")]


def test_what_an_edit_ended_is_written_anew():
    """Even where the new key belongs to the same organization: it was learned later than the edit."""
    written: list[tuple[str, str, str | None]] = []
    state, edited = State(), account(updated_at=AFTER)
    state.add(edited)
    domains = Domains({"id-1": Domain("org-a", "proj_a", LEARNED)}, lambda *learned: written.append(learned))
    domains.recall(edited, state)
    domains.noticed("id-1", "org-a/proj_a")
    assert written == [("id-1", "org-a", "proj_a")]


@pytest.mark.parametrize(
    ("domain", "project"),
    [("org-a/proj_a", "proj_a"), ("org-a/-", None), ("org-a/account:id", None), ("account:id", None)],
)
def test_the_project_of_a_domain(domain, project):
    assert project_in(domain) == project
