"""`env` prints what a shell reads, and starts nothing."""

import subprocess
import sys

import pytest

from tests.cli.console import run
from tests.support import make_home, running_proxy, wait_for

from codex_manager.config import presence
from codex_manager.config.paths import Paths


def evaluated(lines, *names):
    """What a shell has in these variables after it read the lines."""
    script = f'{lines}\nfor n in {" ".join(names)}; do eval echo \\"\\${{$n-unset}}\\"; done'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20, check=True).stdout.split()


def test_a_shell_that_reads_it_is_led_by_base_url(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    outcome = run("env", "--shell", "sh")
    assert outcome.status == 0
    told = evaluated(outcome.out, "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY", "OPENAI_ORG_ID", "NO_PROXY")
    assert told == ["http://127.0.0.1:8080/v1"] * 2 + ["sk-codex-manager", "unset", "localhost,127.0.0.1,::1"]
    assert "no proxy runs on http://127.0.0.1:8080 yet" in outcome.err
    assert "codex-manager run -- codex" in outcome.err


def test_a_shell_that_reads_it_is_led_through_the_proxy():
    outcome = run("env", "--via", "proxy", "--shell", "sh")
    ca = Paths.locate().authority_dir
    told = evaluated(
        outcome.out, "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "NODE_USE_ENV_PROXY"
    )
    assert told == ["http://127.0.0.1:8080"] * 2 + [str(ca / "bundle.pem"), str(ca / "ca.pem"), "1"]
    assert (ca / "bundle.pem").exists()


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", "set -gx OPENAI_API_KEY 'sk-codex-manager'"),
        ("powershell", "$env:OPENAI_API_KEY = 'sk-codex-manager'"),
        ("sh", "export OPENAI_API_KEY=sk-codex-manager"),
    ],
)
def test_each_shell_is_told_in_its_own_words(shell, line, monkeypatch):
    assert line in run("env", "--shell", shell).out.splitlines()
    monkeypatch.setenv("SHELL", {"fish": "/usr/bin/fish", "powershell": "/opt/pwsh"}.get(shell, "/bin/zsh"))
    assert line in run("env").out.splitlines()


def test_the_proxy_that_runs_is_the_one_told_of(isolated_home):
    home = make_home(isolated_home)
    with running_proxy(home) as proxy:
        assert wait_for(lambda: presence.running(home.path) is not None)
        outcome = run("env", "--shell", "sh")
        assert evaluated(outcome.out, "OPENAI_BASE_URL") == [proxy.base_url]
        assert "no proxy runs" not in outcome.err


def test_it_needs_no_vault_and_makes_none():
    assert run("env", "--shell", "sh").status == 0
    assert not Paths.locate().vault_file.exists()


def test_a_wildcard_address_is_told_as_this_machine(monkeypatch):
    monkeypatch.setenv("CODEX_MANAGER__PROXY__BIND_ADDR", "0.0.0.0:9000")
    monkeypatch.setenv("CODEX_MANAGER__PROXY__API_KEY", "sk-it's-mine-0123456789abcdef")
    outcome = run("env", "--shell", "sh")
    assert evaluated(outcome.out, "OPENAI_BASE_URL") == ["http://127.0.0.1:9000/v1"]
    assert "export OPENAI_API_KEY='sk-it'\"'\"'s-mine-0123456789abcdef'" in outcome.out.splitlines()


def test_help_loads_little():
    code = (
        "import sys; sys.argv = ['codex-manager', sys.argv[1], '--help']; from codex_manager_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'mitmproxy', 'aiohttp', 'pydantic', 'openai', 'uvloop'} & set(sys.modules)), file=sys.stderr)"
    )
    for command in ("run", "env"):
        ended = subprocess.run(
            [sys.executable, "-c", code, command], capture_output=True, text=True, timeout=20, check=True
        )
        assert ended.stderr == "[]\n"
