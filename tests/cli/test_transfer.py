"""Accounts travel: sealed by default, plain when asked, whole or not at all."""

import json
import os
import stat

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import process, run, the_vault

from codex_manager.config.paths import Paths
from codex_manager.vault.store import new_account


ORIGINAL = {
    "version": "1.0",
    "accounts": [
        {
            "id": "0b0e5d6e-43f4-4f0e-9d4b-3f1f0f8f8a11", "label": "Side project", "api_key": "sk-side-0123456789abcd", "org_id": None,
            "model_scope": ["gpt-4*"], "daily_limit": 10.0, "monthly_limit": None, "priority": 2, "enabled": False,
            "created_at": "2025-03-01T10:00:00Z", "updated_at": "2025-03-01T10:00:00Z", "last_used": None,
        },
        {"id": "1b0e5d6e-43f4-4f0e-9d4b-3f1f0f8f8a11", "label": "Lab", "apiKey": "sk-lab-0123456789abcd", "orgId": "org-lab"},
    ],
}  # fmt: skip


@pytest.fixture
def passphrase(monkeypatch):
    monkeypatch.setenv("CODEX_MANAGER_EXPORT_PASSPHRASE", "correct horse battery staple")


@pytest.fixture
def original(tmp_path):
    file = tmp_path / "original.json"
    file.write_text(json.dumps(ORIGINAL), encoding="utf-8")
    return file


def everything():
    with the_vault() as vault:
        return vault.accounts()


def forget_all():
    with the_vault() as vault:
        for account in vault.accounts():
            vault.remove(account.id)


def test_a_sealed_export_comes_back_as_it_went(accounts, passphrase, tmp_path):
    """To a 0600 file that holds no label, no organization and no key in clear."""
    file = tmp_path / "accounts.sealed"
    outcome = run("export", str(file))
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == f"codex-manager: exported 3 accounts to {file}, sealed under your passphrase\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    assert not any(word in text for word in ("Personal", "org-", "sk-", "codex-manager-accounts"))
    before = everything()
    forget_all()
    assert run("import", str(file)).err == "codex-manager: imported 3 new accounts\n"
    assert everything() == before


def test_a_plain_export_comes_back_as_it_went(accounts, tmp_path):
    file = tmp_path / "accounts.json"
    assert run("export", "--plaintext", str(file)).status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(key in file.read_text(encoding="utf-8") for key in KEYS.values())
    before = everything()
    forget_all()
    assert run("import", str(file)).status == 0
    assert everything() == before


def test_the_mode_holds_under_an_open_umask(accounts, tmp_path):
    before = os.umask(0)
    try:
        assert run("export", "--plaintext", str(tmp_path / "x.json")).status == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("options", [[], ["--plaintext"]])
def test_an_export_never_overwrites(options, accounts, passphrase, tmp_path):
    file, link = tmp_path / "there", tmp_path / "link"
    file.write_text("precious", encoding="utf-8")
    link.symlink_to(tmp_path / "nowhere")
    for target in (file, link):
        outcome = run("export", str(target), *options)
        assert outcome.status == 1
        assert "exists; an export never overwrites" in outcome.err
    assert file.read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_an_export_to_a_place_that_is_not_there_is_a_sentence(accounts, tmp_path):
    outcome = run("export", "--plaintext", str(tmp_path / "no" / "such" / "folder"))
    assert outcome.status == 1
    assert "cannot be made: no such file or directory" in outcome.err


def test_an_export_goes_through_a_pipe(accounts, passphrase, tmp_path):
    sealed = run("export")
    assert sealed.status == 0
    forget_all()
    assert run("import", "-", stdin=sealed.out).status == 0
    assert {account.label for account in everything()} == set(KEYS)
    assert json.loads(run("export", "-", "--plaintext").out)["format"] == "codex-manager-accounts"


def test_without_a_passphrase_and_a_terminal_nothing_is_sealed(accounts, tmp_path):
    file = tmp_path / "x"
    outcome = run("export", str(file))
    assert outcome.status == 2
    assert "no passphrase for the sealed file and no terminal to ask on" in outcome.err
    assert not file.exists()


def test_a_passphrase_may_come_from_stdin(accounts, tmp_path, monkeypatch):
    file = tmp_path / "x"
    assert run("export", str(file), "--passphrase-stdin", stdin="several words make it\n").status == 0
    monkeypatch.setenv("CODEX_MANAGER_EXPORT_PASSPHRASE", "several words make it")
    forget_all()
    assert run("import", str(file)).status == 0


def test_a_wrong_passphrase_is_status_3_and_imports_nothing(accounts, passphrase, tmp_path, monkeypatch):
    file = tmp_path / "x"
    run("export", str(file))
    forget_all()
    monkeypatch.setenv("CODEX_MANAGER_EXPORT_PASSPHRASE", "another passphrase")
    outcome = run("import", str(file))
    assert outcome.status == 3
    assert outcome.err.startswith("codex-manager: error: the passphrase does not open the file\n")
    assert everything() == []


