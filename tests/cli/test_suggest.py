"""What completion offers that only this install knows: labels, names of keys, settings. Nobody is asked for anything."""

import shutil
import subprocess

import keyring
import pytest

from keyring.backend import KeyringBackend
from tests.cli import console
from tests.cli.test_completion import programs as programs  # noqa: PLC0414 - a fixture
from tests.cli.test_completion import script

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault import oskeyring
from codex_manager.vault.errors import KeyringLockedError
from codex_manager.vault.store import new_account
from codex_manager_cli import suggest, talk


ODD = ("My work, mostly", "*", "Größe", "it's $5")


@pytest.fixture
def complete(monkeypatch, capsys):
    """What a shell is told; zsh's form, which says each word in a line of its own."""

    def ask(*words):
        monkeypatch.setenv("COMP_WORDS", " ".join(("codex-manager", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        monkeypatch.setenv(talk.COMPLETION_VARIABLE, "zsh_complete")
        from codex_manager_cli.main import cli

        with pytest.raises(SystemExit):
            cli.main(prog_name="codex-manager", complete_var=talk.COMPLETION_VARIABLE)
        said = capsys.readouterr()
        assert said.err == ""
        return said.out.splitlines()[1::3]

    return ask


def test_labels_come_from_the_vault_when_its_key_is_at_hand(accounts, complete, monkeypatch):
    assert sorted(complete("show", "''")) == ["Client", "Personal", "Work"]
    assert complete("edit", "wo") == ["Work"]
    assert complete("usage", "--account", "P") == ["Personal"]
    monkeypatch.delenv("CAM_MASTER_KEY")
    assert complete("show", "''") == []


def test_a_proxy_that_runs_is_asked_first(accounts, complete, monkeypatch):
    monkeypatch.setattr(suggest, "_from_proxy", lambda: ["From the proxy"])
    monkeypatch.setattr(suggest, "_from_vault", lambda read: pytest.fail("opened the vault"))
    assert complete("switch", "''") == ["From the proxy"]


def test_settings_and_what_they_may_be(isolated_home, complete):
    assert complete("config", "set", "routing.str") == ["routing.strategy"]
    assert set(complete("config", "set", "routing.strategy", "''")) == {
        "least_utilized",
        "round_robin",
        "priority",
        "sticky",
    }
    assert complete("config", "set", "polling.enabled", "t") == ["true"]
    assert complete("config", "set", "no.such", "''") == []
    assert "routing" in complete("help", "''")


def test_nothing_is_offered_of_a_vault_that_is_damaged_or_missing(accounts, complete):
    file = Paths.locate().vault_file
    file.write_bytes(b"no vault" * 1000)
    assert complete("show", "''") == []
    file.unlink()
    assert complete("show", "''") == complete("keys", "revoke", "''") == []


def test_a_keyring_that_would_ask_its_owner_is_not_asked(monkeypatch):
    class Wallet(KeyringBackend):
        priority = 1

        def get_password(self, service, username):
            pytest.fail("asked")

        def set_password(self, service, username, password):
            pytest.fail("asked")

    Wallet.__module__ = "keyring.backends.kwallet"
    before = keyring.get_keyring()
    keyring.set_keyring(Wallet())
    try:
        with pytest.raises(KeyringLockedError):
            oskeyring.Keyring(may_ask=False).get("x")
    finally:
        keyring.set_keyring(before)


@pytest.fixture
def odd(master_key):
    """Labels that a shell would take for something else."""
    console.stored(*(new_account(label, Secret(f"sk-odd-{number}-0123456789")) for number, label in enumerate(ODD)))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("label", ODD)
def test_bash_gets_a_word_that_means_the_label(odd, programs, label):
    """What readline would put on the line is run as a command: it must name the account."""
    commands = (
        f"{script('bash')}\nCOMP_WORDS=(codex-manager show {label[:1] if label[:1].isalpha() else chr(39) * 2}); COMP_CWORD=2\n"
        "_codex_manager_completion codex-manager\n"
        'for word in "${COMPREPLY[@]}"; do eval "set -- $word"; printf "%s|%s\\n" "$#" "$1"; done\n'
    )
    done = subprocess.run(
        ["bash", "-c", commands], env=programs, capture_output=True, text=True, timeout=30, check=False, cwd="/usr"
    )
    assert done.stderr == ""
    assert f"1|{label}" in done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_offers_the_labels(odd, programs):
    commands = f"{script('fish')}\ncomplete --do-complete 'codex-manager show '"
    done = subprocess.run(
        ["fish", "--no-config", "-c", commands], env=programs, capture_output=True, text=True, timeout=60, check=False
    )
    assert set(ODD) <= {line.split("\t")[0] for line in done.stdout.splitlines()}, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_completes_a_label_on_a_line_of_its_own(odd, programs, tmp_path):
    """A real zsh on a terminal: the line that Tab leaves behind is the one that is run."""
    (tmp_path / "_codex-manager").write_text(script("zsh"))
    left = tmp_path / "left"
    driver = tmp_path / "driver"
    driver.write_text(
        "zmodload zsh/zpty\nzpty z zsh -f\n"
        f"zpty -w z 'fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump'\n"
        f'zpty -w z \'leave() {{ print -r -- "$BUFFER" >{left} }}; zle -N leave; bindkey "^X" leave\'\n'
        f"zpty -w -n z $'codex-manager show My\\t\\C-x'\n"
        f"for look in {{1..200}}; do [[ -s {left} ]] && break; zpty -r -t z; sleep 0.05; done\nzpty -d z\n"
    )
    done = subprocess.run(
        ["zsh", "-f", driver], env=programs, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert left.exists(), done.stdout + done.stderr
    assert left.read_text() == "codex-manager show My\\ work,\\ mostly \n"
