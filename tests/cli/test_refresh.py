"""`refresh` asks OpenAI, keeps what it says, and lays it beside our own figures."""

import threading
import time

from decimal import Decimal

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import run, stored, the_vault

from codex_manager.config.paths import Paths
from codex_manager.core.record import Record
from codex_manager.core.secret import Secret
from codex_manager.ledger import Ledger, Reader
from codex_manager.testing import answers, in_thread
from codex_manager.vault.store import new_account


ADMIN = "sk-admin-0123456789abcdef"


@pytest.fixture
def openai(monkeypatch):
    """A fake OpenAI that knows all keys and one admin key; the configuration points at it."""
    with in_thread() as fake:
        for label, key in KEYS.items():
            fake.account(key, f"org-{label.lower()}", f"proj-{label.lower()}")
        fake.admin(ADMIN, "org-work")
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", fake.base_url)
        yield fake


@pytest.fixture
def work(master_key, openai):
    """One account with an admin key and a project."""
    account = new_account("Work", Secret(KEYS["Work"]), admin_key=Secret(ADMIN), project="proj-work")
    stored(account)
    return account


def spend(account, usd, **fields):
    """As a proxy would have recorded it."""
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        ledger.record(Record(
            id=f"req-{usd}-{account.label}", time=time.time(), client="default", method="POST", endpoint="chat/completions", status=200,
            account_id=account.id, account=account.label, cost=Decimal(usd), **fields,
        ))  # fmt: skip


def test_openais_figures_and_ours_stand_side_by_side(work, openai):
    spend(work, "1.00")
    openai.spent("org-work", "1.50", project="proj-work")
    openai.spent("org-work", "99", project="proj-else")
    outcome = run("refresh")
    assert outcome.status == 0, outcome.err
    header, day, month = outcome.out.splitlines()
    assert header.split()[:2] == ["ACCOUNT", "UTC"]
    for line, window in ((day, "day"), (month, "month")):
        assert line.split()[:4] == ["Work", window, "$1.00", "$1.50"]
        assert "+33 %" in line
        assert "drifts" in line
    with Reader.open(Paths.locate().ledger_file) as reader:
        assert reader.snapshots()[work.id].today == Decimal("1.5")


def test_json_has_everything(work, openai):
    spend(work, "1.25")
    openai.spent("org-work", "1.25", project="proj-work")
    openai.used("org-work", project="proj-work", input_tokens=70, output_tokens=7, num_model_requests=1)
    openai.billing(KEYS["Work"], hard_limit=120)
    (said,) = run("refresh", "work", "--json").json
    assert said.pop("taken_at") == pytest.approx(time.time(), abs=60)
    assert said == {
        "account": "Work", "account_id": work.id, "source": "costs", "organization_wide": False, "today_usd": 1.25,
        "month_usd": 1.25, "hard_limit_usd": 120.0, "own_today_usd": 1.25, "own_month_usd": 1.25, "drift_today": 0.0,
        "drift_month": 0.0, "drifts": False, "requests_today": 1, "requests_month": 1, "input_today": 70, "input_month": 70,
        "output_today": 7, "output_month": 7, "offered": True, "error": None,
    }  # fmt: skip
    assert "$120.00 a month" in run("refresh").out


def test_a_whole_organizations_figure_is_laid_beside_all_its_accounts_here(master_key, openai):
    accounts = [new_account(label, Secret(KEYS[label]), admin_key=Secret(ADMIN)) for label in ("Work", "Client")]
    accounts.append(new_account("Personal", Secret(KEYS["Personal"])))
    stored(*accounts)
    for account, usd in zip(accounts, ("1", "2", "4"), strict=True):
        spend(account, usd)
    openai.spent("org-work", 3)
    outcome = run("refresh", "--json")
    assert outcome.status == 0
    by_label = {said["account"]: said for said in outcome.json}
    for label in ("Work", "Client"):
        assert (by_label[label]["own_today_usd"], by_label[label]["drifts"], by_label[label]["organization_wide"]) == (
            3.0,
            False,
            True,
        )
    assert "codex-manager: 'Work': these are figures of the whole organization" in outcome.err
    assert (by_label["Personal"]["offered"], by_label["Personal"]["today_usd"]) == (False, None)
    assert "'Personal': OpenAI tells this key nothing about money" in outcome.err


def test_the_project_that_answers_named_is_asked_for(master_key, openai):
    account = new_account("Work", Secret(KEYS["Work"]), admin_key=Secret(ADMIN))
    stored(account)
    with Ledger.open(Paths.locate().ledger_file) as ledger:
        ledger.learn_domain(account.id, "org-work", "proj-work")
    openai.spent("org-work", 1, project="proj-work")
    openai.spent("org-work", 8, project="proj-else")
    (said,) = run("refresh", "--json").json
    assert (said["today_usd"], said["organization_wide"]) == (1.0, False)


def test_one_that_fails_does_not_keep_the_others_from_being_asked(work, openai):
    with the_vault() as vault:
        vault.add(new_account("Client", Secret(KEYS["Client"]), admin_key=Secret("sk-admin-wrong-0123456789")))
    openai.spent("org-work", 2, project="proj-work")
    outcome = run("refresh")
    assert outcome.status == 0
    assert "warning: 'Client': OpenAI refuses the admin key (invalid_api_key)" in outcome.err
    assert "$2.00" in outcome.out
    assert "sk-" not in outcome.out + outcome.err


def test_when_nobody_is_told_anything_the_status_is_1(work, openai):
    openai.always(None, answers.server_error(500))
    outcome = run("refresh", "--json")
    assert outcome.status == 1
    assert outcome.json[0]["error"].startswith("OpenAI answers the admin key with status 500")
    assert outcome.err.endswith("codex-manager: error: OpenAI told nothing about what was spent\n")


def test_a_disabled_account_is_asked_only_by_name(work, openai):
    with the_vault() as vault:
        vault.edit(work.id, enabled=False)
    outcome = run("refresh")
    assert (outcome.status, openai.log) == (1, [])
    assert "there is no account to ask about" in outcome.err
    assert run("refresh", "Work").status == 0


def test_a_ledger_that_cannot_be_written_keeps_no_figure_from_being_shown(work, openai):
    Paths.locate().ledger_file.mkdir()
    openai.spent("org-work", 2, project="proj-work")
    outcome = run("refresh")
    assert (outcome.status, "$2.00" in outcome.out) == (0, True)
    assert "warning: what OpenAI told was not kept: the ledger" in outcome.err


def test_it_writes_while_a_proxy_does(work, openai):
    """Both hold the lock for a moment only."""
    openai.spent("org-work", 2, project="proj-work")
    over = threading.Event()
    with Ledger.open(Paths.locate().ledger_file) as ledger:

        def busy():
            while not over.wait(0.005):
                ledger.learn_domain(work.id, "org-work", "proj-work")

        writer = threading.Thread(target=busy)
        writer.start()
        try:
            outcome = run("refresh")
        finally:
            over.set()
            writer.join(5)
    assert outcome.status == 0
    assert "warning" not in outcome.err


def test_without_a_vault_there_is_nothing_to_ask_about(master_key):
    assert "no vault yet" in run("refresh").err


def test_an_unknown_account_is_named(work, openai):
    assert "there is no account 'wrok'" in run("refresh", "wrok").err