def test_an_export_of_the_original_is_imported(accounts, original):
    """Ids, limits, scopes and the disabled flag survive; what it had not gets a default."""
    outcome = run("import", str(original), "--json")
    assert outcome.status == 0
    assert outcome.json == {"dry_run": False, "added": ["Side project", "Lab"], "replaced": [], "skipped": []}
    side = run("show", "side", "--json").json
    assert side | {"key": "", "updated_at": ""} == {
        "id": "0b0e5d6e-43f4-4f0e-9d4b-3f1f0f8f8a11", "label": "Side project", "key": "", "organization": None, "project": None,
        "base_url": None, "models": ["gpt-4*"], "daily_limit_usd": 10.0, "monthly_limit_usd": None, "priority": 2, "weight": 1.0,
        "enabled": False, "switched_to": False, "admin_key": None, "tags": [], "notes": "",
        "created_at": "2025-03-01T10:00:00.000000Z", "updated_at": "", "last_used_at": None,
    }  # fmt: skip
    assert run("show", "lab", "--json").json["organization"] == "org-lab"


def test_an_import_makes_the_vault_on_the_way(master_key, original):
    outcome = run("import", str(original))
    assert outcome.status == 0
    assert "made the vault" in outcome.err
    assert len(everything()) == 2


def test_a_dry_run_writes_nothing(master_key, original):
    outcome = run("import", str(original), "--dry-run")
    assert (outcome.status, outcome.err) == (0, "codex-manager: would import 2 new accounts\n")
    assert not Paths.locate().vault_file.exists()


def test_a_conflict_stops_the_import_before_anything_is_written(accounts, original):
    with the_vault() as vault:
        vault.add(new_account("lab", accounts["Work"].api_key))
    before = everything()
    outcome = run("import", str(original))
    assert outcome.status == 1
    assert outcome.err == (
        "codex-manager: error: already in the vault: 'Lab' (same label); nothing was imported\n"
        "codex-manager: hint: choose with --on-conflict skip, replace or rename\n"
    )
    assert everything() == before


@pytest.mark.parametrize(
    ("wish", "labels", "says"),
    [
        ("skip", {"Side project", "Work"}, "'Side project' is left out: same label as 'Side project'"),
        ("replace", {"Side project", "Work", "Lab"}, "1 replaced"),
        ("rename", {"Side project", "Work", "Lab", "Side project (2)"}, "'Side project' becomes 'Side project (2)'"),
    ],
)
def test_conflicts_end_as_wished(wish, labels, says, accounts, original):
    with the_vault() as vault:
        for label in ("Client", "Personal"):
            vault.remove(vault.account(label).id)
        old = vault.add(new_account("Side project", accounts["Client"].api_key))
    outcome = run("import", str(original), "--on-conflict", wish)
    assert outcome.status == 0
    assert says in outcome.err
    assert {account.label for account in everything()} == labels | {"Lab"}
    with the_vault() as vault:
        kept = vault.account(old.id)
    assert (kept.api_key.reveal() == "sk-side-0123456789abcd") == (wish == "replace")


def test_what_fails_at_the_last_account_leaves_nothing_of_the_first(accounts, tmp_path):
    """Every account is judged before the first is written."""
    before = everything()
    file = tmp_path / "x.json"
    file.write_text(json.dumps([{"label": "A", "api_key": "sk-a"}, {"label": "B", "api_key": "sk-codex-manager"}]))
    outcome = run("import", str(file))
    assert outcome.status == 1
    assert "account 2 has a local key of codex-manager" in outcome.err
    assert everything() == before


def test_unknown_fields_are_said_and_left_out(accounts):
    outcome = run("import", "-", stdin='[{"label": "A", "api_key": "sk-a", "colour": "red"}]')
    assert outcome.status == 0
    assert "warning: left out, because codex-manager has no such field: colour" in outcome.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "the file is not UTF-8 text"),
        (b"hello", "the file is not JSON"),
        (b'[{"label": "A"}]', "account 1 has no 'api_key'"),
        (b'{"format": "codex-manager sealed", "version": 1}', "the sealed file is damaged"),
        (b'{"format": "codex-manager sealed", "version": 9}', "the sealed file has format 9"),
    ],
)
def test_a_file_that_is_no_export_is_one_sentence(content, says, accounts, passphrase, tmp_path):
    file = tmp_path / "x"
    file.write_bytes(content)
    outcome = run("import", str(file))
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"codex-manager: error: {says}")
    assert {account.label for account in everything()} == set(KEYS)


@pytest.mark.parametrize("file", ["no/such/file", ".", "nul\x00byte"])
def test_a_file_that_cannot_be_read_is_one_sentence(file, accounts):
    outcome = run("import", file)
    assert outcome.status == 1
    assert len(outcome.err.splitlines()) == 1
    assert "Traceback" not in outcome.err


def test_written_in_one_process_read_in_another(accounts, passphrase, tmp_path):
    """To another machine: another home, another master key."""
    file = tmp_path / "x.sealed"
    assert process("export", str(file)).status == 0
    other = {"CODEX_MANAGER_HOME": str(tmp_path / "other"), "CAM_MASTER_KEY": "the other machine's"}
    assert process("import", str(file), environ=other).status == 0
    listed = process("list", "--json", environ=other).json
    assert [account["label"] for account in listed] == list(KEYS)
