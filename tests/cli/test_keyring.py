"""A random master key in a real Secret Service: made by `init`, found by every command, never shown."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest


HAVE = shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")
REQUIRED = os.environ.get("CODEX_MANAGER_REQUIRE_KEYRING") == "1"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAVE and not REQUIRED, reason="needs gnome-keyring and dbus-run-session"),
]


@pytest.fixture
def session(isolated_home):
    """Run a shell script inside a session of its own with an unlocked keyring."""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        program = "echo -n pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n" + textwrap.dedent(
            script
        )
        return subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", program],
            env=dict(os.environ),
            capture_output=True, text=True, timeout=40, check=False, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    return run


def test_the_whole_life_of_a_random_key(session, isolated_home):
    """init, add, list; rekey to another random one; lock --forget-key refuses a key nobody knows; a typed key ends it."""
    cm = f'"{sys.executable}" -c "from codex_manager_cli.main import main; main()"'
    done = session(f"""
        set -e
        cm() {{ {cm} "$@"; }}
        cm init
        echo sk-keyring-0123456789abcd | cm add Work - --no-check
        cm vault rekey --generate
        cm vault rotate
        cm vault lock
        cm vault unlock
        if echo not-the-key | cm vault lock --forget-key --key-stdin; then exit 9; fi
        echo a key that is known | cm vault rekey --key-stdin
        cm list
        echo a key that is known | cm vault lock --forget-key --key-stdin
        if cm vault unlock; then exit 8; fi
        echo a key that is known | cm vault unlock --key-stdin --remember
        cm list --json
    """)
    assert done.returncode == 0, done.stderr
    assert "its key is a random one, kept in this system's keyring" in done.stderr
    assert "the vault has a new master key, kept in the keyring" in done.stderr
    assert (
        "if the keyring's random key was never shown, choose one with `codex-manager vault rekey` first" in done.stderr
    )
    assert "the vault is locked, and the keyring has forgotten its key" in done.stderr
    assert "the vault is unlocked, and the keyring keeps its key" in done.stderr
    assert done.stdout.count("Work") == 2
    assert "a key that is known" not in done.stdout + done.stderr
