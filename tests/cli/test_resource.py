"""`resource` tells which account has what, from what the proxy learned or by asking OpenAI."""

import time

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import run, stored

from codex_manager.config.paths import Paths
from codex_manager.core.owners import Change, Owner
from codex_manager.core.secret import Secret
from codex_manager.ledger.clerk import Clerk
from codex_manager.ledger.remembered import OwnersKept
from codex_manager.testing import answers, in_thread
from codex_manager.vault.store import new_account


NOW = float(int(time.time()))


@pytest.fixture
def openai(monkeypatch):
    with in_thread() as fake:
        for label, key in KEYS.items():
            fake.account(key, f"org-{label.lower()}", f"proj-{label.lower()}")
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", fake.base_url)
        yield fake


@pytest.fixture
def accounts(master_key):
    """Without organizations of their own: the answers name them."""
    made = [new_account(label, Secret(key)) for label, key in KEYS.items()]
    stored(*made)
    return made


def learned(*rows: tuple[str, str, str, float]):
    """Id, account id, family, age in seconds."""
    Paths.locate().make_dirs()
    changes = [
        Change(name, Owner(f"account:{account_id}", account_id, family, True, NOW - age))
        for name, account_id, family, age in rows
    ]
    clerk = Clerk.open(Paths.locate().ledger_file)
    clerk.write(OwnersKept.of(changes))


def test_what_the_ledger_knows_is_told_without_asking_anybody(accounts):
    work = accounts[0]
    learned(("file-1", work.id, "file", 0))
    outcome = run("resource", "find", "file-1", "--json")
    assert outcome.status == 0
    assert outcome.json["owner"]["account_id"] == work.id
    assert (outcome.json["kind"], outcome.json["probed"]) == ("file", None)
    outcome = run("resource", "find", "file-1")
    assert "an answer showed it" in outcome.out


def test_nobody_knows_an_id_that_never_passed_by(accounts):
    outcome = run("resource", "find", "file-9")
    assert outcome.status == 1
    assert "it is not known who has 'file-9'" in outcome.err
    assert "--probe" in outcome.err
    assert run("resource", "find", "hello/../x").status == 2


def test_asking_finds_the_account_and_keeps_it(accounts, openai):
    name = openai.stock(KEYS["Work"], "file")
    outcome = run("resource", "find", name, "--probe", "--json")
    assert outcome.status == 0, outcome.err
    told = outcome.json
    assert (told["owner"]["account"], told["owner"]["organization"], told["owner"]["project"]) == (
        "Work",
        "org-work",
        "proj-work",
    )
    assert {each["account"]: each["has"] for each in told["probed"]} == {label: label == "Work" for label in KEYS}
    assert run("resource", "find", name, "--json").json["owner"]["account_id"] == told["owner"]["account_id"]
    assert "has it" in run("resource", "find", name, "--probe").out


def test_who_cannot_be_asked_is_named(accounts, openai):
    openai.always(KEYS["Work"], answers.server_error(500))
    outcome = run("resource", "find", "file-9", "--probe")
    assert outcome.status == 1
    assert "Work  " in outcome.out
    assert "unknown: status 500" in outcome.out
    assert "nothing can be said of Work" in outcome.err


def test_what_openai_shows_by_no_id_is_not_asked_for(accounts):
    for name in ("upload_1", "nonsense"):
        outcome = run("resource", "find", name, "--probe")
        assert (outcome.status, "cannot be asked for" in outcome.err) == (2, True)


def test_the_list_is_of_the_last_seen_first_and_can_be_filtered(accounts):
    work, other = accounts[:2]
    learned(
        ("file-1", work.id, "file", 30), ("batch_1", other.id, "batch", 20), ("file-2", other.id, "file", 10),
        ("e" * 64, other.id, "encrypted", 0), ("msg_1", other.id, "item", 0),
    )  # fmt: skip
    assert [each["id"] for each in run("resource", "list", "--json").json] == ["file-2", "batch_1", "file-1"]
    assert [each["id"] for each in run("resource", "list", "--kind", "files", "--json").json] == ["file-2", "file-1"]
    assert [each["id"] for each in run("resource", "list", "--account", work.label, "--json").json] == ["file-1"]
    assert [each["id"] for each in run("resource", "list", "--kind", "item", "--json").json] == ["msg_1"]
    outcome = run("resource", "list", "--limit", "1")
    assert len(outcome.out.splitlines()) == 2
    assert "the last 1 of 3" in outcome.err
    assert run("resource", "list", "--kind", "nonsense").status == 2
    assert run("resource", "list", "--account", "nobody").status == 1


def test_an_empty_list_says_so():
    outcome = run("resource", "list")
    assert (outcome.status, outcome.out) == (0, "")
    assert "nothing has passed by yet" in outcome.err
    assert run("resource", "list", "--json").json == []


def test_what_is_forgotten_is_known_no_more(accounts):
    learned(("file-1", accounts[0].id, "file", 0))
    assert run("resource", "forget", "file-1").status == 0
    assert run("resource", "find", "file-1").status == 1
    assert run("resource", "forget", "file-1").status == 1
