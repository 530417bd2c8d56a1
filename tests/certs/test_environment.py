"""Shells set exactly what they are told, whatever is in a path; programs that replace their roots get the bundle."""

import shutil
import subprocess

from pathlib import Path

import pytest

from codex_manager_certs.environment import VARIABLES, client_environment, render, shell_of


AWKWARD = {
    "PLAIN": "/home/me/ca/bundle.pem",
    "QUOTED": "/home/o'neill/my \"files\"/$HOME/`id`/\\ca\\'.pem",
    "SPACED": "/home/a b/ca\n.pem; exit 1 #",
}


def test_what_replaces_gets_the_bundle_and_what_adds_gets_ours_alone():
    given = client_environment(Path("/b.pem"), Path("/ca.pem"))
    assert given == {
        "SSL_CERT_FILE": "/b.pem",
        "REQUESTS_CA_BUNDLE": "/b.pem",
        "CURL_CA_BUNDLE": "/b.pem",
        "CODEX_CA_CERTIFICATE": "/b.pem",
        "NODE_EXTRA_CA_CERTS": "/ca.pem",
        "NODE_USE_ENV_PROXY": "1",
    }
    assert all(variable.readers for variable in VARIABLES)


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "dash", "fish", "pwsh"])
def test_a_real_shell_sets_and_unsets_them(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    kind = {"fish": "fish", "pwsh": "powershell"}.get(shell, "sh")
    script = render(AWKWARD, kind) + "".join(f"printenv {name}\n" for name in AWKWARD)
    script += render(dict.fromkeys(AWKWARD), kind) + "printenv QUOTED || echo gone\n"
    option = "-Command" if shell == "pwsh" else "-c"
    done = subprocess.run(
        [shell, option, script], capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path
    )
    assert done.stdout == "".join(f"{value}\n" for value in AWKWARD.values()) + "gone\n"


def test_the_words_of_the_shells_that_are_not_here():
    assert render({"A": "it's \\", "B": None}, "fish") == "set -gx A 'it\\'s \\\\'\nset -e B\n"
    assert render({"A": "it's $x", "B": None}, "powershell") == (
        "$env:A = 'it''s $x'\nRemove-Item Env:B -ErrorAction SilentlyContinue\n"
    )


@pytest.mark.parametrize(
    ("shell", "kind"),
    [("/bin/bash", "sh"), ("/usr/bin/fish", "fish"), ("/opt/pwsh", "powershell"), ("C:\\x\\pwsh.exe", "powershell"), ("", "sh")],
)  # fmt: skip
def test_the_shell_is_guessed_from_the_session(shell, kind):
    assert shell_of({"SHELL": shell}) == kind
