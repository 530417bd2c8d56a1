"""`status` with a proxy and without one: what it says, whose fault it is, and the exit status."""

import http.client
import json
import time

from dataclasses import replace

import pytest

from tests.cli.console import run
from tests.support import LOCAL_KEY, MASTER_KEY, account, make_home, running_proxy, wait_for

from codex_manager.config import presence
from codex_manager.config.paths import Paths
from codex_manager.core.persist import Mark
from codex_manager.core.record import Record
from codex_manager.core.secret import Secret
from codex_manager.ledger import Clerk, Ledger, MarksKept, Reader
from codex_manager.testing import FakeOpenAI, answers, in_thread
from codex_manager_cli.status_view import as_page


WORK, HOME = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NOW = 1_795_003_200.0  # 2026-11-18 12:00:00 UTC


def line(label="work", **fields):
    return {
        "id": WORK, "label": label, "state": "ready", "reason": None, "retry_at": None, "in_flight": 0, "limits": [],
        "requests_today": 0, "errors_today": 0, "today_usd": 0.0, "month_usd": 0.0,
    } | fields  # fmt: skip


def document(*accounts, **fields):
    return {
        "running": True, "address": "127.0.0.1:8080", "serving": True, "version": "0.1.0", "uptime_seconds": 3723,
        "strategy": "sticky", "switched_to": None, "locked": False, "in_flight": 0, "waiting": 0, "models": [], "clients": [],
        "blame": {"who": "nobody", "why": "", "accounts": []}, "accounts": list(accounts), "warn_at": 0.8, "notes": [],
        "today": {"requests": 0, "errors": 0, "usd": 0.0}, "ledger": {"ok": True, "problem": None, "dropped": 0},
    } | fields  # fmt: skip


# The page ------------------------------------------------------------------------------------------------------------


def test_a_page_of_a_running_proxy():
    limits = [{"window": "day", "spent_usd": 1.5, "limit_usd": 5.0}]
    limited = {"state": "limited", "reason": "rate limited", "retry_at": "2026-11-18T12:00:42Z"}
    told = document(
        line(limits=limits, requests_today=1234, today_usd=1.25, month_usd=20.0, in_flight=2),
        line("home", **limited),
        in_flight=2,
        waiting=1,
        blame={"who": "account", "why": "home: rate limited", "accounts": ["home"]},
        models=[{"model": "gpt-5", "overloaded_until": "2026-11-18T12:00:07Z", "domains": 2}],
        today={"requests": 1240, "errors": 6, "usd": 1.25},
        clients=[{"name": "ci", "used": 0.9}, {"name": "me", "used": 0.1}],
        ledger={"ok": False, "problem": "the disk is full", "dropped": 3},
    )
    assert (
        as_page(told, NOW)
        == """\
proxy at 127.0.0.1:8080, version 0.1.0, up 1 h 2 m, sticky

ACCOUNT  STATE    BACK IN  IN FLIGHT  REQUESTS TODAY           TODAY   MONTH  WHY
work     ready          -          2           1,234  $1.50 of $5.00  $20.00  -
home     limited     42 s          0               0           $0.00   $0.00  rate limited

whose fault: this account; home: rate limited
overloaded: gpt-5, for 7 s
now: 2 in flight, 1 waiting
today: 1,240 requests, 6 of them failed, $1.25
client ci: 90 % of its limit
ledger: the disk is full
ledger: 3 requests could not be recorded one by one"""
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "whose fault: nobody: all is well"),
        ({"blame": {"who": "OpenAI", "why": "it errs", "accounts": []}}, "whose fault: OpenAI; it errs"),
        ({"blame": {"who": "network", "why": "no way", "accounts": []}}, "whose fault: your network; no way"),
        ({"blame": {"who": "account", "why": "a; b", "accounts": ["a", "b"]}}, "whose fault: these accounts; a; b"),
        ({"locked": True, "accounts": []}, "the vault is locked"),
        ({"accounts": []}, "codex-manager add LABEL"),
        ({"switched_to": "work"}, "switched to work"),
        ({"running": False, "last_seen_at": "2026-11-18T11:00:00Z", "blame": None}, "the last one was there 1 h ago"),
        ({"running": False, "last_seen_at": None, "blame": None, "today": None}, "no proxy runs on this home."),
    ],
)
def test_each_state_has_its_words(fields, said):
    assert said in as_page(document(line(), **{"accounts": [line()]} | fields), NOW)


# Without a proxy -----------------------------------------------------------------------------------------------------


def recorded(account_id, label, **fields):
    plain = Record(
        id=f"{time.time_ns():032x}", time=time.time(), client="default", method="POST", endpoint="responses",
        account_id=account_id, account=label, status=200,
    )  # fmt: skip
    return replace(plain, **fields)


