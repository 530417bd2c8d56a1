"""`simulate` says what the decision says over what the ledger and the vault know, and replays what they recorded."""

import re
import time

from decimal import Decimal

import pytest

from tests.cli.console import run, the_vault
from tests.core.test_replay import request

from codex_manager.config.load import load
from codex_manager.config.paths import Paths
from codex_manager.core.decision import choose
from codex_manager.core.persist import Mark
from codex_manager.core.routing import Choice, Facts
from codex_manager.core.session import told_key
from codex_manager.core.state import State
from codex_manager.ledger import Ledger, MarksKept, Reader
from codex_manager_cli import known_state
from codex_manager_cli.known_state import Kept, candidates_of, overlaid, policy_of, state_now


MODEL = "gpt-4o"


@pytest.fixture
def everyone(accounts):
    Paths.locate().make_dirs()
    return accounts


def written(*records, marks=(), domains=()):
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        for each in records:
            ledger.record(each)
        for account_id, organization in domains:
            ledger.learn_domain(account_id, organization, "proj")
        if marks:
            ledger.write(MarksKept(marks))


def mark(kind, key, detail, seconds, edition=""):
    return Mark(kind, key, detail, time.time() + seconds, seconds, 1, edition)


def test_it_prints_what_the_decision_returned(everyone):
    work, personal = everyone["Work"], everyone["Personal"]
    with the_vault() as vault:
        vault.edit("Client", enabled=False)
    written(
        marks=[
            mark("scope", f"org-work/{f'account:{work.id}'}", f"={MODEL}", 300),
            mark("exclusion", personal.id, "o3", 600),
        ]
    )
    told = run("simulate", "--model", MODEL, "--json").json
    assert told["chosen"] == {
        "account": "Personal",
        "account_id": personal.id,
        "by": "only",
        "layer": None,
        "clouds": 0,
    }
    assert {(each["account"], each["obstacle"]) for each in told["out"]} == {("Client", "disabled"), ("Work", "rate")}
    page = run("simulate", "--model", MODEL).out
    assert "-> Personal, only: no other account can serve" in page
    assert re.search(r"Work +rate limited +until .*, [45] m( \d+ s)? later", page)
    assert re.search(r"Client +disabled +-", page)
    assert re.search(r"Personal +no access to this model +until .*, (9|10) m", run("simulate", "--model", "o3").out)


def test_the_same_call_gives_the_same(everyone):
    """`simulate` and a call of core.decision with the same state agree, whatever the strategy."""
    config, kept = load(Paths.locate()), Kept(list(everyone.values()))
    written()
    for strategy in ("least_utilized", "round_robin", "priority", "sticky"):
        told = run("simulate", "--model", MODEL, "--session", "s", "--strategy", strategy, "--json").json
        wall, now = time.time(), time.monotonic()
        with the_vault() as vault, Reader.open(Paths.locate().ledger_file) as reader:
            kept = Kept(vault.accounts())
            state = state_now(config, kept, reader, wall, now)
        facts = Facts(
            model=MODEL, access=MODEL, tokens=1000, session=told_key("default", MODEL, {"x-codex-manager-session": "s"})
        )
        expected = choose(facts, candidates_of(config, kept.accounts), state, policy_of(config, None, strategy), now)
        assert isinstance(expected, Choice)
        assert (told["chosen"]["account"], told["chosen"]["by"]) == (expected.candidate.account.label, expected.by)
        assert told["request"]["conversation"] == facts.session
        assert len(told["others"]) == 2


def test_limits_are_held_against_what_the_ledger_counted(everyone):
    with the_vault() as vault:
        for each in everyone.values():
            vault.edit(each.label, daily_limit_usd=5.0)
    written(*(record_of(each, "6") for each in everyone.values()))
    outcome = run("simulate", "--model", MODEL, "--tokens", "100000")
    assert "may cost up to about $" in outcome.out
    assert "-> no account can serve" in outcome.out
    assert "daily limit of $5.00 reached, $6.00 spent" in outcome.out
    told = run("simulate", "--model", MODEL, "--json").json
    assert (told["chosen"], told["soonest"]) == (None, None)  # nobody waits for a limit to turn


