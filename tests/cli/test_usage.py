"""`usage` over a real ledger: sums that add up, limits from the vault, gaps told, and a writer that is not disturbed."""

import csv
import datetime as dt
import io
import time

from decimal import Decimal

import pytest

from tests.cli.console import run, terminal, the_vault

from codex_manager.config.paths import Paths
from codex_manager.core.record import Record, Reservation
from codex_manager.core.snapshot import Snapshot, utc_windows
from codex_manager.core.usage import Usage
from codex_manager.ledger import Clerk, Ledger, Reader


WORK, GONE = "00000000-0000-4000-8000-00000000000a", "11111111-0000-4000-8000-00000000000b"


def ledger_file():
    Paths.locate().make_dirs()
    return Paths.locate().ledger_file


def record(number, usd="1", **fields):
    return Record(
        **{
            "id": f"req-{number}", "time": time.time(), "client": "default", "method": "POST", "endpoint": "responses",
            "model": "gpt-5", "account_id": WORK, "account": "Work", "status": 200,
            "usage": Usage(input=1000, cached=100, output=50, reasoning=20), "cost": Decimal(usd), **fields,
        }
    )  # fmt: skip


def written(*records, **how):
    with Ledger.open(ledger_file(), **how) as ledger:
        for each in records:
            ledger.record(each)


@pytest.fixture
def used(isolated_home):
    """Four requests of this moment: two accounts, of which one is gone, two models, two clients."""
    written(
        record(1, "1.25"),
        record(2, "0.75", client="ci", model="o3", estimated=True),
        record(3, "0.50", client="ci", account_id=GONE, account="Old", endpoint="embeddings"),
        record(4, "0", account_id=None, account=None, model=None, usage=None, status=429, failure="no_available_accounts"),
    )  # fmt: skip


def table(outcome):
    return [line.split() for line in outcome.out.split("\n\n")[0].splitlines()]


def test_by_account_names_those_who_are_gone_and_what_reached_none(used):
    rows = table(run("usage"))
    assert rows[0] == ["ACCOUNT", "REQUESTS", "ERRORS", "INPUT", "CACHED", "OUTPUT", "REASONING", "USD", "ESTIMATED"]
    assert rows[1] == ["Work", "2", "-", "2,000", "200", "100", "40", "2.0000", "38", "%"]
    assert [row[0] for row in rows[1:]] == ["Work", "Old", "(none)", "total"]
    assert rows[3][1:3] == ["1", "1"]
    assert rows[4][7] == "2.5000"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--by", "model"], {"gpt-5": 1.75, "o3": 0.75, "(none)": 0.0}),
        (["--by", "client"], {"default": 1.25, "ci": 1.25}),
        (["--by", "endpoint"], {"responses": 2.0, "embeddings": 0.5}),
        (["--by", "model", "--client", "CI"], {"o3": 0.75, "gpt-5": 0.5}),
        (["--by", "model", "--account", "wor"], {"gpt-5": 1.25, "o3": 0.75}),
        (["--by", "account", "--model", "GPT-*"], {"Work": 1.25, "Old": 0.5}),
        (["--by", "client", "--account", GONE], {"ci": 0.5}),
        (["--account", "work", "--client", "ci", "--model", "gpt-5"], {}),
    ],
)
def test_whatever_it_is_by_and_whatever_is_picked_the_dollars_are_right(used, arguments, expected):
    report = run("usage", "--json", *arguments).json
    assert {line["name"]: line["usd"] for line in report["lines"]} == expected
    assert report["total"]["usd"] == sum(expected.values())


def test_csv_is_the_lines_and_nothing_else(used):
    outcome = run("usage", "--csv", "--by", "client")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert {row["client"]: (row["requests"], Decimal(row["usd"])) for row in rows} == {
        "default": ("2", Decimal("1.25")), "ci": ("2", Decimal("1.25")),
    }  # fmt: skip
    assert outcome.err == ""


def test_days_are_those_of_the_users_zone_and_the_chart_has_those_without_requests(isolated_home, monkeypatch):
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Pacific/Auckland")
    today = dt.datetime.now(zone).replace(hour=0, minute=30, second=0, microsecond=0)
    written(
        record(1, "2", time=(today - dt.timedelta(days=2)).timestamp()),
        record(2, "1", time=today.timestamp()),
        zone=zone,
    )
    report = run("usage", "--by", "day", "--since", "3d", "--chart")
    days = [(today - dt.timedelta(days=2 - i)).strftime("%Y-%m-%d") for i in range(3)]
    drawn = report.out.split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in drawn] == days
    assert [line.split()[1:2] for line in drawn] == [["$2.00"], [], ["$1.00"]]
    assert [row[0] for row in table(report)[1:]] == [days[0], days[2], "total"]
    lines = run("usage", "--by", "day", "--since", "3d", "--json").json["lines"]
    assert dt.datetime.fromisoformat(lines[1]["key"]) == today.replace(minute=0)
    by_hour = run("usage", "--by", "hour", "--since", "today", "--json").json["lines"]
    assert [line["usd"] for line in by_hour] == [1.0]
    assert run("usage", "--by", "day", "--since", "3d").out.count("█") == 0  # no terminal, no chart


