"""`add` checks what it can, stores what it must not refuse, and never repeats a key."""

import time

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import process, run, the_vault

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.ledger import Ledger
from codex_manager.testing import answers, in_thread, refused_port


NEW = "sk-new-0123456789wxyz"


@pytest.fixture
def openai(monkeypatch):
    """A fake OpenAI that knows the new key; the configuration points at it."""
    with in_thread() as fake:
        fake.account(NEW, "org-new", "proj-new")
        for label, key in KEYS.items():
            fake.account(key, f"org-{label.lower()}")
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", fake.base_url)
        yield fake


@pytest.fixture
def offline(monkeypatch):
    """Nothing listens where OpenAI should be."""
    with refused_port() as port:
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", f"http://127.0.0.1:{port}")
        yield


def keys_stored():
    with the_vault() as vault:
        return {account.label: account.api_key.reveal() for account in vault.accounts()}


def test_a_good_key_is_checked_and_stored_with_the_organization_it_belongs_to(accounts, openai):
    outcome = run("add", "New", "-", "--json", stdin=NEW + "\n")
    assert outcome.status == 0
    assert outcome.json["organization"] == "org-new"
    assert outcome.json["key"] == "…wxyz"
    assert outcome.err == (
        "codex-manager: OpenAI accepts the key\n"
        "codex-manager: its organization is org-new\n"
        "codex-manager: added 'New' (…wxyz)\n"
    )
    assert keys_stored()["New"] == NEW
    (seen,) = openai.log
    assert (seen.method, seen.path) == ("GET", "/v1/models")


def test_a_refused_key_is_not_stored(accounts, openai):
    openai.revoke(NEW)
    outcome = run("add", "New", "-", stdin=NEW)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == (
        "codex-manager: error: OpenAI refuses this key (invalid_api_key); nothing was stored\n"
        "codex-manager: hint: copy the key again, or store it unchecked with --no-check\n"
    )
    assert "New" not in keys_stored()


def test_a_refused_key_makes_no_vault(master_key, openai):
    openai.revoke(NEW)
    assert run("add", "New", "-", stdin=NEW).status == 1
    assert not Paths.locate().vault_file.exists()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (answers.insufficient_quota(), "OpenAI knows this key but would not serve it right now (insufficient_quota)"),
        (answers.server_error(500), "the key was not checked, because OpenAI could not be asked (status 500)"),
    ],
)
def test_a_key_that_is_not_refused_is_stored_with_a_warning(step, says, accounts, openai):
    openai.always(NEW, step)
    outcome = run("add", "New", "-", stdin=NEW)
    assert outcome.status == 0
    assert f"codex-manager: warning: {says}" in outcome.err
    assert keys_stored()["New"] == NEW


def test_a_key_that_may_not_list_models_is_good(accounts, openai):
    """A restricted key answers 403 here and serves chat all the same."""
    openai.always(NEW, answers.forbidden())
    outcome = run("add", "New", "-", stdin=NEW)
    assert outcome.status == 0
    assert "codex-manager: OpenAI accepts the key; the key may not list models\n" in outcome.err


def test_without_a_network_the_guides_line_works_at_once(master_key, offline):
    """`add "Personal" "sk-personal-..."` with nothing set up: a vault, an account, three lines of talk, status 0."""
    before = time.monotonic()
    outcome = run("add", "Personal", "sk-personal-...")
    assert time.monotonic() - before < 5
    assert (outcome.status, outcome.out) == (0, "")
    lines = outcome.err.splitlines()
    assert lines[0].startswith("codex-manager: warning: a key on the command line is visible to other programs")
    assert (
        lines[1]
        == "codex-manager: warning: the key was not checked, because OpenAI could not be asked (connection refused)"
    )
    assert lines[2].startswith(
        f"codex-manager: made the vault {Paths.locate().vault_file}; its key is what CAM_MASTER_KEY holds"
    )
    assert lines[3] == "codex-manager: added 'Personal' (…)"
    assert keys_stored() == {"Personal": "sk-personal-..."}


def test_no_check_asks_nobody(accounts, openai):
    assert run("add", "New", "-", "--no-check", stdin=NEW).status == 0
    assert openai.log == []


