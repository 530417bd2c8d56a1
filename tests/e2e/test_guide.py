"""The original's integration guide works as printed, command by command, with nothing set up before."""

import json
import os
import re
import shutil
import subprocess
import sys

from pathlib import Path

import pytest

from tests.support import LISTENING, running_proxy

from codex_manager.testing import in_thread


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


BIN = Path(sys.executable).parent
GUIDE_KEYS = {
    "Personal": "sk-personal-0123456789abcdef",
    "Work": "sk-work-0123456789abcdef",
    "Backup": "sk-backup-0123456789",
}


@pytest.fixture
def shell(isolated_home):
    """Run a line of the guide in a POSIX shell; the environment holds what the guide has exported so far."""
    if not (BIN / "codex-account-manager").exists():
        pytest.fail("install the project first: the guide runs its console scripts")
    environment = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"],
        "XDG_DATA_HOME": os.environ["XDG_DATA_HOME"],
    }

    def run(line: str, *, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{line}\n{done.stdout}\n{done.stderr}"
        return done

    run.environment = environment  # type: ignore[attr-defined]  # a test's shorthand
    return run


def test_the_guide_works_as_printed(shell, isolated_home):
    """export, add, list, proxy, a second proxy, curl models, curl health: as the guide prints them."""
    assert shutil.which("curl"), "the guide uses curl"
    with in_thread() as fake:
        for label, key in GUIDE_KEYS.items():
            fake.account(key, organization=f"org-{label.lower()}")
        shell.environment["CODEX_MANAGER__PROXY__OPENAI_BASE_URL"] = fake.base_url  # stands for the real one, no more
        shell.environment["CAM_MASTER_KEY"] = "your-secure-master-key"

        for label, key in GUIDE_KEYS.items():
            added = shell(f'codex-account-manager add "{label}" "{key}"')
            assert key not in added.stdout + added.stderr
        listed = shell("codex-account-manager list")
        assert all(label in listed.stdout for label in GUIDE_KEYS)
        assert not any(key in listed.stdout + listed.stderr for key in GUIDE_KEYS.values())

        first = ["codex-account-manager", "proxy", "--bind", "127.0.0.1:0"]  # any free port stands for 8080 …
        second = ["codex-account-manager", "proxy", "-b", "127.0.0.1:0"]  # … and for 8081
        with (
            running_proxy(None, command=_found(first), environ=shell.environment) as one,
            running_proxy(None, command=_found(second), environ=shell.environment) as two,
        ):
            assert LISTENING.search(one.said())
            for proxy in (one, two):
                for key in ("sk-codex-account-manager", "sk-codex-manager"):
                    models = shell(f'curl -sS -m 10 {proxy.url}/v1/models -H "Authorization: Bearer {key}"')
                    document = json.loads(models.stdout)
                    assert document["object"] == "list"
                    assert document["data"]
                health = json.loads(shell(f"curl -sS -m 10 {proxy.url}/health").stdout)
                assert health["status"] == "ok"
                assert health["accounts"] == 3
            refused = json.loads(
                shell(f'curl -sS -m 10 {one.url}/v1/models -H "Authorization: Bearer sk-wrong"').stdout
            )
            assert refused["error"]["code"] == "invalid_api_key"


@pytest.mark.slow  # tests/proxy/test_launcher.py has the sentence in every run; this is the console script
def test_the_guides_proxy_line_starts_on_the_default_address_or_says_who_has_it(shell):
    """`codex-account-manager proxy` with no option binds 127.0.0.1:8080; a taken port is one sentence with the cure."""
    import socket

    shell.environment["CAM_MASTER_KEY"] = "your-secure-master-key"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = shell(f"codex-account-manager proxy --bind 127.0.0.1:{port}", status=1)
    assert re.search(rf"error: .*{port}", refused.stderr)
    assert "hint:" in refused.stderr
    assert "Traceback" not in refused.stderr


def _found(command):
    return [str(BIN / command[0]), *command[1:]]