def test_before_anything_was_done():
    found = run("status", "--json")
    assert found.status == 4
    assert found.json["running"] is False
    assert (found.json["accounts"], found.json["today"], found.json["locked"]) == ([], None, False)
    assert "codex-manager add LABEL" in run("status").out


def test_without_a_proxy_ledger_and_vault_are_asked(accounts):
    work, personal = accounts["Work"], accounts["Personal"]
    now = time.time()
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        ledger.record(recorded(work.id, "Work", cost=2))
        ledger.record(recorded(work.id, "Work", status=500, failure="transient"))
    marks = [
        Mark("scope", f"org-work/account:{work.id}", "=gpt-5", now + 60, 60.0),
        Mark("purse", "org-client", "", now + 600, 600.0),
        Mark("auth", personal.id, "invalid_api_key", now + 600, 600.0, 0, "an edition before"),
        Mark("scope", f"org-personal/account:{personal.id}", "=gpt-5", now - 5, 60.0),
    ]
    Clerk(Paths.locate().ledger_file).write(MarksKept(marks))
    found = run("status", "--json")
    assert found.status == 4
    told = {each["label"]: each for each in found.json["accounts"]}
    assert {label: each["state"] for label, each in told.items()} == {
        "Work": "limited", "Client": "billing", "Personal": "ready",
    }  # fmt: skip
    assert (told["Work"]["requests_today"], told["Work"]["errors_today"], told["Work"]["today_usd"]) == (2, 1, 2.0)
    assert found.json["today"] == {"requests": 2, "errors": 1, "usd": 2.0}
    assert found.json["last_seen_at"]
    page = run("status")
    assert "no proxy runs on this home; the last one was there" in page.out
    assert "rate limited" in page.out
    assert page.err == ""


def test_without_the_vaults_key_the_ledger_knows_labels(accounts, monkeypatch):
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        ledger.record(recorded(accounts["Work"].id, "Work"))
    monkeypatch.delenv("CAM_MASTER_KEY")
    found = run("status")
    assert found.status == 4
    assert "Work" in found.out
    assert "the vault was not opened" in found.err
    assert run("status", "--json").json["accounts"][0]["state"] is None


# With one ------------------------------------------------------------------------------------------------------------


def test_a_running_proxy_tells_and_the_exit_status_says_the_same(isolated_home, monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", MASTER_KEY)
    with in_thread(FakeOpenAI()) as fake:
        fake.account("sk-work")
        config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting: {{max_inline_wait_s: 0}}\n"
        home = make_home(isolated_home, [account("work", "sk-work")], config)
        with running_proxy(home) as proxy:
            assert wait_for(lambda: presence.running(home.path) is not None)
            assert (home.path / "proxy.token").stat().st_mode & 0o777 == 0o600
            ask(proxy)
            assert wait_for(lambda: _recorded(home))
            found = run("status", "--json")
            assert found.status == 0
            assert found.json["address"] == f"127.0.0.1:{proxy.port}"
            assert found.json["pid"] == proxy.process.pid
            assert found.json["accounts"][0]["requests_today"] == 1
            fake.always("sk-work", answers.rate_limited(retry_after=60.0))
            ask(proxy)
            limited = run("status")
            assert limited.status == 1
            assert "whose fault: this account; work: rate limited" in limited.out
            token = (home.path / "proxy.token").read_text().strip()
            assert token not in proxy.said() + found.out + limited.out
            (home.path / "proxy.token").write_text("another\n")
            assert run("status").status == 1
            assert "another token" in run("status").err
            (home.path / "proxy.token").unlink()
            assert "left no token" in run("status").err
        assert not (home.path / "proxy.token").exists()
    assert run("status").status == 4


def ask(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {LOCAL_KEY}"})
    connection.getresponse().read()
    connection.close()


def _recorded(home):
    with Reader.open(home.path / "ledger.db") as reader:
        return reader.requests()


def test_an_announced_proxy_that_does_not_answer_is_said(tmp_path, isolated_home):
    isolated_home.mkdir(exist_ok=True)
    dead = presence.RunningProxy(pid=1, host="127.0.0.1", port=9, version="1", started="2026-01-01T00:00:00Z")
    here = presence.announce(isolated_home, dead, Secret("token"))
    assert here is not None
    found = run("status")
    here.withdraw()
    assert found.status == 1
    assert "does not answer as it should" in found.err


def test_watching_goes_on_until_it_is_stopped(monkeypatch):
    looks = []

    def look(*, as_json, watching):
        looks.append((as_json, watching))
        if len(looks) == 3:
            raise KeyboardInterrupt
        return 4

    monkeypatch.setattr("codex_manager_cli.status._look", look)
    monkeypatch.setattr("codex_manager_cli.status.LOOK_S", 0.0)
    assert run("status", "--watch", "--json").status == 4
    assert looks == [(True, True)] * 3
