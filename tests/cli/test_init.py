"""`init`: vault and configuration, once."""

import pytest

from tests.cli.console import run, the_vault

from codex_manager.config.load import load
from codex_manager.config.paths import Paths


def test_it_makes_both_and_names_the_next_three_commands(master_key):
    outcome = run("init")
    paths = Paths.locate()
    assert (outcome.status, outcome.out) == (0, "")
    assert f"made the vault {paths.vault_file}; its key is what CAM_MASTER_KEY holds" in outcome.err
    assert f"made the configuration {paths.config_file}" in outcome.err
    for command in ("codex-manager add LABEL", "codex-manager proxy", "codex-manager list"):
        assert command in outcome.err
    assert paths.vault_file.stat().st_mode & 0o777 == 0o600
    assert paths.config_file.stat().st_mode & 0o777 == 0o600
    assert paths.data_dir.stat().st_mode & 0o777 == 0o700
    assert load(paths) == load(Paths(paths.config_dir / "none", paths.data_dir))
    with the_vault() as vault:
        assert vault.accounts() == []


def test_a_second_time_it_changes_nothing_and_says_what_exists(accounts):
    paths = Paths.locate()
    run("init")
    paths.config_file.write_text("proxy:\n  bind_addr: 127.0.0.1:9999  # mine\n", encoding="utf-8")
    before = paths.vault_file.read_bytes(), paths.config_file.read_bytes()
    outcome = run("init")
    assert outcome.status == 0
    assert f"the vault {paths.vault_file} exists and stays as it is" in outcome.err
    assert f"the configuration {paths.config_file} exists and stays as it is" in outcome.err
    assert (paths.vault_file.read_bytes(), paths.config_file.read_bytes()) == before


def test_an_existing_vault_needs_no_key_to_be_left_alone(accounts, monkeypatch):
    monkeypatch.delenv("CAM_MASTER_KEY")
    assert run("init").status == 0


def test_without_a_keyring_a_variable_or_a_terminal_there_is_one_refusal_and_no_file():
    outcome = run("init")
    assert outcome.status == 3
    first, second = outcome.err.splitlines()
    for source in ("CAM_MASTER_KEY", "keyring", "terminal"):
        assert source in first
    assert second.startswith("codex-manager: hint: set CAM_MASTER_KEY")
    assert not Paths.locate().vault_file.exists()


@pytest.mark.parametrize(("master", "says"), [("set", "CAM_MASTER_KEY is set"), (None, "--prompt needs a terminal")])
def test_prompt_that_cannot_be_meant_is_a_usage_error(master, says, monkeypatch):
    if master:
        monkeypatch.setenv("CAM_MASTER_KEY", master)
    outcome = run("init", "--prompt")
    assert outcome.status == 2
    assert says in outcome.err
    assert not Paths.locate().vault_file.exists()


def test_a_home_that_cannot_be_made_is_one_sentence(master_key, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("CODEX_MANAGER_HOME", str(tmp_path / "file" / "home"))
    outcome = run("init")
    assert outcome.status == 1
    assert "Traceback" not in outcome.err
    assert "internal error" not in outcome.err
    assert str(tmp_path / "file") in outcome.err
