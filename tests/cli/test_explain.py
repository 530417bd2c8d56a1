"""`explain` over a real ledger: the decision in words, what happened, what it cost, and a cure for an id nobody knows."""

import datetime as dt
import time

from decimal import Decimal

import pytest

from tests.cli.console import run, stored

from codex_manager.config.paths import Paths
from codex_manager.core.record import Attempt, Record
from codex_manager.core.routing import Obstacle
from codex_manager.core.secret import Secret
from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger
from codex_manager.vault.store import new_account
from codex_manager_cli import reasons
from codex_manager_cli.explain_story import Story
from codex_manager_cli.explain_view import as_page


WORK, HOME, OLD = (f"{digit * 8}-0000-4000-8000-00000000000a" for digit in "123")
NOW = float(int(time.time()))
NOON = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC).timestamp()
ID = "ab" * 16


def record(name=ID, /, **fields):
    attempts = (
        Attempt(WORK, "work", 0.001, 0.21, 429, "rate", "rate_limit_exceeded", "least_utilized", ((OLD, "disabled", "", None),)),
        Attempt(HOME, "home", 0.212, 0.84, 200, by="only", out=((WORK, "rate", "", NOON + 12.5), (OLD, "disabled", "", None))),
    )  # fmt: skip
    return Record(
        **{
            "id": name, "time": NOON, "client": "default", "method": "POST", "endpoint": "responses", "model": "gpt-5",
            "account_id": HOME, "account": "home", "domain": "org-h/-", "status": 200, "streamed": True, "attempts": attempts,
            "strategy": "least_utilized", "duration_s": 4.2, "first_byte_s": 1.05, "cost": Decimal("0.0123"),
            "usage": Usage(input=1234, cached=1000, output=56, reasoning=20), **fields,
        }
    )  # fmt: skip


def written(*records):
    Paths.locate().make_dirs()
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        for each in records:
            ledger.record(each)


def page(told, zone=dt.UTC, **fields):
    return as_page(Story(told, labels={OLD: "old"}, **fields), NOON + 200, zone)


def test_a_page_tells_the_decision_of_each_attempt_and_what_came_of_it():
    assert (
        page(record(detail={"saved": "0.0045", "stripped": 2}, session="c0ffee" * 8))
        == f"""\
request       {ID}
came          2026-11-18 12:00:00 UTC, 3 m ago
asked         POST responses, gpt-5, streamed; by client default
conversation  c0ffeec0ffeec0ff

1. work, least_utilized: most room left
   old  disabled  -
   -> 429 after 0.21 s: rate limited (rate, rate_limit_exceeded); asked 1 ms after it came

2. home, only: no other account can serve
   work  rate limited  until 12:00:12, 12 s later
   old   disabled      -
   -> 200 after 0.84 s; asked 0.21 s after it came

answer    200 from home
took      4.20 s, its first byte after 1.05 s
used      1,234 tokens in (1,000 of them cached), 56 out (20 of them reasoning)
cost      $0.0123
saved     about $0.0045 by staying where its prompt cache is
stripped  2"""
    )


def test_times_are_those_of_the_readers_clock_with_the_date_where_it_is_another():
    east = dt.timezone(dt.timedelta(hours=11, minutes=59, seconds=50))
    shown = page(record(), east)
    assert "came     2026-11-18 23:59:50" in shown
    assert "until 2026-11-19 00:00:02, 12 s later" in shown


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"estimated": True}, "$0.0123; estimated, because the answer did not say what it used"),
        ({"priced": False}, "the model has no price and counts as the dearest of its family"),
        ({"open": True, "object_id": "resp_1"}, "an estimate until the usage of resp_1 is known"),
        ({"failure": "gone", "status": 0}, "none from home: the client left"),
        ({"failure": "mid_stream"}, "200 from home: the answer broke off"),
        ({"account": None, "account_id": None, "status": 429, "failure": "rate_limit_exceeded", "usage": None, "cost": Decimal(0)},
         "429 of codex-manager's own: rate_limit_exceeded"),
        ({"model": None, "usage": None, "cost": Decimal(0)}, "POST responses, no model"),
        ({"usage": Usage(images=2, seconds=1.5, calls=(("web_search", 3),), tier="flex")}, "2 images; 1.5 s of sound or video; 3 web_search; tier flex"),
        ({"model": "x\x1b[31m\u202e\ny"}, "x\ufffd[31m\ufffd\ufffdy, streamed"),
        ({"detail": {"saved": "much"}}, "cost"),
        ({"detail": {"out": [[WORK, "billing", "", NOON + 300], [OLD, "limit", "daily limit of $20.00 reached", NOON]]}},
         ("no account could serve\n   work  out of credit                  until 12:05:00, 5 m later\n"
         "   old   daily limit of $20.00 reached  -")),
    ],
)  # fmt: skip
def test_what_is_special_about_a_request_is_said(fields, expected):
    assert expected in page(record(**fields))