def test_a_terminal_gets_a_chart_unless_told_otherwise(used):
    assert "█" in terminal("usage", "--by", "day", answers={}).out
    assert "█" in run("usage", "--by", "model", "--chart").out


def test_the_hour_that_comes_twice_has_two_lines(isolated_home):
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    first = dt.datetime(2025, 10, 26, 2, 10, tzinfo=zone)
    times = [first.timestamp() + 3600 * i for i in range(3)]
    written(*(record(i, "1", time=each) for i, each in enumerate(times)), zone=zone)
    report = run("usage", "--by", "hour", "--since", "2025-10-26", "--until", "2025-10-26", "--chart")
    drawn = report.out.split("\n\n")[1].splitlines()
    assert [line.split("  ")[0] for line in drawn[:3]] == [
        "2025-10-26 02:00 CEST", "2025-10-26 02:00 CET", "2025-10-26 03:00",
    ]  # fmt: skip
    assert (
        run("usage", "--by", "day", "--since", "2025-10-26", "--until", "2025-10-26", "--json").json["total"]["usd"]
        == 3
    )


def test_nothing_recorded_is_said_and_no_failure(isolated_home):
    outcome = run("usage")
    assert (outcome.status, outcome.out) == (0, "")
    assert "nothing was recorded yet" in outcome.err
    report = run("usage", "--json")
    assert (report.status, report.json["lines"], report.json["ledger"]) == (0, [], None)
    written()
    assert "nothing was recorded in this time" in run("usage").err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--since", "someday"], 2, "--since 'someday' is no date or time"),
        (["--since", "today", "--until", "yesterday"], 2, "--since today is not before --until yesterday"),
        (["--account", "nobody"], 1, "nothing is known of an account 'nobody'"),
        (["--client", "nobody"], 1, "nothing is known of a client 'nobody'"),
        (["--model", "!gpt*["], 1, "--model: the model pattern"),
        (["--csv", "--json"], 2, "give --csv or --json, not both"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(used, arguments, status, sentence):
    outcome = run("usage", *arguments)
    assert (outcome.status, outcome.out) == (status, "")
    assert outcome.err.startswith(f"codex-manager: error: {sentence}")


def test_limits_stand_below_with_the_larger_figure_and_their_turn(accounts):
    with the_vault() as vault:
        work = vault.edit("work", daily_limit_usd=2.0, monthly_limit_usd=100.0)
        vault.add_client_key("ci", daily_limit_usd=1.0)
    day, month = utc_windows(time.time())
    written(record(1, "1.70", account_id=work.id, client="ci"), record(2, "0.05", account_id=work.id))
    Clerk.open(ledger_file()).snapshot(
        Snapshot(account_id=work.id, account="Work", taken_at=time.time(), day_start=day, month_start=month,
                 today=Decimal("1.76"), month=Decimal(90), hard_limit=Decimal(120), source="costs")
    )  # fmt: skip
    report = run("usage", "--json").json
    stands = {(each["name"], each["window"], each["limit_source"]): each for each in report["limits"]}
    assert {key: each["spent_usd"] for key, each in stands.items()} == {
        ("Work", "day", "own"): 1.76, ("Work", "month", "own"): 90.0, ("Work", "month", "provider"): 90.0,
        ("ci", "day", "own"): 1.7,
    }  # fmt: skip
    assert stands["Work", "day", "own"]["own_usd"] == 1.75
    turns = dt.datetime.fromisoformat(stands["Work", "day", "own"]["turns_at"])
    assert turns > dt.datetime.now(dt.UTC)
    assert (turns.hour, turns.minute, turns.utcoffset()) == (0, 0, dt.timedelta(0))
    assert [(each["window"], each["drifts"]) for each in report["provider"]] == [("day", False), ("month", True)]
    shown = run("usage").out
    assert "reached" in shown
    assert "near" in shown
    assert [each["name"] for each in run("usage", "--client", "ci", "--json").json["limits"]] == ["ci"]
    assert {each["name"] for each in run("usage", "--account", "work", "--json").json["limits"]} == {"Work"}


def test_what_others_of_an_organization_spend_counts_against_openais_limit_only(accounts):
    with the_vault() as vault:
        work = vault.edit("work", daily_limit_usd=2.0)
    day, month = utc_windows(time.time())
    Clerk.open(ledger_file()).snapshot(
        Snapshot(account_id=work.id, account="Work", taken_at=time.time(), day_start=day, month_start=month,
                 today=Decimal(50), month=Decimal(90), hard_limit=Decimal(120), source="costs", organization_wide=True)
    )  # fmt: skip
    limits = run("usage", "--json").json["limits"]
    assert [(each["limit_source"], each["spent_usd"]) for each in limits] == [("own", 0.0), ("provider", 90.0)]


def test_a_locked_vault_keeps_nobody_from_reading(accounts):
    written(record(1, "3"))
    assert run("vault", "lock").status == 0
    outcome = run("usage")
    assert outcome.status == 0
    assert "limits are left out, because they are in the vault" in outcome.err
    assert table(outcome)[1][0] == "Work"
    assert run("usage", "--json").json["limits"] is None
    assert run("usage", "--csv").err == ""


def test_what_a_killed_proxy_left_is_told(isolated_home):
    now = time.time()
    ledger = Ledger.open(ledger_file())
    ledger.record(record(1, priced=False))
    ledger.close()
    import sqlite3

    with sqlite3.connect(ledger_file()) as connection:  # as a process that was killed leaves it
        connection.execute("INSERT INTO session (id, started, seen, dropped) VALUES ('x', ?, ?, 7)", (now, now))
        connection.execute(
            "INSERT INTO reservation (id, session, time, account_id, account, client, endpoint, model, nano)"
            " VALUES ('r', 'x', ?, ?, 'Work', 'ci', 'responses', 'gpt-5', 250000000)", (now, WORK)
        )  # fmt: skip
    connection.close()
    Ledger.open(ledger_file()).close()
    said = run("usage").err
    assert "a proxy was killed at" in said
    assert "1 requests on their way were booked as estimates, $0.25" in said
    assert "7 requests since" in said
    assert "1 request was of a model without a known price" in said
    assert run("usage", "--json").json["ledger"]["interrupted"] == 1


def test_reading_goes_on_while_a_proxy_writes(isolated_home):
    with Ledger.open(ledger_file()) as ledger:
        seen = []
        for number in range(20):
            ledger.record(record(number))
            ledger.reserved(
                Reservation(id=f"r{number}", time=time.time(), account_id=WORK, account="Work", client="ci",
                            endpoint="responses", model=None, usd=Decimal(1))
            )  # fmt: skip
            outcome = run("usage", "--csv")
            assert (outcome.status, outcome.err in {"", NOTHING}) == (0, True), outcome.err
            seen.append(sum(int(row["requests"]) for row in csv.DictReader(io.StringIO(outcome.out))))
        assert seen == sorted(seen)
        assert ledger.health().dropped == 0


NOTHING = "codex-manager: nothing was recorded in this time\n"


def test_reset_takes_off_what_counts_and_leaves_what_was_recorded(accounts):
    with the_vault() as vault:
        work = vault.edit("work", daily_limit_usd=2.0, monthly_limit_usd=100.0)
    written(record(1, "1.70", account_id=work.id, client="ci"))
    refused = run("usage", "reset", "work")
    assert (refused.status, refused.err.splitlines()[1]) == (2, "codex-manager: hint: give --yes to mean it")
    done = run("usage", "reset", "work", "--yes")
    assert (done.status, done.out) == (0, "")
    assert done.err == "codex-manager: 'Work' counts $0.00 today instead of $1.70\n"
    report = run("usage", "--json").json
    assert {each["window"]: each["spent_usd"] for each in report["limits"]} == {"day": 0.0, "month": 1.7}
    assert report["total"]["usd"] == 1.7
    part = run("usage", "reset", "Work", "--month", "--amount", "0.20", "--yes", "--json")
    assert part.json == [{"name": "Work", "window": "month", "before_usd": 1.7, "after_usd": 1.5}]
    assert "nothing is counted" in run("usage", "reset", "work", "--yes").err
    with Reader.open(ledger_file()) as reader:
        assert [(each.span, each.usd, each.reason) for each in reader.adjustments()] == [
            ("day", Decimal("-1.70"), "usage reset"), ("month", Decimal("-0.20"), "usage reset"),
        ]  # fmt: skip


def test_a_client_is_reset_by_its_name_and_openais_figure_is_not(used, accounts):
    day, month = utc_windows(time.time())
    assert "'ci' counts $0.00 today" in run("usage", "reset", "CI", "--client", "--yes").err
    Clerk.open(ledger_file()).snapshot(
        Snapshot(
            account_id=WORK, account="Work", taken_at=time.time(), day_start=day, month_start=month, today=Decimal(9)
        )
    )
    said = run("usage", "reset", WORK, "--day", "--yes").err
    assert "OpenAI itself says $9.00 today, and a limit counts the larger" in said


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "lots", "1e999999"])
def test_an_amount_is_dollars(used, amount):
    outcome = run("usage", "reset", GONE, "--amount", amount, "--yes")
    assert outcome.status in {0, 2}
    assert "internal" not in outcome.err
    if amount != "1e999999":
        assert "the amount must be more than 0 US dollars" in outcome.err


def test_who_is_not_known_cannot_be_reset(used, accounts):
    assert run("usage", "reset", "nobody", "--yes").status == 1
    assert run("usage", "reset", "nobody", "--client", "--yes").status == 1
