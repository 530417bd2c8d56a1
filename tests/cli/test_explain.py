"""`explain` over a real ledger: the decision in words, what happened, what it cost, and a cure for an id nobody knows."""

import datetime as dt
import time

import pytest

from tests.cli.console import run, stored
from tests.core.telling.recorded import HOME, ID, OLD, WORK, record

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.ledger import Ledger
from codex_manager.vault.store import new_account


NOW = float(int(time.time()))


def written(*records):
    Paths.locate().make_dirs()
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        for each in records:
            ledger.record(each)


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
