"""Real commands on a real terminal: secrets are typed without echo, and nobody waits where nobody can answer."""

import sys

import pytest

from tests.cli.conftest import KEYS
from tests.cli.console import MASTER_KEY, PROGRAM, process, run, terminal, the_vault

from codex_manager.config.paths import Paths


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")

NEW = "sk-typed-0123456789abcd"


@pytest.fixture
def no_keyring(monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
def keyless(accounts, monkeypatch, no_keyring):
    """The vault is there; its key is in somebody's head only."""
    monkeypatch.delenv("CAM_MASTER_KEY")


def test_a_key_is_asked_for_without_echo(accounts):
    shown = terminal("add", "New", "--no-check", answers={"API key": [NEW]})
    assert shown.status == 0
    assert NEW not in shown.out
    with the_vault() as vault:
        assert vault.account("New").api_key.reveal() == NEW


def test_the_master_key_is_asked_for_without_echo_and_may_be_typed_again(keyless):
    shown = terminal("list", answers={"master key": ["wrong", MASTER_KEY]})
    assert shown.status == 0
    assert "the master key does not open this vault; try again" in shown.out
    assert "Personal" in shown.out
    assert MASTER_KEY not in shown.out


def test_three_wrong_master_keys_are_enough(keyless):
    shown = terminal("list", answers={"master key": ["wrong"] * 4})
    assert shown.status == 3
    assert shown.out.count("master key:") == 3


def test_the_master_key_is_asked_on_the_terminal_while_stdin_carries_the_api_key(keyless):
    """`cat key | codex-manager add New -` in a shell."""
    piped = f"r, w = os.pipe(); os.write(w, b'{NEW}\\n'); os.close(w); os.dup2(r, 0); " + PROGRAM
    shown = terminal("add", "New", "-", "--no-check", answers={"master key": [MASTER_KEY]}, program=piped)
    assert shown.status == 0, shown.out
    with the_vault() as vault:
        assert vault.account("New").api_key.reveal() == NEW


def test_init_prompt_asks_twice_until_both_are_the_same(no_keyring):
    shown = terminal(
        "init", "--prompt",
        answers={"new master key": ["first try", "second try"], "the same master key again": ["a slip", "second try"]},
    )  # fmt: skip
    assert shown.status == 0, shown.out
    assert "the two are not the same; try again" in shown.out
    assert "second try" not in shown.out
    with the_vault("second try") as vault:
        assert vault.accounts() == []


def test_init_without_a_keyring_asks_for_a_key(no_keyring):
    shown = terminal("init", answers={"new master key": ["typed key"], "new master key, once more": ["typed key"]})
    assert shown.status == 0, shown.out
    assert "its key is what you typed" in shown.out
    with the_vault("typed key") as vault:
        assert vault.accounts() == []


def test_remove_asks_and_takes_no_for_an_answer(accounts):
    kept = terminal("remove", "Work", answers={"remove 'Work' and its key? [y/N]": ["n"]})
    assert kept.status == 1
    assert run("show", "Work").status == 0
    assert terminal("remove", "Work", answers={"remove 'Work' and its key? [y/N]": ["y"]}).status == 0
    assert run("show", "Work").status == 1


def test_rekey_asks_twice(accounts):
    shown = terminal(
        "vault", "rekey", answers={"new master key": ["fresh key"], "the same master key again": ["fresh key"]}
    )
    assert shown.status == 0, shown.out
    with the_vault("fresh key") as vault:
        assert {account.label for account in vault.accounts()} == set(KEYS)


def test_unlock_asks_for_the_master_key(keyless):
    assert run("vault", "lock").status == 0
    assert terminal("vault", "unlock", answers={"master key": [MASTER_KEY]}).status == 0
    with the_vault() as vault:
        assert len(vault.accounts()) == 3


def test_an_export_asks_for_a_passphrase_and_keys_never_reach_a_terminal(accounts, tmp_path):
    file = tmp_path / "x"
    words = "several words make it"
    shown = terminal("export", str(file), answers={"new passphrase": [words], "the same passphrase again": [words]})
    assert shown.status == 0, shown.out
    assert words not in shown.out
    opened = terminal("import", str(file), "--on-conflict", "skip", answers={"passphrase of the file": [words]})
    assert opened.status == 0, opened.out
    plain = terminal("export", "--plaintext", answers={})
    assert plain.status == 2
    assert not any(key in plain.out for key in KEYS.values())
    assert "keys in clear are not printed on a terminal" in plain.out


def test_ctrl_d_at_a_prompt_stops_and_writes_nothing(master_key):
    shown = terminal("add", "New", answers={"API key": ["\x04"]})
    assert shown.status in {1, 130}
    assert "Traceback" not in shown.out
    assert not Paths.locate().vault_file.exists()


@pytest.mark.parametrize("command", [["list"], ["add", "x", "-", "--no-check"], ["vault", "unlock"], ["export"]])
def test_without_a_terminal_nothing_waits(command, keyless):
    outcome = process(*command, stdin="sk-x\n")
    assert outcome.status == 3
    assert "there is no terminal to ask on" in outcome.err