def test_a_check_goes_to_the_accounts_own_base_url_with_its_names(accounts, offline):
    with in_thread() as other:
        other.account(NEW, "org-new", "proj-new")
        outcome = run(
            "add", "New", "-", "--base-url", other.api_url, "--org", "org-new", "--project", "proj-new", stdin=NEW
        )
        assert "OpenAI accepts the key" in outcome.err
        (seen,) = other.log
        headers = {name.lower(): value for name, value in seen.headers}
        assert (headers["openai-organization"], headers["openai-project"]) == ("org-new", "proj-new")


def test_a_broken_configuration_does_not_keep_a_key_out(accounts, openai):
    Paths.locate().config_file.write_text("proxy: [", encoding="utf-8")
    outcome = run("add", "New", "-", stdin=NEW)
    assert outcome.status == 0
    assert "warning: the key was not checked, because the configuration cannot be read" in outcome.err


def test_every_option_is_stored(accounts):
    outcome = run(
        "add", "New", "-", "--no-check", "-o", "org-x", "--project", "proj-x", "--base-url", "https://eu.api.openai.com/v1",
        "--models", "gpt-5*,!gpt-5-pro", "--models", "o3", "--daily-limit", "5", "--monthly-limit", "100.5", "--priority", "7",
        "--weight", "0.5", "--tag", "a", "--tag", "b", "--notes", "from the client", "--disabled", "--admin-key", "-",
        stdin=f"{NEW}\nsk-admin-0123456789admn\n",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    with the_vault() as vault:
        account = vault.account("New")
    assert account.api_key == Secret(NEW)
    assert account.admin_key == Secret("sk-admin-0123456789admn")
    assert (account.organization, account.project, account.base_url) == ("org-x", "proj-x", "https://eu.api.openai.com")
    assert (account.models, account.tags, account.notes) == (
        ("gpt-5*", "!gpt-5-pro", "o3"),
        ("a", "b"),
        "from the client",
    )
    assert (account.daily_limit_usd, account.monthly_limit_usd) == (5.0, 100.5)
    assert (account.priority, account.weight, account.enabled) == (7, 0.5, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["work"], "there is an account 'Work' already"),
        (["Other"], "this key is stored already, as 'Work'"),
    ],
)
def test_what_is_stored_already_is_refused_by_name(arguments, says, accounts):
    key = KEYS["Work"] if arguments == ["Other"] else NEW
    outcome = run("add", *arguments, "-", "--no-check", stdin=key)
    assert outcome.status == 1
    assert f"error: {says}" in outcome.err
    assert keys_stored() == KEYS


def test_two_accounts_of_one_organization_are_no_more_capacity(accounts, openai):
    openai.account(NEW, "org-work")
    outcome = run("add", "New", "-", stdin=NEW)
    assert outcome.status == 0
    assert "warning: 'New' belongs to the same organization as 'Work'" in outcome.err


def test_an_organization_that_answers_named_is_known_too(accounts, openai):
    """Settings have ids; what a running proxy learned is in the ledger, by whatever name OpenAI uses."""
    with the_vault() as vault, Ledger.open(Paths.locate().ledger_file) as ledger:
        ledger.learn_domain(vault.account("Client").id, "acme-inc", "proj-1")
    openai.account(NEW, "acme-inc")
    outcome = run("add", "New", "-", stdin=NEW)
    assert outcome.status == 0
    assert (
        "codex-manager: warning: 'New' belongs to the same organization as 'Client': "
        "OpenAI's limits are the organization's, so this adds no extra capacity\n"
    ) in outcome.err


def test_a_name_that_is_no_id_is_remembered_for_the_next_key(accounts, openai):
    another = "sk-another-0123456789wxyz"
    openai.account(NEW, "user-abc123")
    openai.account(another, "user-abc123")
    first = run("add", "New", "-", stdin=NEW)
    assert "same organization" not in first.err
    second = run("add", "Newer", "-", "--json", stdin=another)
    assert "'Newer' belongs to the same organization as 'New'" in second.err
    assert second.json["organization"] is None