def test_what_the_client_may_not_is_said_before_an_account_is_named(everyone):
    with the_vault() as vault:
        vault.add_client_key("ci", models=("o3*",))
    assert (
        "-> refused before an account is asked: the client may use only o3*"
        in run("simulate", "--model", MODEL, "--client", "ci").out
    )
    assert run("simulate", "--model", "o3-mini", "--client", "ci", "--json").json["refused"] is None
    assert "there is no client key 'nobody'" in run("simulate", "--client", "nobody").err


def test_what_a_running_proxy_tells_is_laid_over_what_is_kept(everyone):
    work = everyone["Work"]
    state = known_state.accounts_of(State(), everyone.values(), None)
    domain = state.accounts[work.id].domain
    status = {
        "accounts": [
            {"id": "gone", "in_flight": 1},
            {"id": work.id, "in_flight": 3, "models": [{"model": MODEL, "used": 0.75, "retry_at": "1970-01-01T00:01:43Z"}]},
        ]
    }  # fmt: skip
    overlaid(state, status, wall=100.0, now=7.0)
    scope = state.scope(domain, MODEL)
    assert state.accounts[work.id].in_flight == 3
    assert scope.capacity.used(7.0) == pytest.approx(0.75)
    assert scope.cooling.until == 10.0
    overlaid(state, {}, wall=100.0, now=7.0)


def record_of(account, usd, seconds_ago=0.0, **fields):
    record = request(0, ("x", ""), time=time.time() - seconds_ago, cost=Decimal(usd), model=MODEL)
    return fields_of(record, account, **fields)


def fields_of(record, account, **fields):
    import dataclasses

    attempts = tuple(dataclasses.replace(each, account_id=account.id, label=account.label) for each in record.attempts)
    values = {"account_id": account.id, "account": account.label, "attempts": attempts, "strategy": "priority"} | fields
    return dataclasses.replace(record, **values)


def test_a_replay_lays_both_pictures_side_by_side(everyone):
    work = everyone["Work"]
    with the_vault() as vault:
        vault.edit("Personal", priority=9)
    written(*(record_of(work, "0.50", seconds_ago=60 * i, session=f"{i % 5:064x}") for i in range(40)))
    told = run("simulate", "--replay", "2h", "--strategy", "priority", "--json").json
    assert told["requests"] == 40
    assert told["was"] == {"strategies": ["priority"], "usd": 20.0, "failovers": 0, "errors": 0}
    assert told["would_be"] == {"strategy": "priority", "usd": 20.0, "failovers": 0, "errors": 0}
    by_name = {each["account"]: (each["was"]["requests"], each["would_be"]["requests"]) for each in told["accounts"]}
    assert by_name == {"Work": (40, 0), "Personal": (0, 40)}
    assert told["not_known"]["nobody_asked"] == 40
    outcome = run("simulate", "--replay", "2h", "--strategy", "priority")
    assert re.search(r"Work +40 +- +20\.0000 +0\.0000 +- +-", outcome.out)
    assert re.search(r"total +40 +40 +20\.0000 +20\.0000", outcome.out)
    assert "40 requests would have gone to an account that nobody asked at about that time" in outcome.err
    assert "had read from a prompt cache and would have been where it is not: up to $" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["--replay", "1x"], 2, "--replay takes a time up to 31d, such as 30m, 1h, 2d, not '1x'"),
        (["--replay", "0h"], 2, "--replay takes a time"),
        (["--replay", "999d"], 2, "--replay takes a time"),
        (["--replay", "1h", "--model", "x"], 2, "--replay takes no --model"),
        (["--replay", "1h"], 1, "nothing was recorded yet, so there is nothing to replay"),
    ],
)
def test_what_cannot_be_replayed_is_one_sentence(everyone, arguments, status, error):
    outcome = run("simulate", *arguments)
    assert (outcome.status, outcome.out) == (status, "")
    assert error in outcome.err


def test_without_accounts_or_requests_it_says_so(master_key, isolated_home):
    assert "no vault yet" in run("simulate").err


def test_an_hour_without_requests_has_nothing_to_replay(everyone):
    written(record_of(everyone["Work"], "1", seconds_ago=7200))
    assert "no request was recorded in this time" in run("simulate", "--replay", "30m").err