def test_every_obstacle_has_words_and_one_of_a_newer_version_is_shown_as_it_is():
    for obstacle in Obstacle:
        assert obstacle.value in reasons.AGAINST, obstacle
    assert reasons.out_words(reasons.Out(WORK, "moon_phase", "full", None)) == "moon phase (full)"
    assert reasons.why("coin") == "coin"
    assert reasons.layer_of("owner") == "ownership"
    assert reasons.layer_of("sticky") == "affinity"


def test_by_id_by_its_beginning_and_the_last_one(isolated_home):
    lost = record(f"{ID}-2", time=NOW, detail={"attempt_of": ID}, account_id=WORK, account="work", estimated=True)
    written(record("cd" * 16, time=NOW - 60), record(time=NOW), lost)
    for arguments in ([ID], ["abab"], [f"  {ID[:10].upper()} "], ["--last"]):
        outcome = run("explain", *arguments)
        assert outcome.status == 0, outcome.err
        assert outcome.out.startswith(f"request  {ID}\n")
        assert "lost    $0.0123 booked for the attempt with work, estimated" in outcome.out
    assert run("explain", "cd").out.startswith(f"request  {'cd' * 16}")


def test_json_has_all_of_it(isolated_home):
    written(record(time=NOW, detail={"saved": 0.5, "x": 1}))
    told = run("explain", ID, "--json").json
    assert (told["id"], told["time"], told["cost_usd"], told["saved_usd"]) == (
        ID, dt.datetime.fromtimestamp(NOW, dt.UTC).isoformat(timespec="milliseconds"), 0.0123, 0.5,
    )  # fmt: skip
    assert [(a["account"], a["layer"], a["failure"]) for a in told["attempts"]] == [
        ("work", "strategy", "rate"), ("home", None, None),
    ]  # fmt: skip
    assert told["attempts"][1]["out"][0] == {
        "account": "work", "account_id": WORK, "obstacle": "rate", "detail": None, "until": "2026-11-18T12:00:12.500000+00:00",
    }  # fmt: skip
    assert told["detail"] == {"x": 1}
    assert told["usage"]["cached_tokens"] == 1000


def test_whoever_could_have_served_is_named_where_the_vault_opens(isolated_home, master_key):
    spare = new_account("spare", Secret("sk-spare-0123456789abcdef"))
    stored(spare, spare.replace(id=OLD, label="old"), spare.replace(id=HOME, label="home"))
    written(record(time=time.time() + 5))
    assert "spare  could have served, too  -" in run("explain", ID).out
    written(record("ee" * 16, time=NOW - 86_400))
    assert "spare" not in run("explain", "ee").out  # it was not there yet


def test_the_answers_on_one_websocket_are_told_together(isolated_home):
    written(*(record(f"{ID}.{i}", time=NOW + i, websocket=True) for i in (1, 2)))
    assert [line for line in run("explain", ID).out.splitlines() if line.startswith("request")] == [
        f"request  {ID}.1", f"request  {ID}.2",
    ]  # fmt: skip
    assert run("explain", f"{ID}.2", "--json").json["websocket"] is True


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["nothing"], 1, "no request 'nothing' is recorded in "),
        (["nothing"], 1, "kept for 90 days (`metering.retention_days`), the oldest here is of 20"),
        (["nothing"], 1, "another CODEX_MANAGER_HOME has a ledger of its own"),
        (["a"], 1, "several requests begin so: "),
        ([""], 1, "no request '' is recorded"),
        ([], 2, "give the id of a request, or --last"),
        (["a", "--last"], 2, "give the id of a request, or --last"),
    ],
)
def test_an_id_nobody_knows_is_one_sentence_and_its_cure(isolated_home, arguments, status, error):
    written(record(time=NOW), record("ac" * 16, time=NOW))
    outcome = run("explain", *arguments)
    assert (outcome.status, outcome.out) == (status, "")
    assert error in outcome.err


def test_without_a_ledger_it_says_so(isolated_home):
    assert "nothing was recorded yet" in run("explain", "--last").err