def test_a_ledger_that_cannot_be_read_or_written_keeps_no_key_out(accounts, openai):
    Paths.locate().ledger_file.mkdir()
    openai.account(NEW, "user-abc123")
    outcome = run("add", "New", "-", stdin=NEW)
    assert outcome.status == 0
    assert keys_stored()["New"] == NEW


def test_a_local_key_is_not_an_openai_key(accounts, monkeypatch):
    """Neither a default one, nor the configured one, nor a named one."""
    monkeypatch.setenv("CODEX_MANAGER__PROXY__API_KEY", "sk-my-own-local-key")
    named = run("keys", "add", "laptop").out.strip()
    for key in ("sk-codex-manager", "sk-codex-account-manager", "sk-my-own-local-key", named):
        outcome = run("add", "New", "-", stdin=key)
        assert outcome.status == 1
        assert "this is a local key of codex-manager" in outcome.err
        assert key not in outcome.err.replace("codex-manager:", "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["", "-"], NEW, "the label is empty"),
        (["x" * 10_240, "-"], NEW, "the label has 10240 characters; at most 64 are allowed"),
        (["a\x00b", "-"], NEW, "the label contains a character that cannot be shown"),
        (["a\x1b[2J", "-"], NEW, "the label contains a character that cannot be shown"),
        (["New", "-"], "", "there is no API key on stdin"),
        (["New", "-"], "   \n", "the API key is empty"),
        (["New", "-"], "two words", "the API key contains a space"),
        (["New", "-"], "sk-\x00nul", "the API key contains a space, a control character"),
        (["New", "-"], "sk-schlüssel", "the API key contains a space, a control character or a letter beyond ASCII"),
        (["New"], NEW, "no API key given and no terminal to ask on"),
        (["New", "-", "--daily-limit", "-5"], NEW, "the daily limit must be more than 0 US dollars"),
        (["New", "-", "--weight", "heavy"], NEW, "the weight must be a number, not 'heavy'"),
        (["New", "-", "--base-url", "http://example.org"], NEW, "the base URL must start with https://"),
        (["New", "-", "--models", "!"], NEW, "models: the model pattern '!' names no model"),
        (["New", "-", "--org", "org x"], NEW, "the organization 'org x' is not an id as OpenAI gives them"),
    ],
)
def test_bad_input_is_a_usage_error_and_writes_nothing(arguments, stdin, says, master_key):
    outcome = run("add", *arguments, "--no-check", stdin=stdin)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1 if "hint:" not in outcome.err else -2].startswith(
        f"codex-manager: error: {says}"
    )
    assert "Traceback" not in outcome.err
    assert not Paths.locate().vault_file.exists()


def test_stdin_that_is_not_text_is_a_sentence(master_key):
    outcome = run("add", "New", "-", "--no-check", stdin=b"sk-\xff\xfe\x00\n")
    assert outcome.status == 2
    assert outcome.err == "codex-manager: error: the API key on stdin is not UTF-8 text\n"


def test_a_label_may_be_any_script_and_emoji(accounts):
    assert run("add", "客户 🚀", "-", "--no-check", stdin=NEW).status == 0
    assert run("show", "客户", "--json").json["label"] == "客户 🚀"
    assert "客户 🚀   …wxyz" in run("list").out


def test_two_processes_adding_at_once_to_no_vault_both_succeed(master_key, offline):
    """One makes the vault, the other uses it; nothing is lost."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(
            pool.map(lambda n: process("add", f"Account {n}", "-", "--no-check", stdin=f"{NEW}{n}\n"), range(2))
        )
    assert [outcome.status for outcome in outcomes] == [0, 0], outcomes
    assert keys_stored() == {f"Account {n}": f"{NEW}{n}" for n in range(2)}


def test_a_wrong_master_key_stores_nothing(accounts, monkeypatch):
    before = Paths.locate().vault_file.read_bytes()
    outcome = process("add", "New", "-", "--no-check", stdin=NEW, environ={"CAM_MASTER_KEY": "wrong"})
    assert (outcome.status, outcome.out) == (3, "")
    assert Paths.locate().vault_file.read_bytes() == before
