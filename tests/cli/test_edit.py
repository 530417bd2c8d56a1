"""`edit` changes what was given and nothing else."""

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import run, the_vault

from codex_manager.core.secret import Secret
from codex_manager.testing import in_thread


def stored(label="Work"):
    with the_vault() as vault:
        return vault.account(label)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--org", "org-x"], {"organization": "org-x"}),
        (["--org", ""], {"organization": None}),
        (["--project", "proj_x"], {"project": "proj_x"}),
        (["--base-url", "https://eu.api.openai.com/v1/"], {"base_url": "https://eu.api.openai.com"}),
        (["--models", "gpt-5*, o3"], {"models": ("gpt-5*", "o3")}),
        (["--models", ""], {"models": ()}),
        (["--daily-limit", "3"], {"daily_limit_usd": 3.0}),
        (["--daily-limit", "none"], {"daily_limit_usd": None}),
        (["--monthly-limit", "30"], {"monthly_limit_usd": 30.0}),
        (["--priority", "-1"], {"priority": -1}),
        (["--weight", "2"], {"weight": 2.0}),
        (["--tag", "a", "--tag", "b"], {"tags": ("a", "b")}),
        (["--notes", "hello"], {"notes": "hello"}),
        (["--disable"], {"enabled": False}),
        (["--label", "Büro"], {"label": "Büro"}),
        (["--priority", "1", "--weight", "2"], {"priority": 1, "weight": 2.0}),
    ],
)
def test_what_is_given_is_changed_and_nothing_else(options, changed, accounts):
    outcome = run("edit", "work", *options)
    assert (outcome.status, outcome.out) == (0, "")
    after = stored(changed.get("label", "Work"))
    assert after == accounts["Work"].replace(**changed, updated_at=after.updated_at)


def test_a_new_key_comes_from_stdin_and_is_checked(accounts, monkeypatch):
    with in_thread() as fake:
        fake.account("sk-fresh-0123456789abcd", "org-work")
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", fake.base_url)
        accepted = run("edit", "Work", "--key", "-", stdin="sk-fresh-0123456789abcd\n")
        refused = run("edit", "Work", "--new-key", stdin="sk-wrong-0123456789abcd\n")
    assert (accepted.status, refused.status) == (0, 1)
    assert "OpenAI refuses this key" in refused.err
    assert stored().api_key == Secret("sk-fresh-0123456789abcd")


def test_an_admin_key_is_set_and_forgotten(accounts):
    assert run("edit", "Work", "--admin-key", "-", stdin="sk-admin-0123456789abcd\n").status == 0
    assert stored().admin_key == Secret("sk-admin-0123456789abcd")
    assert run("show", "Work", "--json").json["admin_key"] == "…abcd"
    assert run("edit", "Work", "--no-admin-key").status == 0
    assert stored().admin_key is None


@pytest.mark.parametrize(
    ("options", "stdin", "status", "says"),
    [
        ([], "", 2, "nothing to change"),
        (["--key", "sk-on-the-command-line"], "", 2, "--key takes `-` only"),
        (["--key", "-", "--no-check"], KEYS["Client"], 1, "this key is stored already, as 'Client'"),
        (["--key", "-", "--no-check"], "sk-codex-manager", 1, "this is a local key of codex-manager"),
        (["--key", "-"], "", 2, "there is no new API key on stdin"),
        (["--label", "PERSONAL"], "", 1, "there is an account labelled 'Personal' already"),
        (["--weight", "0"], "", 2, "the weight must be more than 0"),
        (["--admin-key", "-", "--no-admin-key"], "", 2, "--admin-key and --no-admin-key contradict each other"),
    ],
)
def test_what_cannot_be_changed_changes_nothing(options, stdin, status, says, accounts):
    outcome = run("edit", "Work", *options, stdin=stdin)
    assert (outcome.status, outcome.out) == (status, "")
    assert f"codex-manager: error: {says}" in outcome.err
    assert "on-the-command-line" not in outcome.err
    assert stored() == accounts["Work"]


def test_the_key_it_has_already_may_be_given_again(accounts):
    assert run("edit", "Work", "--key", "-", "--no-check", stdin=KEYS["Work"]).status == 0


def test_json_shows_the_result(accounts):
    assert run("edit", "Work", "--priority", "9", "--json").json["priority"] == 9
